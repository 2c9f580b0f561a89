import re
from datetime import date
from pathlib import Path

import pytest

from everest_secure.errors import PolicyError
from everest_secure.paths import PACKAGE
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.digest import policy_digest
from everest_secure.policy.profile import DEFAULT_PROFILE, Policy, load_policy, load_profile, profile_names
from everest_secure.result import Outcome

CATALOGUE = load_catalogue()
PRODUCTION = load_profile("production", catalogue=CATALOGUE)


WAIVER = "extends: production\nwaivers:\n- {{id: NET-01, reason: r, owner: o, expires: 2027-01-01, {}}}\n"


def loaded(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "my.yml"
    path.write_text(text)
    return load_policy(path, catalogue=CATALOGUE)


def test_the_three_profiles_load_and_production_is_the_default() -> None:
    assert profile_names() == ("development", "production", "reference")
    assert DEFAULT_PROFILE == "production"
    for name in profile_names():
        assert load_profile(name, catalogue=CATALOGUE).profile == name


def test_production_tolerates_neither_stand_ins_nor_development_authorities_nor_missing_evidence() -> None:
    assert not PRODUCTION.parameters.stand_ins
    assert not PRODUCTION.parameters.development_authorities
    assert PRODUCTION.parameters.evidence_required
    assert not PRODUCTION.waivers


def test_no_profile_waives_anything() -> None:
    assert [name for name in profile_names() if load_profile(name, catalogue=CATALOGUE).waivers] == []


def test_only_the_reference_profile_accepts_stand_ins() -> None:
    accepting = [name for name in profile_names() if load_profile(name, catalogue=CATALOGUE).parameters.stand_ins]
    assert accepting == ["reference"]


def test_a_policy_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "extends: production\n"
        "parameters:\n  signature_key_bits: 3072\n  group_ids: {i2c: 1502}\n  inbound: {eth0: [tcp/443], eth1: null}\n  service_user: {uid: 1600}\n"
        "add:\n  enabled_units: [my-meter.service]\n  forbidden_packages: {BIN-02: [my-simulator]}\n",
    )
    below, own = PRODUCTION.parameters, policy.parameters
    assert (policy.profile, policy.file) == ("production", str(tmp_path / "my.yml"))
    assert own.signature_key_bits == 3072
    assert own.group_ids == {**below.group_ids, "i2c": 1502}
    assert own.inbound == {"eth0": ("tcp/443",)}
    assert own.enabled_units == (*below.enabled_units, "my-meter.service")
    assert own.forbidden_packages["BIN-02"] == (*below.forbidden_packages["BIN-02"], "my-simulator")
    assert own.forbidden_packages["NET-06"] == below.forbidden_packages["NET-06"]
    assert (own.service_user.uid, own.service_user.gid) == (1600, below.service_user.gid)
    assert own.tls_ciphers == below.tls_ciphers


