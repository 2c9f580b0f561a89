import pytest

from everest_secure.errors import ExitCode
from everest_secure.result import Outcome
from support.reports import finding, part, report


@pytest.mark.parametrize(
    ("outcome", "required", "code"),
    [
        (Outcome.PASS, True, ExitCode.OK),
        (Outcome.NOT_CHECKED, True, ExitCode.OK),
        (Outcome.WAIVED, True, ExitCode.OK),
        (Outcome.EVIDENCE_PRESENT, True, ExitCode.OK),
        (Outcome.NOT_APPLICABLE, True, ExitCode.OK),
        (Outcome.EVIDENCE_MISSING, True, ExitCode.FINDINGS),
        (Outcome.EVIDENCE_EXPIRED, True, ExitCode.FINDINGS),
        (Outcome.EVIDENCE_MISSING, False, ExitCode.OK),
        (Outcome.EVIDENCE_EXPIRED, False, ExitCode.OK),
        (Outcome.FAIL, False, ExitCode.FINDINGS),
        (Outcome.ERROR, False, ExitCode.FAILED),
    ],
)
def test_each_outcome_has_its_exit_code(outcome: Outcome, required: bool, code: ExitCode) -> None:
    assert report(("NET-01", outcome, ()), evidence_required=required).exit_code == code


def test_an_error_outweighs_findings() -> None:
    said = report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding()])]), ("NET-04", Outcome.ERROR, ()))
    assert said.exit_code == ExitCode.FAILED
    assert said.verdict == "Could not verify: 1 requirement could not be checked, 1 more not met"


def test_the_verdict_counts_what_was_not_checked() -> None:
    assert report(("NET-01", Outcome.PASS, ())).verdict == "Acceptable: everything that was checked holds; 65 requirements not checked"
    assert report(("NET-01", Outcome.FAIL, ())).verdict == "Not acceptable: 1 requirement not met"


def test_every_requirement_is_counted_once() -> None:
    said = report(("NET-01", Outcome.FAIL, ()), ("NET-04", Outcome.PASS, ()))
    assert sum(said.counts.values()) == len(said.results) == sum(len(said.in_group(group)) for group in said.groups)
    assert list(said.counts) == list(Outcome)


def test_digests_belong_to_what_was_given_and_not_to_what_is_inside() -> None:
    said = report().with_digests({"disk.raw": "11" * 32, "disk.raw:rootfs-a": "22" * 32})
    assert [subject.sha256 for subject in said.subjects] == ["11" * 32, ""]
