import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from everest_secure.datafile import read
from everest_secure.errors import PolicyError
from everest_secure.paths import data
from everest_secure.policy import schema
from everest_secure.policy.parameters import Parameters
from everest_secure.policy.schema import parameters_schema, validate


@pytest.mark.parametrize("file", sorted((data("conf") / "policy/schema").glob("*.json")), ids=lambda file: file.name)
def test_every_schema_is_valid_itself(file: Path) -> None:
    Draft202012Validator.check_schema(json.loads(file.read_text()))


@pytest.mark.parametrize("file", sorted((data("conf") / "policy/profiles").glob("*.yml")), ids=lambda file: file.name)
def test_every_profile_holds_to_the_schema(file: Path) -> None:
    validate(read(file, error=PolicyError), "policy.schema.json")


def test_the_parameters_schema_knows_exactly_the_fields_of_parameters() -> None:
    derived = parameters_schema()
    Draft202012Validator.check_schema(derived)
    assert set(derived["properties"]) == set(Parameters.__dataclass_fields__)
    assert derived["additionalProperties"] is False


def test_a_field_type_that_yaml_cannot_hold_is_noticed_by_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Odd:
        field: set[str]

    monkeypatch.setattr(schema, "Parameters", Odd)
    with pytest.raises(TypeError, match="no schema"):
        parameters_schema()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile: x\n", "1: profile: unknown key; known are"),
        ("extend: x\n", "1: extend: unknown key; did you mean 'extends'?"),
        ("extends: [x]\n", '1: extends: must be text, not ["x"]'),
        ("parameters:\n  signature_key_bits: 4k\n", '2: parameters.signature_key_bits: must be a whole number, not "4k"'),
        ("parameters:\n  stand_in: true\n", "2: parameters.stand_in: unknown key; did you mean 'stand_ins'?"),
        ("parameters:\n  service_user:\n    Uid: 1\n", "3: parameters.service_user.Uid: unknown key"),
        ("parameters:\n  setuid:\n    - /a\n    - 3\n", "4: parameters.setuid[1]: must be text, not 3"),
        (
            "add:\n  elf_exceptions:\n    - {paths: [/a], lacks: [pie]}\n",
            "3: add.elf_exceptions[0]: the key 'reason' is missing; add it",
        ),
        (
            "add:\n  elf_exceptions:\n    - {paths: [/a], lacks: [pi], reason: r}\n",
            "3: add.elf_exceptions[0].lacks[0]: \"pi\" is not known; did you mean 'pie'?",
        ),
        ("waivers:\n- {id: NET-01, reason: r, owner: o}\n", "2: waivers[0]: the key 'expires' is missing; add it"),
        ("waivers:\n- id: net1\n  reason: r\n  owner: o\n  expires: 2027-01-01\n", '2: waivers[0].id: "net1" is not an ID such as NET-01'),
        ("waivers:\n- id: NET-01\n  reason: ''\n  owner: o\n  expires: 2027-01-01\n", "3: waivers[0].reason: must not be empty"),
        (
            "waivers:\n- id: NET-01\n  reason: r\n  owner: o\n  expires: next year\n",
            '5: waivers[0].expires: "next year" is not a date such as 2027-03-31',
        ),
        ("- x\n", '1: must be a mapping, not ["x"]'),
        ("", "1: must be a mapping, not null"),
    ],
)
def test_an_error_names_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "my.yml"
    path.write_text(text)
    with pytest.raises(PolicyError) as error:
        validate(read(path, error=PolicyError), "policy.schema.json")
    assert str(error.value).startswith(f"{path}:{message}")


def test_every_kind_of_parameter_has_a_schema_that_refuses_a_wrong_value() -> None:
    properties: Mapping[str, Any] = parameters_schema()["properties"]
    for name, part in properties.items():
        assert not Draft202012Validator(part).is_valid(object()), name