def test_waivers_and_evidence_are_read_with_their_place(tmp_path: Path) -> None:
    policy = loaded(
        tmp_path,
        "extends: production\n"
        "waivers:\n  - {id: NET-06, reason: bench, owner: Jane, expires: 2027-03-31, match: sshd}\n"
        "evidence:\n  - {id: BOOT-04, statement: fuses blown, owner: Ware, date: 2026-05-01, expires: 2027-05-01}\n",
    )
    (waiver,), (evidence,) = policy.waivers, policy.evidence
    assert (waiver.requirement, waiver.match, waiver.expires, waiver.where) == ("NET-06", "sshd", date(2027, 3, 31), f"{tmp_path}/my.yml:3")
    assert (evidence.requirement, evidence.signed, evidence.where) == ("BOOT-04", date(2026, 5, 1), f"{tmp_path}/my.yml:5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: productoin\n", "1: extends: there is no profile 'productoin'"),
        ("parameters:\n  stand_ins: true\n", "1: parameters: the parameter 'service_user' is set nowhere"),
        (
            "extends: production\nparameters:\n  service_user: {uid: null}\n",
            "3: parameters.service_user.uid: must be a whole number, not null",
        ),
        ("extends: production\nadd:\n  signature_key_bits: 1\n", "3: add.signature_key_bits: is no list"),
        (
            "extends: production\nwaivers:\n- id: NET-77\n  reason: r\n  owner: o\n  expires: 2027-01-01\n",
            "3: waivers[0].id: there is no requirement 'NET-77'; did you mean",
        ),
        (
            "extends: production\nwaivers:\n- id: NET-01\n  reason: r\n  owner: o\n  expires: 2027-02-30\n",
            "6: waivers[0].expires: '2027-02-30' is not a date of the calendar",
        ),
        (
            "extends: production\nevidence:\n- id: NET-01\n  statement: s\n  owner: o\n  date: 2026-01-01\n  expires: 2027-01-01\n",
            "3: evidence[0].id: NET-01 is decided by the artefact and takes no evidence",
        ),
        (
            "extends: production\nevidence:\n- id: BOOT-04\n  statement: s\n  owner: o\n  date: 2027-01-02\n  expires: 2027-01-01\n",
            "7: evidence[0].expires: 2027-01-01 is before the date of the statement",
        ),
        (WAIVER.format('match: "/"'), '3: waivers[0].match: "/" is not words that findings name whole'),
        (WAIVER.format("match: a b"), '3: waivers[0].match: "a b" is not words that findings name whole'),
        (WAIVER.replace("reason: r", "reason: ' '").format("match: sshd"), '3: waivers[0].reason: " " is not text with more than blanks'),
        ("extends: production\nadd:\n  enabled_units: ['*']\n", "3: add.enabled_units[0]: '*' stands for everything"),
        ("extends: production\nadd:\n  enabled_units: ['*.service']\n", "3: add.enabled_units[0]: '*.service' stands for everything"),
        ("extends: production\nadd:\n  enabled_units: ['?*@*.socket']\n", "3: add.enabled_units[0]: '?*@*.socket' stands for everything"),
        ("extends: production\nparameters:\n  setuid:\n  - /usr/bin/x\n  - '/*'\n", "5: parameters.setuid[1]: '/*' stands for everything"),
        ("extends: production\nadd:\n  mqtt_api_write: ['+/#']\n", "3: add.mqtt_api_write[0]: '+/#' stands for everything"),
    ],
)
def test_a_wrong_policy_is_refused_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        loaded(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/my.yml:{message}")


def test_an_unknown_profile_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(PolicyError, match="'prod'; known are development, production, reference"):
        load_profile("prod", catalogue=CATALOGUE)


def test_a_profile_name_does_not_lead_out_of_the_profiles() -> None:
    with pytest.raises(PolicyError, match="there is no profile"):
        load_profile("../requirements", catalogue=CATALOGUE)


def test_the_example_of_the_documentation_is_a_valid_policy(tmp_path: Path) -> None:
    text = (PACKAGE.parent.parent / "docs" / "policy.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    policy = loaded(tmp_path, example)
    assert [entry.requirement for entry in policy.waivers] == ["NET-07"]
    assert [entry.requirement for entry in policy.evidence] == ["BOOT-04"]
    assert policy.parameters.inbound["eth1"] == PRODUCTION.parameters.inbound["eth1"]


def test_the_documentation_of_exit_codes_lists_every_outcome_from_the_worst_on() -> None:
    text = (PACKAGE.parent.parent / "docs" / "exit-codes.md").read_text()
    outcomes = re.findall(r"^\| ([a-z ]+) \|", text[text.index("## Outcomes") :], re.MULTILINE)
    assert outcomes[1:] == [str(outcome) for outcome in Outcome]


WAIVED = "extends: production\nparameters:\n  waiver_days: 9\nwaivers:\n- id: NET-01\n  reason: r\n  owner: o\n  expires: 2027-01-01\n"


def digest(directory: Path, text: str) -> str:
    directory.mkdir(exist_ok=True)
    (directory / "db.pem").write_text("certificate")
    return policy_digest(loaded(directory, text))


def test_policies_that_say_the_same_have_the_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    named = WAIVED.replace("parameters:", "parameters:\n  secure_boot_certificates: [db.pem]")
    commented = f"# ours\n\n{named.replace('reason: r', 'reason:   r')}"
    assert digest(tmp_path / "a", named) == digest(tmp_path / "b", commented)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("waiver_days: 9", "waiver_days: 8"),
        ("reason: r", "reason: s"),
        ("2027-01-01", "2027-01-02"),
        ("extends: production", "extends: development"),
        ("waiver_days: 9", "waiver_days: 9\n  secure_boot_certificates: [db.pem]"),
    ],
)
def test_a_policy_that_says_something_else_has_another_digest(tmp_path: Path, old: str, new: str) -> None:
    assert digest(tmp_path, WAIVED) != digest(tmp_path, WAIVED.replace(old, new))
