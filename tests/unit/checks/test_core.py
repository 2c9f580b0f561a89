from collections.abc import Callable
from pathlib import Path

import pytest

from everest_secure.checks.core import Check, CheckFunction, Location, NotApplicable, Notes, Outcome, Root, Scope, run_check
from everest_secure.errors import ArtefactError
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult
from support.reports import policy, root_artefact

HERE = Location("root", "/etc/passwd", 3)


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[CheckFunction], CheckResult]:
    artefact = root_artefact(tmp_path / "root", "root")
    assert artefact.tree is not None
    subject, parameters = Root(artefact, artefact.tree, artefact), policy().parameters
    return lambda function: run_check(Check("FS-01", Scope.ROOT, function), subject, "root", parameters)


Ran = Callable[[CheckFunction], CheckResult]


def test_a_check_that_saw_something_and_found_nothing_passes(ran: Ran) -> None:
    def nothing_is_wrong(_: Root, __: Parameters, note: Notes) -> None:
        note.saw("/etc/passwd")

    result = ran(nothing_is_wrong)
    assert (result.outcome, result.check, result.seen) == (Outcome.PASS, "nothing is wrong", ("/etc/passwd",))


def test_a_check_that_saw_nothing_is_an_error_and_no_pass(ran: Ran) -> None:
    assert ran(lambda *_: None).outcome is Outcome.ERROR


def test_a_finding_fails_whatever_else_was_seen(ran: Ran) -> None:
    def something_is_wrong(_: Root, __: Parameters, note: Notes) -> None:
        note.saw("/etc/shadow")
        note.finding("root has no password", at=HERE, remedy="Lock it.")

    result = ran(something_is_wrong)
    assert result.outcome is Outcome.FAIL
    assert [str(finding.at) for finding in result.findings] == ["root: /etc/passwd:3"]


def test_not_applicable_says_why(ran: Ran) -> None:
    def optional(*_: object) -> None:
        raise NotApplicable("not installed")

    result = ran(optional)
    assert (result.outcome, result.reason) == (Outcome.NOT_APPLICABLE, "not installed")


@pytest.mark.parametrize(
    "error", [ArtefactError("block 7 is corrupt"), KeyError("x"), RecursionError(), UnicodeDecodeError("utf-8", b"", 0, 1, "bad")]
)
def test_a_check_that_cannot_read_or_breaks_down_is_an_error_that_keeps_what_it_found(ran: Ran, error: Exception) -> None:
    def breaks(_: Root, __: Parameters, note: Notes) -> None:
        note.saw("/etc/shadow")
        note.finding("root has no password", at=HERE, remedy="Lock it.")
        raise error

    result = ran(breaks)
    assert result.outcome is Outcome.ERROR
    assert result.reason
    assert len(result.findings) == 1
