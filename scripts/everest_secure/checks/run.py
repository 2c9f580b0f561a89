"""Runs checks on subjects: all checks of one subject together, so that what one has read serves the next, and subjects on all cores."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from everest_secure.checks.core import Check, Scope, Subject, run_check
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
) -> Mapping[Task, CheckResult]:
    """Run all checks in up to `processes` processes; `begun` is called when no more are made. Raises UserError when one of them ends early."""
    places = [(scope, position, name, subject) for scope, named in subjects.items() for position, (name, subject) in enumerate(named)]
    units = [Unit(weight(subject), _Checks(scope, name, subject, checks, parameters)) for scope, _, name, subject in places]
    everything = sum(len(list(of_scope(checks, scope))) for scope, *_ in places)
    found: dict[Task, CheckResult] = {}
    for unit, (number, result) in results(units, processes=processes, begun=begun):
        scope, position, name, _ = places[unit]
        found[number, scope, position] = result
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
    """All checks of one subject."""

    def __init__(self, scope: Scope, name: str, subject: Subject, checks: Sequence[Check], parameters: Parameters) -> None:
        self._checks = list(of_scope(checks, scope))
        self._name, self._subject, self._parameters = name, subject, parameters

    def __call__(self) -> Iterator[tuple[int, CheckResult]]:
        for number, check in self._checks:
            yield number, run_check(check, self._subject, self._name, self._parameters)
