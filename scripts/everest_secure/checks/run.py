"""Runs checks on subjects on all cores: all checks of one subject together, so that what one has read serves the next.

What looks at every file of a root is a pass of its own, which several processes share.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from everest_secure.checks.core import Boot, Bundle, Check, Root, Scope, Subject, run_check
from everest_secure.checks.memory import Memory
from everest_secure.checks.progress import Progress, unseen
from everest_secure.checks.subjects import Named
from everest_secure.checks.survey import Survey, Surveyed, parts, survey
from everest_secure.checks.workers import Unit, results
from everest_secure.image.tree import Node, Tree
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult

Task = tuple[int, Scope, int]
"""Position of a check among all checks, its scope, and the position of a subject among those of the scope."""
Subjects = Mapping[Scope, Sequence[Named]]
FEW = 32 * 1024 * 1024
"""Bytes that the checks of a root are taken to read beside the pass over all files."""
COPIES = 1_000_000
"""Files and directories that all processes together hold copies of, about 300 bytes each: of a larger tree there is one, and one process."""
Runner = Callable[[Subjects, Sequence[Check], Parameters], Mapping[Task, CheckResult]]
"""Returns what every check says of every subject of its scope."""


def one_by_one(subjects: Subjects, checks: Sequence[Check], parameters: Parameters) -> Mapping[Task, CheckResult]:
    """Run all checks in this process."""
    return run_all(subjects, checks, parameters, processes=1)


def run_all(
    subjects: Subjects,
    checks: Sequence[Check],
    parameters: Parameters,
    *,
    processes: int,
    progress: Progress = unseen,
    memory: Memory | None = None,
) -> Mapping[Task, CheckResult]:
    """Run all checks in up to `processes` processes.

    What `memory` knows is not run again. Raises UserError when a process ends early.
    """
    processes = min(processes, max(1, COPIES // (1 + sum(len(tree.nodes()) for tree in _trees(subjects)))))
    found: dict[Task, CheckResult] = {}
    units: list[Unit[_Value]] = []
    owners: list[_Place] = []
    for scope, named in subjects.items():
        for position, (name, subject) in enumerate(named):
            own = dict(of_scope(checks, scope))
            known = memory.known(scope, name, subject, own) if memory else {}
            found.update({(number, scope, position): result for number, result in known.items()})
            place = _Place(scope, position, name, subject)
            new = place.units({number: check for number, check in own.items() if number not in known}, parameters, processes)
            units += new
            owners += [place] * len(new)
    everything = sum(len(named) * len(dict(of_scope(checks, scope))) for scope, named in subjects.items())
    for unit, value in results(units, processes=processes):
        place = owners[unit]
        for number, result, alone in place.completed(value, checks, parameters):
            found[number, place.scope, place.position] = result
            if memory:
                memory.learn(place.scope, place.name, checks[number], result, alone=alone)
            progress(len(found), everything, f"{checks[number].requirement}  {place.name}")
    return found


def of_scope(checks: Sequence[Check], scope: Scope) -> Iterator[tuple[int, Check]]:
    """Yield the checks of one scope with their positions among all."""
    return ((number, check) for number, check in enumerate(checks) if check.scope is scope)


def _trees(subjects: Subjects) -> Iterator[Tree]:
    """Yield the file systems that roots are."""
    return (subject.tree for _, subject in subjects.get(Scope.ROOT, ()) if isinstance(subject, Root))


def weight(subject: Subject) -> int:
    """Return how much the checks of a subject read, roughly, in bytes: a disk and a bundle are hashed, of everything else a few files are looked at."""
    if isinstance(subject, Boot):
        return subject.container.blob.size if subject.container.blob else 0
    if isinstance(subject, Bundle):
        return subject.artefact.blob.size if subject.artefact.blob else 0
    return FEW


_Said = tuple[int, CheckResult, bool]
"""A check's position, what it said, and whether it looked at nothing but the subject itself."""
_Noted = Mapping[int, tuple[Surveyed, bool]]
"""What surveys noted in one part of a root, by the position of the check, and whether they looked at nothing else."""
_Value = _Said | _Noted


class _Place:
    """A subject among all, and what has come of its passes so far."""

    def __init__(self, scope: Scope, position: int, name: str, subject: Subject) -> None:
        self.scope, self.position, self.name = scope, position, name
        self._subject = subject
        self._noted: dict[int, tuple[Surveyed, bool]] = {}
        self._missing = 0

    def units(self, checks: Mapping[int, Check], parameters: Parameters, processes: int) -> list[Unit[_Value]]:
        """Return what there is to do: the checks, and each part of the pass for those that look at every file."""
        surveys = {number: check.survey for number, check in checks.items() if check.survey and isinstance(self._subject, Root)}
        others = {number: check for number, check in checks.items() if number not in surveys}
        units: list[Unit[_Value]] = []
        if others:
            units.append(Unit(weight(self._subject), _Checks(others, self.name, self._subject, parameters)))
        if surveys and isinstance(self._subject, Root):
            shares = parts(self._subject.tree, processes)
            self._missing = len(shares)
            units += [Unit(sum(node.size for node in share), _Pass(surveys, self._subject, parameters, share)) for share in shares]
        return units

    def completed(self, value: _Value, checks: Sequence[Check], parameters: Parameters) -> Iterator[_Said]:
        """Yield what is known with this value: a result, or those of all surveys when it was the last part of the pass."""
        if isinstance(value, tuple):
            yield value
            return
        for number, (noted, alone) in value.items():
            before, so_far = self._noted.get(number, (Surveyed(), True))
            self._noted[number] = before + noted, so_far and alone
        self._missing -= 1
        if not self._missing:
            for number, (noted, alone) in self._noted.items():
                subject, looks = watched(self._subject)
                result = run_check(checks[number], subject, self.name, parameters, noted)
                yield number, result, alone and not looks


class _Checks:
    """Checks of one subject, in this order."""

    def __init__(self, checks: Mapping[int, Check], name: str, subject: Subject, parameters: Parameters) -> None:
        self._checks, self._name, self._subject, self._parameters = checks, name, subject, parameters

    def __call__(self) -> Iterator[_Said]:
        """Yield what each check said."""
        subject, looks = watched(self._subject)
        for number, check in self._checks.items():
            looks.clear()
            result = run_check(check, subject, self._name, self._parameters)
            yield number, result, not looks


class _Pass:
    """A part of the pass over the files of a root."""

    def __init__(self, surveys: Mapping[int, Survey], root: Root, parameters: Parameters, nodes: Sequence[Node]) -> None:
        self._surveys, self._root, self._parameters, self._nodes = surveys, root, parameters, nodes

    def __call__(self) -> Iterator[_Noted]:
        """Yield what all surveys noted, once."""
        subject, looks = watched(self._root)
        assert isinstance(subject, Root)  # noqa: S101 - it is one that notes
        noted = survey(self._surveys, subject, self._parameters, self._nodes)
        yield {number: (each, not looks) for number, each in noted.items()}


def watched(subject: Subject) -> tuple[Subject, list[str]]:
    """Return a subject that notes in the list when somebody looks at what it lies in; only a root file system lies in something."""
    looks: list[str] = []
    if not isinstance(subject, Root):
        return subject, looks

    class Watched(Root):
        def __getattribute__(self, name: str) -> object:
            if name == "container":
                looks.append(name)
            return super().__getattribute__(name)

    return Watched(subject.artefact, subject.tree, subject.container), looks
