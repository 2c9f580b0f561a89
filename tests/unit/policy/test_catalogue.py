import re
from collections.abc import Callable
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import registered
from everest_secure.errors import PolicyError
from everest_secure.paths import data
from everest_secure.policy.catalogue import catalogue_file, load_catalogue

CATALOGUE = load_catalogue()
FAMILIES = {
    "FS": 6,
    "ACC": 6,
    "NET": 9,
    "BOOT": 5,
    "KERN": 2,
    "BIN": 2,
    "TPM": 6,
    "CERT": 8,
    "TLS": 2,
    "OCPP": 2,
    "RAUC": 9,
    "SUP": 4,
    "LOG": 4,
    "DOC": 1,
}
"""Number of requirements by family; they are numbered from 01 without a gap."""


def test_the_catalogue_holds_to_its_schema() -> None:
    assert load_catalogue(catalogue_file()) == CATALOGUE


def test_the_catalogue_holds_every_requirement_once() -> None:
    wanted = {f"{family}-{number:02}" for family, count in FAMILIES.items() for number in range(1, count + 1)}
    assert {entry.id for entry in CATALOGUE.requirements} == wanted
    assert len(CATALOGUE.requirements) == len(wanted)


def test_requirements_of_a_group_stand_together_in_the_order_of_the_groups() -> None:
    assert tuple(dict.fromkeys(entry.group for entry in CATALOGUE.requirements)) == CATALOGUE.groups


@pytest.mark.parametrize("entry", CATALOGUE.requirements, ids=lambda entry: entry.id)
def test_a_requirement_reads_as_sentences_and_maps_to_a_standard(entry: object) -> None:
    for name in ("requirement", "why", "remedy"):
        text: str = getattr(entry, name)
        assert text.endswith("."), name
        assert len(text) > 30, name
        assert text.count("`") % 2 == 0, name
    for name in ("built_in", "on_artefact", "on_target"):
        text = getattr(entry, name)
        assert text == "-" or text.endswith("."), name
        assert text.count("`") % 2 == 0, name
    assert not getattr(entry, "title").endswith(".")  # noqa: B009 - typed as object by the parametrisation
    assert getattr(entry, "standards")  # noqa: B009


FORMS = {
    "IEC 62443-4-2": r"(CR \d\.\d{1,2}|EDR \d\.\d{1,2}|CCSC [1-4])",
    "IEC 62443-4-1": r"(SM|SR|SD|SI|SVV|DM|SUM|SG)-\d{1,2}",
    "ISO/IEC 27001:2022 Annex A": r"A\.[5-8]\.\d{1,2}",
    "EN 18031-1": r"(ACM|AUM|SUM|SSM|SCM|RLM|NMM|TCM|CCK|GEC|CRY)-\d",
    "CRA Annex I": r"(Part I \(2\)\([a-m]\)|Part II \([1-8]\))",
    "OpenSSF": r"(Badge: [a-z0-9_]+|Scorecard: [A-Za-z-]+)",
    "ISO 15118": r"[A-Z][A-Za-z ]+",
    "OCPP security whitepaper": r"[A-Z][A-Za-z ]+( 3)?",
}


def test_clauses_have_the_form_of_their_standard() -> None:
    for entry in CATALOGUE.requirements:
        for standard, clauses in entry.standards.items():
            for clause in clauses:
                assert re.fullmatch(FORMS[standard], clause), f"{entry.id}: {standard} {clause}"
            assert len(set(clauses)) == len(clauses), entry.id


def test_every_registered_check_serves_a_requirement_of_the_catalogue() -> None:
    checks.load()
    assert {check.requirement for check in registered()} <= set(CATALOGUE.ids)


def mutated(tmp_path: Path, change: Callable[[str], str]) -> Path:
    text = (data("conf") / "policy/requirements.yml").read_text()
    path = tmp_path / "requirements.yml"
    path.write_text(change(text))
    assert path.read_text() != text
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("- id: FS-02", "- id: FS-01"), "'FS-01' is there twice"),
        (lambda text: text.replace("- id: FS-02", "- id: fs2"), "is not an ID such as NET-01"),
        (lambda text: text.replace("group: TPM", "group: TMP", 1), "'TMP' is no group"),
        (lambda text: text.replace("    severity: high\n", "    severity: hgih\n", 1), "did you mean 'high'"),
        (lambda text: text.replace("    severity: high\n", "", 1), "the key 'severity' is missing"),
        (lambda text: text.replace("    evidence: false\n", "    evidence: maybe\n", 1), "must be true or false"),
        (lambda text: text.replace("    why: ", "    because: ", 1), "because: unknown key"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_its_line(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    path = mutated(tmp_path, change)
    with pytest.raises(PolicyError, match=re.escape(message)) as error:
        load_catalogue(path)
    assert re.match(rf"{re.escape(str(path))}:\d+: requirements\[\d+\]", str(error.value))


def test_an_unknown_id_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(PolicyError, match="there is no requirement 'RAUC-1'; did you mean 'RAUC-01'"):
        CATALOGUE.get("RAUC-1")


def test_a_part_of_the_catalogue_keeps_its_order_and_only_its_groups() -> None:
    part = CATALOGUE.only("CERT-04", "TPM-04", "CERT-01")
    assert list(part.ids) == ["TPM-04", "CERT-01", "CERT-04"]
    assert part.groups == ("TPM", "Certificates")


def test_a_part_of_what_does_not_exist_is_refused() -> None:
    with pytest.raises(PolicyError, match="there is no requirement 'CERT-99'"):
        CATALOGUE.only("CERT-99")
