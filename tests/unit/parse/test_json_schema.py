from typing import Any

import pytest
from jsonschema import Draft7Validator

from everest_secure.errors import ArtefactError
from everest_secure.parse.json_schema import faults
from support.charger import SCHEMA

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    1.5,
    11,
    "",
    "a",
    "abc",
    "a b",
    "1",
    [],
    [1],
    ["a", "b", "c"],
    {},
    {"a": 1},
    {"a": "x", "b": 2},
    {"1": 1},
]
SCHEMAS: list[dict[str, Any]] = [
    *({"type": name} for name in ("null", "boolean", "integer", "number", "string", "array", "object")),
    {"type": ["string", "integer"]},
    {"enum": ["a", 1, None]},
    {"minimum": 1, "maximum": 10},
    {"minLength": 1, "maxLength": 2},
    {"minItems": 1, "maxItems": 2, "items": {"type": "string"}},
    {"minProperties": 1},
    {"required": ["a"]},
    {"pattern": "^[a-z]+$"},
    {"pattern": "b"},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"patternProperties": {"^[a-z]$": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
    {"properties": {"a": True, "b": False}},
    {"$ref": "#/$defs/x", "type": "null", "$defs": {"x": {"type": "integer"}}},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_it_says_the_same_of_every_value_as_the_reference_implementation(schema: dict[str, Any]) -> None:
    for value in VALUES:
        ours = {fault.place for fault in faults(value, schema, "x")}
        theirs = {tuple(error.absolute_path) for error in Draft7Validator(schema).iter_errors(value)}
        assert bool(ours) == bool(theirs), value


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"active_modules": {}},
        {"active_modules": {"a": {"module": "B", "config_module": {"x": [1]}}}},
        {"active_modules": {"a": {"module": "1"}}, "other": 1},
        {"active_modules": {"a": {"module": "B", "capabilities": [1]}}, "settings": {"validate_schema": "true"}},
    ],
    ids=str,
)
def test_it_says_the_same_of_a_configuration(value: dict[str, Any]) -> None:
    ours = [fault.what for fault in faults(value, SCHEMA, "x")]
    theirs = list(Draft7Validator(SCHEMA).iter_errors(value))
    assert len(ours) == len(theirs), (ours, theirs)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "other.json"},
        {"$ref": "https://example.com/schema"},
        {"oneOf": []},
        {"pattern": "(a+)+$"},
        {"pattern": "a*a*a*a*b"},
        {"pattern": "[a"},
        {"pattern": "a" * 1000},
        {"properties": []},
        {"properties": {"a": 1}},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_a_schema_that_cannot_be_followed_is_one_sentence(schema: dict[str, Any]) -> None:
    with pytest.raises(ArtefactError):
        list(faults({"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, schema if "pattern" not in schema else {"properties": {"a": schema}}, "x"))


def test_a_schema_that_asks_too_much_is_not_followed_to_its_end() -> None:
    wide = {"patternProperties": {f"^[a-z]{'x' * n}?": {"patternProperties": {"": {"type": "string"}}} for n in range(100)}}
    value = {f"a{n}": {f"b{m}": m for m in range(900)} for n in range(300)}
    with pytest.raises(ArtefactError, match="asks too much"):
        list(faults(value, wide, "x"))
