"""Runs checks on subjects: all checks of one subject together, so that what one has read serves the next, and subjects on all cores."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from everest_secure.checks.core import Check, Root, Scope, Subject, run_check
from everest_secure.checks.memory import Memory
from everest_secure.checks.progress import Progress, unseen
from everest_secure.checks.subjects import Named
from everest_secure.checks.workers import Unit, nothing, results
from everest_secure.image.artefact import Artefact
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult

Task = tuple[int, Scope, int]
"""Position of a check among all checks, its scope, and the position of a subject among those of the scope."""
Subjects = Mapping[Scope, Sequence[Named]]
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
    begun: Callable[[], object] = nothing,
    memory: Memory | None = None,
) -> Mapping[Task, CheckResult]:
    """Run all checks in up to `processes` processes; `begun` is called when no more are made.

    What `memory` knows is not run again. Raises UserError when a process ends early.
    """
    places = [(scope, position, name, subject) for scope, named in subjects.items() for position, (name, subject) in enumerate(named)]
    found: dict[Task, CheckResult] = {}
    left: list[tuple[Scope, int, str]] = []
    units = []
    for scope, position, name, subject in places:
        own = dict(of_scope(checks, scope))
        known = memory.known(scope, name, subject, own) if memory else {}
        found.update({(number, scope, position): result for number, result in known.items()})
        new = {number: check for number, check in own.items() if number not in known}
        if new:
            left.append((scope, position, name))
            units.append(Unit(weight(subject), _Checks(new, name, subject, parameters)))
    everything = sum(len(dict(of_scope(checks, scope))) for scope, *_ in places)
    for unit, (number, result, alone) in results(units, processes=processes, begun=begun):
        scope, position, name = left[unit]
        found[number, scope, position] = result
        if memory:
            memory.learn(scope, name, checks[number], result, alone=alone)
        progress(len(found), everything, f"{checks[number].requirement}  {name}")
    return found


def of_scope(checks: Sequence[Check], scope: Scope) -> Iterator[tuple[int, Check]]:
    """Yield the checks of one scope with their positions among all."""
    return ((number, check) for number, check in enumerate(checks) if check.scope is scope)


def weight(subject: Subject) -> int:
    """Return how much there is to read, roughly: the size in bytes of what a subject is."""
    artefact = getattr(subject, "artefact", None) or getattr(subject, "container", None)
    return artefact.blob.size if isinstance(artefact, Artefact) and artefact.blob else 0


class _Checks:
    """Checks of one subject, in this order."""

    def __init__(self, checks: Mapping[int, Check], name: str, subject: Subject, parameters: Parameters) -> None:
        self._checks, self._name, self._subject, self._parameters = checks, name, subject, parameters

    def __call__(self) -> Iterator[tuple[int, CheckResult, bool]]:
        """Yield each check's position, what it said, and whether it looked at nothing but the subject itself."""
        subject, looks = watched(self._subject)
        for number, check in self._checks.items():
            looks.clear()
            result = run_check(check, subject, self._name, self._parameters)
            yield number, result, not looks


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
