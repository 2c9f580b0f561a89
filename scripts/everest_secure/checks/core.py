"""How a check is written, registered and run.

A check is a function of a few lines named after what holds::

    @check("NET-01", on=Scope.ROOT)
    def main_broker_listens_on_one_unix_socket(subject: Root, policy: Parameters, note: Notes) -> None:
        ...
        note.saw("/etc/mosquitto/everest.conf: listener 0 /run/mosquitto/everest.sock")
        note.finding("...", at=Location(...), remedy="...")

It never decides its outcome: findings make a fail, something seen and no finding makes a pass, neither makes an error, so that a check
that read nothing cannot pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from everest_secure.checks.survey import Survey, Surveyed, reason_of, whole
from everest_secure.image.artefact import Artefact
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.image.tree import Tree
from everest_secure.policy.catalogue import Catalogue
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult, Finding, Location, Outcome

__all__ = [
    "Boot",
    "Build",
    "Bundle",
    "Check",
    "CheckResult",
    "Finding",
    "Location",
    "NotApplicable",
    "Notes",
    "Outcome",
    "Root",
    "Scope",
    "Subject",
    "check",
    "registered",
    "run_check",
]


class NotApplicable(Exception):
    """Raised by a check whose requirement does not concern this subject; the text says why."""


@dataclass
class Notes:
    """What a check wrote down."""

    findings: list[Finding] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def saw(self, evidence: str) -> None:
        """Note what was read and is as it should be, in a few words that an assessor can look up."""
        self.seen.append(evidence)

    def finding(self, what: str, *, at: Location, remedy: str) -> None:
        """Note what does not hold."""
        self.findings.append(Finding(what, at, remedy))


class Scope(StrEnum):
    """What a check looks at; it runs once for each such thing in the artefacts."""

    ROOT = "root file system"
    BOOT = "boot chain"
    BUNDLE = "RAUC bundle"
    BUILD = "image with what its build left beside it"
    CATALOGUE = "catalogue of requirements"
    """There is always one: what a check of it says, no artefact decides."""


STARTING = (Scope.BOOT, Scope.BUNDLE)
"""What starts a system: the boot chain of a disk, and that which a bundle puts in its place."""


@dataclass(frozen=True)
class Root:
    """A root file system, with the disk image or bundle that it came from."""

    artefact: Artefact
    """The file system itself; its `tree` is not None."""
    tree: Tree
    container: Artefact
    """The outermost artefact: disk, bundle, or the file system itself."""


@dataclass(frozen=True)
class Boot:
    """Everything on a disk that decides what runs first: the disk with its ESPs, UKIs and root file systems."""

    container: Artefact
    roots: tuple[Root, ...]


@dataclass(frozen=True)
class Bundle:
    """A RAUC bundle and the roots of the other artefacts that will have to accept it."""

    artefact: Artefact
    roots: tuple[Root, ...]
    """Root file systems outside the bundle: the keyring a device would verify with. May be empty."""

    @property
    def container(self) -> Artefact:
        """The bundle itself, which holds all that is started of it."""
        return self.artefact


@dataclass(frozen=True)
class Build:
    """The images of one name, and the lists that their build left beside them."""

    container: Artefact
    """The first of the images."""
    roots: tuple[Root, ...]
    """Root file systems of all of them. May be empty."""
    companions: tuple[Companion, ...]
    """May be empty."""

    def of(self, kind: CompanionKind) -> Companion | None:
        """Return the companion of a kind, the one that says most; None when there is none."""
        return next((companion for companion in self.companions if companion.kind is kind), None)


Starting = Boot | Bundle
Subject = Root | Boot | Bundle | Build | Catalogue
CheckFunction = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check."""

    requirement: str
    scope: Scope
    function: CheckFunction
    title: str = ""
    """What holds, in words; empty when the function's name says it."""
    survey: Survey | None = None
    """What is looked at in each file of a root; the function is given what it noted as the last argument."""

    @property
    def name(self) -> str:
        """What holds, in words."""
        return self.title or self.function.__name__.replace("_", " ")


_registry: list[Check] = []


def check(requirement: str, *, on: Scope | tuple[Scope, ...], survey: Survey | None = None) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as a check of one requirement on a scope, or on several; several may serve the same requirement.

    A check that looks at the content of every file gives a `survey`, which does the looking, and takes the tuple of what it noted as fourth argument.
    """

    def register(function: CheckFunction) -> CheckFunction:
        scopes = (on,) if isinstance(on, Scope) else on
        _registry.extend(Check(requirement, scope, function, survey=survey) for scope in scopes)
        return function

    return register


def registered() -> Sequence[Check]:
    """Return all checks, in order of registration; call `everest_secure.checks.load` first."""
    return tuple(_registry)


def run_check(entry: Check, subject: Subject, name: str, policy: Parameters, surveyed: Surveyed | None = None) -> CheckResult:
    """Run one check on one subject; `surveyed` is what its survey noted, which is made here when it is not at hand.

    An unreadable artefact, a check that saw nothing and a check that breaks down are errors and never a pass; none of them keeps the other
    checks from running.
    """
    notes = Notes()
    try:
        if entry.survey and isinstance(subject, Root):
            noted = surveyed or whole(entry.survey, subject, policy)
            if noted.error:
                return CheckResult(entry.name, name, Outcome.ERROR, noted.error)
            entry.function(subject, policy, notes, noted.facts)
        else:
            entry.function(subject, policy, notes)
    except NotApplicable as why:
        return CheckResult(entry.name, name, Outcome.NOT_APPLICABLE, str(why))
    except Exception as error:
        return CheckResult(entry.name, name, Outcome.ERROR, reason_of(error), tuple(notes.seen), tuple(notes.findings))
    if notes.findings:
        return CheckResult(entry.name, name, Outcome.FAIL, "", tuple(notes.seen), tuple(notes.findings))
    if not notes.seen:
        return CheckResult(entry.name, name, Outcome.ERROR, "the check found nothing to look at")
    return CheckResult(entry.name, name, Outcome.PASS, "", tuple(notes.seen))
