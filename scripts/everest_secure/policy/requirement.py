"""One requirement of the catalogue, as reports and checks see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is when a requirement does not hold, worst first."""

    CRITICAL = "critical"
    """Alone enough to take the device over, or to forge what it trusts."""
    HIGH = "high"
    """Takes a defence away that an attack has to get past."""
    MEDIUM = "medium"
    """Makes an attack easier, a failure longer, or hides either."""
    LOW = "low"
    """Costs an assessor or an operator, not an attacker."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One item of the catalogue; all texts are plain English."""

    id: str
    """`NET-01`: letters of its family, a number of two digits."""
    group: str
    title: str
    """A few words for a table."""
    requirement: str
    """What must hold."""
    why: str
    """The attack or failure it prevents, in a sentence."""
    built_in: str
    """How the layer makes it hold; `-` when it does not."""
    on_artefact: str
    """How the finished image or bundle shows it; `-` when it cannot."""
    on_target: str
    """How a booted device shows it; `-` when the artefact says it all."""
    remedy: str
    """What to do when it does not hold."""
    severity: Severity
    evidence: bool
    """Whether a signed-off statement stands where the artefact shows nothing."""
    source: tuple[str, ...]
    """Where it comes from: `guide`, `checklist`, `facts`."""
    standards: Mapping[str, tuple[str, ...]]
    """Standard to the clauses it helps to meet."""
