from pathlib import Path
from typing import Any

import pytest

from everest_secure.errors import ExitCode, UserError
from everest_secure.proof.merge import merge
from everest_secure.proof.proofs import read_proofs
from everest_secure.report.model import Proven, Report
from everest_secure.result import Outcome
from support.proofs import content, entry, write
from support.reports import part, report

GOOD = report(("BOOT-01", Outcome.PASS, [part(Outcome.PASS)]), ("FS-05", Outcome.PASS, [part(Outcome.PASS)]), evidence_required=False)


def merged(tmp_path: Path, *values: dict[str, Any], into: Report = GOOD) -> Report:
    files = [write(tmp_path / f"proofs-{number}.json", value) for number, value in enumerate(values)]
    return merge(into, [proofs for file in files for proofs in read_proofs(file)])


def proven(said: Report) -> dict[str, Proven]:
    return {result.requirement.id: result.proven for result in said.results}


def test_what_was_shown_is_proven_and_changes_no_outcome(tmp_path: Path) -> None:
    said = merged(tmp_path, content(entry("BOOT-01", "FS-02")))
    assert {identifier for identifier, what in proven(said).items() if what is Proven.PROVEN} == {"BOOT-01", "FS-02"}
    assert said.counts == GOOD.counts
    assert said.exit_code == ExitCode.OK


def test_a_scenario_that_failed_is_a_finding_and_counts(tmp_path: Path) -> None:
    said = merged(tmp_path, content(entry("BOOT-01"), entry("BOOT-01", outcome="failed", reason="it booted")))
    (result,) = (result for result in said.results if result.requirement.id == "BOOT-01")
    assert (result.proven, result.outcome) == (Proven.FAILED, Outcome.FAIL)
    assert result.reason == "1 of 2 scenarios failed on the target"
    assert [shown.finding.what for shown in result.findings] == [
        "on the target it does not hold that an unsigned image is refused: it booted"
    ]
    assert said.exit_code == ExitCode.FINDINGS


def test_a_scenario_that_did_not_run_shows_nothing(tmp_path: Path) -> None:
    said = merged(tmp_path, content(entry("BOOT-01", outcome="not run", reason="QEMU has no fuses")))
    assert proven(said)["BOOT-01"] is Proven.NOT_PROVEN
    assert said.exit_code == ExitCode.OK


def test_a_requirement_that_the_artefact_shows_wholly_needs_no_target(tmp_path: Path) -> None:
    assert proven(merged(tmp_path, content(entry("BOOT-01"))))["FS-05"] is Proven.NOT_NEEDED


def test_an_error_of_a_check_stays_one(tmp_path: Path) -> None:
    broken = report(("BOOT-01", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]))
    said = merged(tmp_path, content(entry("BOOT-01", outcome="failed", reason="no")), into=broken)
    assert said.exit_code == ExitCode.FAILED


def test_runs_add_up(tmp_path: Path) -> None:
    second = content(entry("FS-02"), time="2026-08-22T13:00:00+00:00")
    said = merged(tmp_path, content(entry("BOOT-01")), second)
    again = merged(tmp_path, content(entry("NET-01"), time="2026-08-23T13:00:00+00:00"), into=said)
    assert {identifier for identifier, what in proven(again).items() if what is Proven.PROVEN} == {"BOOT-01", "FS-02", "NET-01"}
    assert len(again.runs) == 3


def test_proofs_of_another_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"was made with disk\.raw of SHA-256 (cd){32}, on which the report says nothing"):
        merged(tmp_path, content(entry("BOOT-01"), sha256="cd" * 32))


def test_the_same_run_is_not_merged_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is in the report already"):
        merged(tmp_path, content(entry("BOOT-01")), content(entry("BOOT-01")))
    with pytest.raises(UserError, match="is in the report already"):
        merged(tmp_path, content(entry("BOOT-01")), into=merged(tmp_path, content(entry("BOOT-01"))))


def test_a_requirement_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is about XX-99, which the report does not know"):
        merged(tmp_path, content(entry("XX-99")))


def test_without_runs_a_report_says_nothing_of_proofs() -> None:
    assert merge(GOOD, []) == GOOD
