"""What is said of an artefact: the values that checks make and reports show."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What is said of one requirement, worst first."""

    ERROR = "error"
    FAIL = "fail"
    EVIDENCE_MISSING = "evidence missing"
    EVIDENCE_EXPIRED = "evidence expired"
    NOT_CHECKED = "not checked"
    WAIVED = "waived"
    EVIDENCE_PRESENT = "evidence present"
    PASS = "pass"  # noqa: S105 - an outcome, no password
    NOT_APPLICABLE = "not applicable"


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of some outcomes."""
    return min(outcomes, key=tuple(Outcome).index)


@dataclass(frozen=True, slots=True)
class Location:
    """Where something was found."""

    artefact: str
    """Name of the artefact: `disk.raw:rootfs-a`."""
    path: str = ""
    """Path inside its file system, if any."""
    line: int = 0
    """Line in that file, from 1; 0 when it has none."""

    def __str__(self) -> str:
        """`disk.raw:rootfs-a: /etc/passwd:3`."""
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{self.artefact}: {where}" if where else self.artefact


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold."""

    what: str
    """One sentence on what was found."""
    at: Location
    remedy: str
    """One sentence on how to mend it."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said of one subject."""

    check: str
    """Name of the check, in words."""
    subject: str
    """Name of the artefact it looked at; empty when there was none."""
    outcome: Outcome
    reason: str = ""
    """Why it was not checked, is not applicable or an error."""
    seen: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
