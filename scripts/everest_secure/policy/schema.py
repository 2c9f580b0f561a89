"""Schemas of policy files (conf/policy/schema); the one of their parameters is derived from `Parameters`.

`python -m everest_secure.policy.schema` prints the latter with the meaning of each parameter, as it lies among the files for editors.
"""

import ast
import inspect
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from everest_secure import dataschema
from everest_secure.datafile import Document
from everest_secure.dataschema import Schema
from everest_secure.paths import data
from everest_secure.policy.parameters import Parameters

PARAMETERS = "parameters.schema.json"
"""Name under which other schemas refer to the schema derived from `Parameters`."""

_PLAIN = {str: "string", Path: "string", int: "integer", bool: "boolean", float: "number"}


def validate(document: Document, schema: str) -> None:
    """Check a document against `conf/policy/schema/SCHEMA`. Raises PolicyError with file, line and key of the first thing wrong."""
    dataschema.validate(document, load_schema(schema), {PARAMETERS: parameters_schema()})


def load_schema(name: str) -> Schema:
    """Return one of the schemas of conf/policy/schema."""
    schema: Schema = json.loads((data("conf") / "policy/schema" / name).read_text())
    return schema


def parameters_schema() -> Schema:
    """Return the schema of `parameters:` in a policy file, derived from `Parameters`: any of its fields, none required.

    In fields that are mappings a null value takes a key away, as in a JSON merge patch (RFC 7396).
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema_of(Parameters), "required": []}


def for_editors() -> str:
    """Return `parameters.schema.json`, with what each field means as its description: the docstring behind it, or that of its class."""
    schema = parameters_schema()
    _describe(schema, Parameters)
    return json.dumps({**schema, "title": "Parameters of everest-secure"}, indent=2, ensure_ascii=False) + "\n"


def _describe(schema: Schema, kind: Any) -> None:  # noqa: ANN401 - a type annotation, as below
    """Add descriptions to the schema that `_schema_of` made of a type, wherever there is a data class in it."""
    for one in get_args(kind):
        for inner in (schema, schema.get("items", {}), *schema.get("additionalProperties", {}).get("anyOf", ())):
            _describe(inner, one)
    if not (is_dataclass(kind) and isinstance(kind, type) and "properties" in schema):
        return
    hints, said = get_type_hints(kind), _docstrings(kind)
    for name, part in schema["properties"].items():
        _describe(part, hints[name])
        words = said.get(name) or (inspect.getdoc(hints[name]) if is_dataclass(hints[name]) else None)
        if words:
            part["description"] = words


def _docstrings(kind: type) -> dict[str, str]:
    """Return the docstrings behind the fields of a class."""
    (found,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(found, ast.ClassDef)  # noqa: S101 - the source of a class is one
    return {
        field.target.id: " ".join(words.value.value.split())
        for field, words in pairwise(found.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(words, ast.Expr) and isinstance(words.value, ast.Constant) and isinstance(words.value.value, str)
    }


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
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _whole(arguments[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": {"anyOf": [_schema_of(arguments[1]), {"type": "null"}]}}
    raise TypeError(f"a policy parameter of type {kind} has no schema")


def _whole(kind: Any) -> Schema:  # noqa: ANN401 - as above
    """Return the schema of an entry of a list, which is never merged with another one and so has all of its fields."""
    entry = _schema_of(kind)
    return {**entry, "required": list(entry["properties"])} if is_dataclass(kind) else entry


if __name__ == "__main__":
    print(for_editors(), end="")
