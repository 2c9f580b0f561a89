"""The catalogue of requirements, conf/policy/requirements.yml: the only place where a requirement is described."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from everest_secure.errors import PolicyError
from everest_secure.paths import data
from everest_secure.policy.document import read_document
from everest_secure.policy.schema import validate


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


@dataclass(frozen=True)
class Catalogue:
    """All requirements, in the order of the file."""

    groups: tuple[str, ...]
    requirements: tuple[Requirement, ...]

    @cached_property
    def ids(self) -> Mapping[str, Requirement]:
        """Requirement by ID."""
        return {entry.id: entry for entry in self.requirements}

    def get(self, identifier: str) -> Requirement:
        """Return one requirement; raises PolicyError when there is none of that ID."""
        if identifier not in self.ids:
            raise PolicyError(self.unknown(identifier))
        return self.ids[identifier]

    def unknown(self, identifier: str) -> str:
        """Say that an ID is unknown and which was perhaps meant."""
        close = get_close_matches(identifier, self.ids, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"they run from {self.requirements[0].id} to {self.requirements[-1].id}"
        return f"there is no requirement '{identifier}'; {hint}"


def load_catalogue(file: Path | None = None) -> Catalogue:
    """Read the catalogue. Raises PolicyError with file, line and key when it is wrong; `file` is for tests of just that."""
    document = read_document(file or data("conf") / "policy/requirements.yml")
    validate(document, "requirements.schema.json")
    value = cast(dict[str, Any], document.value)
    groups = tuple(value["groups"])
    seen: set[str] = set()
    for index, entry in enumerate(value["requirements"]):
        if entry["id"] in seen:
            raise document.error(["requirements", index, "id"], f"'{entry['id']}' is there twice; give each requirement an ID of its own")
        if entry["group"] not in groups:
            raise document.error(["requirements", index, "group"], f"'{entry['group']}' is no group; known are {', '.join(groups)}")
        seen.add(entry["id"])
    return Catalogue(groups, tuple(_requirement(entry) for entry in value["requirements"]))


def _requirement(entry: dict[str, Any]) -> Requirement:
    return Requirement(
        **{
            **entry,
            "severity": Severity(entry["severity"]),
            "source": tuple(entry["source"]),
            "standards": MappingProxyType({name: tuple(clauses) for name, clauses in entry["standards"].items()}),
        }
    )
