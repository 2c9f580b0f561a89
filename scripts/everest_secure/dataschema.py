"""JSON Schemas (under conf/) of the files that people write, and errors in the words of those who wrote the files."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from everest_secure.datafile import Document, Key, read
from everest_secure.errors import UserError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema = dict[str, Any]

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def load(path: Path, *, schema: Path, error: type[UserError]) -> tuple[Document, dict[str, Any]]:
    """Return a YAML file that holds to the schema in the file `schema`, and the mapping that it is.

    Raises `error` naming file, line and key when the file cannot be read or does not hold to it.
    """
    document = read(path, error=error)
    validate(document, json.loads(schema.read_text()))
    return document, cast(dict[str, Any], document.value)


def validate(document: Document, schema: Schema, others: Schema | None = None) -> None:
    """Hold a document to a schema, which may refer to `others` by name; raises the document's error with the first thing wrong."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry, Resource

    resources = [(name, Resource.from_contents(other)) for name, other in (others or {}).items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    wrong = best_match(Draft202012Validator(schema, registry=registry).iter_errors(document.value))
    if wrong is not None:
        path, message = _explain(wrong)
        raise document.error(path, message)


def _explain(error: "ValidationError") -> tuple[list[Key], str]:
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
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return path, f"must be {' or '.join(_WORDS.get(kind, kind) for kind in kinds)}, not {_shown(instance)}"
        case "enum":
            return path, f"{_shown(instance)} is not known; {_suggest(str(instance), [str(value) for value in wanted])}"
        case "pattern":
            return path, f"{_shown(instance)} is not {schema.get('description', f'text like {wanted}')}"
        case "minLength" | "minItems" | "minProperties":
            return path, "must not be empty"
        case _:
            return path, f"{error.message}; mend it and try again"


def _suggest(given: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(given, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
