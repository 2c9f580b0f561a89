from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from everest_secure.checks.core import Check, CheckFunction, Location, NotApplicable, Notes, Root, Scope
from everest_secure.checks.verify import verify
from everest_secure.errors import ArtefactError, ExitCode
from everest_secure.image.artefact import Artefact, open_part
from everest_secure.image.blob import from_bytes
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import Policy
from everest_secure.report.model import Report, Result
from everest_secure.result import Outcome
from support.reports import TIME, policy, root_artefact

CATALOGUE = load_catalogue()


def holds(_: object, __: object, note: Notes) -> None:
    note.saw("/etc/passwd")


def fails(_: object, __: object, note: Notes) -> None:
    note.finding("sshd is enabled", at=Location("root", "/etc/sshd"), remedy="Remove it.")
    note.finding("telnetd is enabled", at=Location("root", "/etc/telnetd"), remedy="Remove it.")


def cannot_read(*_: object) -> None:
    raise ArtefactError("root: /etc/passwd is corrupt")


def does_not_concern(*_: object) -> None:
    raise NotApplicable("not installed")


def told(requirement: str, function: CheckFunction, scope: Scope = Scope.ROOT) -> Check:
    return Check(requirement, scope, function)


@pytest.fixture
def verified(tmp_path: Path) -> Callable[..., Report]:
    def run(*checks: Check, text: str = "", artefacts: Sequence[Artefact] = ()) -> Report:
        own: Policy = policy(tmp_path / "my.yml", f"extends: production\n{text}") if text else policy()
        given = artefacts or [root_artefact(tmp_path / "root", "root")]
        return verify(given, policy=own, catalogue=CATALOGUE, checks=checks, time=TIME)

    return run


Verified = Callable[..., Report]


def of(report: Report, identifier: str) -> Result:
    return next(result for result in report.results if result.requirement.id == identifier)


def test_every_requirement_of_the_catalogue_is_in_the_report_once(verified: Verified) -> None:
    assert [result.requirement for result in verified().results] == list(CATALOGUE.requirements)


def test_a_requirement_without_a_check_is_not_checked_and_says_so(verified: Verified) -> None:
    result = of(verified(), "NET-06")
    assert (result.outcome, result.reason) == (Outcome.NOT_CHECKED, "there is no check for it yet")


def test_a_requirement_that_no_artefact_can_show_does_not_concern_one(verified: Verified) -> None:
    """SUP-04 is the project's own."""
    report = verified()
    for requirement in (entry for entry in CATALOGUE.requirements if entry.on_artefact == "-"):
        assert of(report, requirement.id).outcome is Outcome.NOT_APPLICABLE
    assert of(report, "SUP-04").reason == "no artefact shows it"


def test_a_check_of_the_catalogue_looks_at_the_catalogue_whatever_is_given(verified: Verified) -> None:
    def sees(catalogue: object, _: object, note: Notes) -> None:
        assert catalogue is CATALOGUE
        note.saw("it")

    assert of(verified(told("DOC-01", sees, Scope.CATALOGUE)), "DOC-01").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("functions", "outcome"),
    [
        ([holds], Outcome.PASS),
        ([holds, fails], Outcome.FAIL),
        ([fails, cannot_read], Outcome.ERROR),
        ([does_not_concern], Outcome.NOT_APPLICABLE),
        ([does_not_concern, holds], Outcome.PASS),
    ],
)
def test_the_worst_check_decides(verified: Verified, functions: list[CheckFunction], outcome: Outcome) -> None:
    assert of(verified(*(told("NET-06", function) for function in functions)), "NET-06").outcome is outcome


def test_each_root_is_checked(verified: Verified, tmp_path: Path) -> None:
    roots = [root_artefact(tmp_path / name, name) for name in ("a", "b")]
    result = of(verified(told("NET-06", holds), artefacts=roots), "NET-06")
    assert [part.subject for part in result.parts] == ["a", "b"]


def test_a_check_without_anything_to_look_at_leaves_its_requirement_unchecked(verified: Verified) -> None:
    report = verified(told("RAUC-03", holds, Scope.BUNDLE), told("FS-01", holds), told("FS-01", holds, Scope.BOOT))
    assert (of(report, "RAUC-03").outcome, of(report, "RAUC-03").reason) == (Outcome.NOT_CHECKED, "no RAUC bundle among the artefacts")
    assert (of(report, "FS-01").outcome, of(report, "FS-01").reason) == (Outcome.NOT_CHECKED, "no boot chain among the artefacts")


def test_a_check_of_an_unknown_requirement_is_not_dropped_in_silence(verified: Verified) -> None:
    with pytest.raises(ValueError, match="NET-99"):
        verified(told("NET-99", holds))


WAIVER = "waivers:\n- {{id: NET-06, reason: bench, owner: Jane, expires: {expires}{more}}}\n"


def test_a_waiver_covers_all_findings_of_its_requirement(verified: Verified) -> None:
    report = verified(told("NET-06", fails), text=WAIVER.format(expires="2026-08-21", more=""))
    assert of(report, "NET-06").outcome is Outcome.WAIVED
    assert "Jane" in of(report, "NET-06").reason
    assert not report.notices


def test_a_waiver_for_one_finding_leaves_the_others(verified: Verified) -> None:
    report = verified(told("NET-06", fails), text=WAIVER.format(expires="2026-12-31", more=", match: sshd"))
    result = of(report, "NET-06")
    assert (result.outcome, result.reason) == (Outcome.FAIL, "1 finding")
    assert [shown.waiver is not None for shown in result.findings] == [True, False]
    assert not report.notices


