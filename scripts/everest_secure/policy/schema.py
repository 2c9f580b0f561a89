"""Schemas of the files that people write (conf/policy/schema), and errors in the words of those who wrote them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource

from everest_secure.paths import data
from everest_secure.policy.document import Document, Key
from everest_secure.policy.parameters import Parameters

Schema = dict[str, Any]
PARAMETERS = "parameters.schema.json"
"""Name under which other schemas refer to the schema derived from `Parameters`."""

_PLAIN = {str: "string", int: "integer", bool: "boolean", float: "number"}
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def validate(document: Document, schema: str) -> None:
    """Check a document against `conf/policy/schema/SCHEMA`. Raises PolicyError with file, line and key of the first thing wrong."""
    validator = Draft202012Validator(load_schema(schema), registry=_registry())
    error = best_match(validator.iter_errors(document.value))
    if error is not None:
        path, message = _explain(error)
        raise document.error(path, message)


def load_schema(name: str) -> Schema:
    """Return one of the schemas of conf/policy/schema."""
    schema: Schema = json.loads((data("conf") / "policy/schema" / name).read_text())
    return schema


def parameters_schema() -> Schema:
    """Return the schema of `parameters:` in a policy file, derived from `Parameters`: any of its fields, none required.

    In fields that are mappings a null value takes a key away, as in a JSON merge patch (RFC 7396).
    """
    return {**_schema_of(Parameters), "required": []}


def _registry() -> Registry[Any]:
    resource = Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema", **parameters_schema()})
    registry: Registry[Any] = Registry().with_resource(PARAMETERS, resource)
    return registry


def _schema_of(kind: Any) -> Schema:  # noqa: ANN401 - a type annotation, of which Python has no common type
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if get_origin(kind) is UnionType:
        return {"anyOf": [_schema_of(one) for one in get_args(kind)]}
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        properties = {field.name: _schema_of(hints[field.name]) for field in fields(kind)}
        return {"type": "object", "properties": properties, "additionalProperties": False}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": {"anyOf": [_schema_of(arguments[1]), {"type": "null"}]}}
    raise TypeError(f"a policy parameter of type {kind} has no schema")


def _explain(error: ValidationError) -> tuple[list[Key], str]:
    path: list[Key] = list(error.absolute_path)
    schema, instance, wanted = cast(Schema, error.schema), cast(Any, error.instance), cast(Any, error.validator_value)
    match error.validator:
        case "additionalProperties":
            known = sorted(schema.get("properties", {}))
            unknown = next(key for key in instance if key not in known)
            return [*path, unknown], f"unknown key; {_suggest(unknown, known)}"
        case "required":
            missing = next(key for key in wanted if key not in instance)
            return path, f"the key '{missing}' is missing; add it"
        case "type":
            return path, f"must be {_WORDS.get(wanted, wanted)}, not {_shown(instance)}"
        case "enum":
            return (
                path,
                f"{_shown(instance)} is not known; {_suggest(str(instance), [str(value) for value in wanted])}",
            )
        case "pattern":
            return path, f"{_shown(instance)} is not {schema.get('description', f'text like {wanted}')}"
        case "minLength" | "minItems" | "minProperties":
            return path, "must not be empty"
        case _:
            return path, error.message


def _suggest(given: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(given, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
