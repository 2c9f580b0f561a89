import os
from pathlib import Path

from everest_secure.checks.core import Check, Notes, Scope
from everest_secure.checks.run import Subjects, one_by_one, run_all
from everest_secure.checks.subjects import find_subjects
from everest_secure.result import Outcome
from support.reports import policy, root_artefact

PARAMETERS = policy().parameters


def who(_: object, __: object, note: Notes) -> None:
    note.saw(str(os.getpid()))


def again(_: object, __: object, note: Notes) -> None:
    note.saw(str(os.getpid()))


CHECKS = [Check("NET-01", Scope.ROOT, who), Check("BOOT-01", Scope.BOOT, who), Check("NET-04", Scope.ROOT, again)]


def subjects(tmp_path: Path, number: int) -> Subjects:
    return find_subjects([root_artefact(tmp_path / str(one), f"root-{one}") for one in range(number)])


def test_every_check_runs_on_every_subject_of_its_scope(tmp_path: Path) -> None:
    for processes in (1, 2):
        found = run_all(subjects(tmp_path, 3), CHECKS, PARAMETERS, processes=processes)
        assert set(found) == {(number, Scope.ROOT, position) for number in (0, 2) for position in range(3)}
        assert all(result.outcome is Outcome.PASS for result in found.values())
        assert {result.subject for result in found.values()} == {"root-0", "root-1", "root-2"}
        assert found[0, Scope.ROOT, 1].check == "who"


def test_all_checks_of_a_subject_run_in_one_process_and_subjects_in_several(tmp_path: Path) -> None:
    found = run_all(subjects(tmp_path, 2), CHECKS, PARAMETERS, processes=2)
    by_subject = {position: {result.seen for (_, _, place), result in found.items() if place == position} for position in (0, 1)}
    assert [len(seen) for seen in by_subject.values()] == [1, 1]
    assert by_subject[0] != by_subject[1]


def test_one_by_one_makes_no_process(tmp_path: Path) -> None:
    assert {result.seen for result in one_by_one(subjects(tmp_path, 2), CHECKS, PARAMETERS).values()} == {(str(os.getpid()),)}


def test_progress_is_told_of_each_check_and_ends_with_all(tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []
    run_all(subjects(tmp_path, 2), CHECKS, PARAMETERS, processes=2, progress=lambda *step: said.append(step))
    assert [step[:2] for step in said] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {step[2] for step in said} == {f"{identifier}  root-{number}" for identifier in ("NET-01", "NET-04") for number in (0, 1)}
