import json
import subprocess
import sys
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
from everest_secure.policy.schema import PARAMETERS, parameters_schema, validate


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


EDITORS = data("conf") / "policy/schema"
"""What an editor is told to use (docs/policy.md): files alone, none of this program."""
OWN = """\
description: The Example 22 kW charger.
extends: production
parameters:
  inbound: {eth0: [tcp/443], eth1: null}
  journal_limit: {least_lines: 5}
add:
  elf_exceptions: [{paths: [/usr/bin/x], lacks: [pie], reason: It is a boot loader.}]
waivers:
  - {id: NET-07, reason: The console stays., owner: Jane Doe, expires: 2027-03-31}
"""


def by_files_alone(policy: Path) -> subprocess.CompletedProcess[str]:
    """Judge a policy file by a program that follows references from one schema file to the other."""
    program = Path(sys.executable).parent / "check-jsonschema"
    command: list[str | Path] = [program, "--schemafile", EDITORS / "policy.schema.json", policy]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_editor_can_hold_a_policy_file_to_the_files_of_the_schema(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(OWN)
    bad.write_text(OWN.replace("least_lines: 5", "last_lines: 5").replace("lacks: [pie]", "lacks: [pi]"))
    said = by_files_alone(good)
    assert said.returncode == 0, said.stdout + said.stderr
    said = by_files_alone(bad)
    assert said.returncode == 1
    assert "last_lines" in said.stdout
    assert "elf_exceptions[0].lacks[0]" in said.stdout


def test_the_file_for_editors_is_what_the_parameters_say_and_explains_each() -> None:
    written = (EDITORS / PARAMETERS).read_text()
    assert written == schema.for_editors(), f"{PARAMETERS} is not of these parameters; run 'make docs'"
    properties = json.loads(written)["properties"]
    assert all(properties[name].get("description") for name in properties)
    assert properties["inbound"]["description"].startswith("Interface to what may come in on it")
    assert "no more and no fewer" in properties["service_user"]["properties"]["groups"]["description"]
    assert properties["elf_exceptions"]["items"]["properties"]["lacks"]["description"] == "What they may lack."
