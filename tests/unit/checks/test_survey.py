from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.checks import survey as module
from everest_secure.checks.core import Check, Notes, Root, Scope
from everest_secure.checks.run import run_all
from everest_secure.checks.subjects import find_subjects
from everest_secure.checks.survey import File
from everest_secure.errors import ArtefactError
from everest_secure.parse.pieces import pieces
from everest_secure.result import CheckResult, Outcome
from support.reports import policy, root_artefact


def look(_: Root, __: object, file: File) -> Iterator[str]:
    yield f"{file.node.path} {len(file.first)}"


def refuse(_: Root, __: object, file: File) -> Iterator[str]:
    if file.node.path.endswith("/7"):
        raise ArtefactError("7 cannot be read")
    yield file.node.path


def noted(_: Root, __: object, note: Notes, facts: tuple[str, ...]) -> None:
    for fact in sorted(facts):
        note.saw(fact)


def results(tmp_path: Path, processes: int) -> list[CheckResult]:
    for number in range(10):
        (tmp_path / str(processes) / "usr/share").mkdir(parents=True, exist_ok=True)
        (tmp_path / str(processes) / f"usr/share/{number}").write_bytes(bytes(number))
    artefact = root_artefact(tmp_path / str(processes), "root")
    checks = [Check("FS-06", Scope.ROOT, noted, survey=each) for each in (look, refuse)]
    return list(run_all(find_subjects([artefact]), checks, policy().parameters, processes=processes).values())


def test_parts_of_a_pass_see_every_file_once_and_an_error_is_that_of_its_check_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "SLICE", 4)
    one, several = results(tmp_path, 1), results(tmp_path, 3)
    assert [entry.seen for entry in one] == [entry.seen for entry in several]
    assert {f"/usr/share/{number} {number}" for number in range(1, 10)} <= set(one[0].seen)
    assert [entry.outcome for entry in several] == [Outcome.PASS, Outcome.ERROR]
    assert several[1].reason == "7 cannot be read"


@pytest.mark.parametrize("giants", [1, 600])
def test_what_sparse_giants_claim_is_an_error_and_is_not_waited_for(tmp_path: Path, giants: int) -> None:
    (tmp_path / "root/usr/share").mkdir(parents=True)
    size = 16 * 1024**4 // giants - 4096
    for number in range(giants):
        with (tmp_path / f"root/usr/share/{number}").open("wb") as file:
            file.truncate(size)

    def search(_: Root, __: object, file: File) -> Iterator[int]:
        yield from (offset for offset, _ in pieces(file.blob, file.first))

    found = find_subjects([root_artefact(tmp_path / "root", "root")])
    checks = [Check("FS-06", Scope.ROOT, noted, survey=search)]
    for processes in (1, 2):
        (result,) = run_all(found, checks, policy().parameters, processes=processes).values()
        assert result.outcome is Outcome.ERROR
        assert "more than the 17179869184 that are searched; make them smaller, /usr/share/" in result.reason
