"""JSON Schema draft 7, as far as EVerest's framework uses it, for schemas that come from an image and may be hostile.

Everything is bounded: the steps of one validation, and the regular expressions, which must be of a kind that is followed fast. A keyword that
constrains and is not followed here is an error and no pass; one that draft 7 does not have constrains nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from everest_secure.errors import ArtefactError
from everest_secure.parse.everest_yaml import MAX_DEPTH, Place

MAX_STEPS = 500_000
"""Values held to schemas, and names to patterns, in one validation."""
MAX_PATTERN = 256
"""Characters of a pattern, and of a text that can match one."""
_NOT_FOLLOWED = frozenset(
    {
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "const", "contains", "propertyNames", "dependencies", "additionalItems"),
        *("multipleOf", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems", "maxProperties", "format"),
    }
)
_SIMPLE = re.compile(r"\^?(?:(?:\[(?:\\.|[^\]\\])+\]|\\[dws]|\\[^a-zA-Z0-9]|[^\\\[\](){}|^$*+?])[*+?]?)*\$?")
"""Classes and characters in a row, each once or repeated: no groups, no choice, nothing repeated that repeats itself."""
_MAX_REPEATS = 3

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a value does not hold to its schema."""

    place: Place
    what: str
    """Part of a sentence about the value: `is 'x' and not one of a, b`."""


@dataclass
class _Validation:
    root: Schema
    where: str
    left: int = field(default=MAX_STEPS)

    def faults(self, value: object, schema: object, place: Place, depth: int = 0) -> Iterator[Fault]:
        self._spend(1)
        if depth > 2 * MAX_DEPTH:
            raise ArtefactError(f"{self.where} is a schema that leads in circles; it is taken for hostile and not followed")
        if isinstance(schema, bool):
            if not schema:
                yield Fault(place, "is not known")
            return
        if not isinstance(schema, dict):
            raise ArtefactError(f"{self.where} is no JSON Schema; install the file that belongs to this release of EVerest")
        if "$ref" in schema:
            # Draft 7: beside $ref nothing counts.
            yield from self.faults(value, self._referred(schema["$ref"]), place, depth + 1)
            return
        yield from self._constraints(value, schema, place, depth)
        if isinstance(value, dict):
            yield from self._members(value, schema, place, depth)

    def _spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise ArtefactError(f"{self.where} is a schema that asks too much; it is taken for hostile and not followed")

    def _constraints(self, value: object, schema: Schema, place: Place, depth: int) -> Iterator[Fault]:
        for keyword, wanted in schema.items():
            if keyword in _PLAIN:
                yield from (Fault(place, what) for what in _PLAIN[keyword](value, wanted))
            elif keyword == "pattern":
                if isinstance(value, str) and not _matches(str(wanted), value, self.where):
                    yield Fault(place, f"is {_shown(value)}, which does not match {wanted}")
            elif keyword == "items" and isinstance(value, list):
                for position, item in enumerate(value):
                    yield from self.faults(item, wanted, (*place, position), depth + 1)
            elif keyword in _NOT_FOLLOWED:
                raise ArtefactError(f"{self.where} uses the keyword '{keyword}', which is not followed; the file cannot be held to it")

    def _members(self, value: Mapping[str, object], schema: Schema, place: Place, depth: int) -> Iterator[Fault]:
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        if not isinstance(known, dict) or not isinstance(patterns, dict):
            raise ArtefactError(f"{self.where} is no JSON Schema; install the file that belongs to this release of EVerest")
        for name, member in value.items():
            self._spend(len(patterns))
            schemas = [known[name]] if name in known else []
            schemas += [each for pattern, each in patterns.items() if _matches(str(pattern), name, self.where)]
            for each in schemas or [schema.get("additionalProperties", True)]:
                yield from self.faults(member, each, (*place, name), depth + 1)

    def _referred(self, reference: object) -> object:
        found: object = self.root
        for step in str(reference).removeprefix("#").strip("/").split("/") if reference != "#" else ():
            found = found.get(step) if isinstance(found, dict) else None
        if found is None or not str(reference).startswith("#"):
            raise ArtefactError(
                f"{self.where} refers to '{reference}', which it does not hold; install the file that belongs to this release"
            )
        return found


def _matches(pattern: str, text: str, where: str) -> bool:
    return len(text) <= MAX_PATTERN and _compiled(pattern, where).search(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    if len(pattern) > MAX_PATTERN or not _SIMPLE.fullmatch(pattern) or sum(map(pattern.count, "*+")) > _MAX_REPEATS:
        raise ArtefactError(f"{where} uses the pattern '{pattern[:MAX_PATTERN]}', which is not followed; the file cannot be held to it")
    try:
        # In ECMAScript, whose expressions JSON Schema has, `$` is the very end.
        return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern))
    except re.error:
        raise ArtefactError(f"{where} uses '{pattern}', which is no pattern; install the file that belongs to this release") from None


def _is(value: object, name: object) -> bool:
    match name:
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "null":
            return value is None
        case "boolean" | "string" | "array" | "object":
            return isinstance(value, {"boolean": bool, "string": str, "array": list, "object": dict}[name])
    return False


def _type(value: object, wanted: object) -> Iterator[str]:
    names = wanted if isinstance(wanted, list) else [wanted]
    if not any(_is(value, name) for name in names):
        yield f"is {_shown(value)} and not of type {' or '.join(map(str, names))}"


def _enum(value: object, wanted: object) -> Iterator[str]:
    if not isinstance(wanted, list) or not any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in wanted):
        yield f"is {_shown(value)} and not one of {', '.join(map(str, wanted)) if isinstance(wanted, list) else wanted}"


def _required(value: object, wanted: object) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(wanted, list):
        yield from (f"lacks '{name}'" for name in wanted if name not in value)


def _bound(kind: type | tuple[type, ...], size: Callable[[Any], float], low: bool, words: str) -> Callable[[object, object], Iterator[str]]:
    def judge(value: object, wanted: object) -> Iterator[str]:
        if not isinstance(value, kind) or isinstance(value, bool) or not _is(wanted, "number"):
            return
        limit: float = wanted  # type: ignore[assignment] # _is() has looked
        if (size(value) < limit) if low else (size(value) > limit):
            yield f"is {_shown(value)}, {words} {limit}"

    return judge


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_PLAIN: Mapping[str, Callable[[object, object], Iterator[str]]] = {
    "type": _type,
    "enum": _enum,
    "required": _required,
    "minimum": _bound((int, float), lambda value: value, low=True, words="less than"),
    "maximum": _bound((int, float), lambda value: value, low=False, words="more than"),
    "minLength": _bound(str, len, low=True, words="shorter than"),
    "maxLength": _bound(str, len, low=False, words="longer than"),
    "minItems": _bound(list, len, low=True, words="fewer than"),
    "maxItems": _bound(list, len, low=False, words="more than"),
    "minProperties": _bound(dict, len, low=True, words="fewer than"),
}


def faults(value: object, schema: Schema, where: str) -> Iterator[Fault]:
    """Yield where a value does not hold to a schema, whose file is `where`.

    Raises ArtefactError for a schema that is none, leads in circles, or uses what is not followed here.
    """
    return _Validation(schema, where).faults(value, schema, ())