def test_an_expired_waiver_waives_nothing_and_is_reported(verified: Verified) -> None:
    report = verified(told("NET-06", fails), text=WAIVER.format(expires="2026-08-20", more=""))
    assert of(report, "NET-06").outcome is Outcome.FAIL
    assert [notice for notice in report.notices if "NET-06" in notice and "expired on 2026-08-20" in notice]


def test_a_waiver_that_covers_nothing_is_reported(verified: Verified) -> None:
    report = verified(told("NET-06", holds), text=WAIVER.format(expires="2027-01-01", more=""))
    assert of(report, "NET-06").outcome is Outcome.PASS
    assert [notice for notice in report.notices if "NET-06" in notice and "covers nothing" in notice]


def test_an_error_is_never_waived(verified: Verified) -> None:
    report = verified(told("NET-06", cannot_read), text=WAIVER.format(expires="2027-01-01", more=""))
    assert of(report, "NET-06").outcome is Outcome.ERROR


EVIDENCE = "evidence:\n- {{id: BOOT-04, statement: fuses blown, owner: Ware, date: {signed}, expires: {expires}}}\n"


@pytest.mark.parametrize(
    ("signed", "expires", "outcome"),
    [
        ("2026-01-01", "2026-08-21", Outcome.EVIDENCE_PRESENT),
        ("2026-01-01", "2026-08-20", Outcome.EVIDENCE_EXPIRED),
        ("2026-08-22", "2027-08-22", Outcome.EVIDENCE_MISSING),
        ("2026-01-01", "2031-01-02", Outcome.EVIDENCE_PRESENT),
        ("2026-01-01", "2031-01-03", Outcome.EVIDENCE_MISSING),
    ],
)
def test_evidence_holds_from_its_date_to_its_last_day(verified: Verified, signed: str, expires: str, outcome: Outcome) -> None:
    assert of(verified(text=EVIDENCE.format(signed=signed, expires=expires)), "BOOT-04").outcome is outcome


def test_missing_evidence_is_missing_and_can_be_waived(verified: Verified) -> None:
    assert of(verified(), "BOOT-04").outcome is Outcome.EVIDENCE_MISSING
    waived = verified(text="waivers:\n- {id: BOOT-04, reason: prototype, owner: Jane, expires: 2026-12-31}\n")
    assert of(waived, "BOOT-04").outcome is Outcome.WAIVED
    assert not waived.notices


def test_evidence_decides_only_where_the_artefact_does_not(verified: Verified) -> None:
    text = EVIDENCE.format(signed="2026-01-01", expires="2027-01-01").replace("BOOT-04", "FS-04")
    assert of(verified(told("FS-04", fails), text=text), "FS-04").outcome is Outcome.FAIL
    assert of(verified(told("FS-04", does_not_concern), text=text), "FS-04").outcome is Outcome.EVIDENCE_PRESENT


def test_one_slot_that_is_encrypted_says_nothing_of_the_other(verified: Verified, tmp_path: Path) -> None:
    def encrypted(root: Root, _: object, note: Notes) -> None:
        if root.artefact.name == "b":
            raise NotApplicable("the data partition is not encrypted")
        note.saw("LUKS2")

    def of_slots(*names: str) -> Outcome:
        roots = [root_artefact(tmp_path / name, name) for name in names]
        return of(verified(told("FS-04", encrypted), artefacts=roots), "FS-04").outcome

    assert of_slots("a") is Outcome.PASS
    assert of_slots("a", "b") is Outcome.EVIDENCE_MISSING


def test_a_part_of_unknown_format_is_mentioned(verified: Verified, tmp_path: Path) -> None:
    other = from_bytes(b"XFSB".ljust(4096, b"\0"), "disk.raw:data")
    parts = (root_artefact(tmp_path / "a", "disk.raw:rootfs-a"), Artefact("disk.raw:rootfs-b", "unknown"), open_part(other, 1))
    report = verified(artefacts=[Artefact("disk.raw", "gpt", children=parts)])
    assert "disk.raw:rootfs-b is of a format that is not known, and was not checked" in report.notices
    assert "disk.raw:data is XFS, which is not read, and was not checked" in report.notices
    assert [(subject.name, subject.depth) for subject in report.subjects] == [
        ("disk.raw", 0),
        ("disk.raw:rootfs-a", 1),
        ("disk.raw:rootfs-b", 1),
        ("disk.raw:data", 1),
    ]


def test_the_exit_code_follows_from_the_outcomes(verified: Verified) -> None:
    relaxed = "parameters: {evidence_required: false}\n"
    assert verified(told("NET-06", holds), text=relaxed).exit_code == ExitCode.OK
    assert verified(told("NET-06", holds)).exit_code == ExitCode.FINDINGS
    assert verified(told("NET-06", fails), text=relaxed).exit_code == ExitCode.FINDINGS
    assert verified(told("NET-06", fails), told("NET-07", cannot_read), text=relaxed).exit_code == ExitCode.FAILED


def test_a_reason_that_holds_for_several_subjects_is_said_once(verified: Verified, tmp_path: Path) -> None:
    both = [root_artefact(tmp_path / name, name) for name in ("a", "b")]
    result = of(verified(told("NET-01", does_not_concern), artefacts=both), "NET-01")
    assert (result.outcome, result.reason) == (Outcome.NOT_APPLICABLE, "a, b: not installed")
