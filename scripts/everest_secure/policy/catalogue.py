"""The catalogue of requirements, conf/policy/requirements.yml: the only place where a requirement is described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from everest_secure import datafile
from everest_secure.errors import PolicyError
from everest_secure.paths import data
from everest_secure.policy.requirement import Requirement, Severity
from everest_secure.policy.schema import validate


@dataclass(frozen=True)
class Catalogue:
    """All requirements, in the order of the file."""

    groups: tuple[str, ...]
    requirements: tuple[Requirement, ...]

    @cached_property
    def ids(self) -> Mapping[str, Requirement]:
        """Requirement by ID."""
        return {entry.id: entry for entry in self.requirements}

    def extended(self, more: Sequence[Requirement]) -> "Catalogue":
        """Return the catalogue with requirements behind its own, whose groups come last."""
        groups = dict.fromkeys([*self.groups, *(entry.group for entry in more)])
        return Catalogue(tuple(groups), (*self.requirements, *more))

    def only(self, *identifiers: str) -> "Catalogue":
        """Return the catalogue without all but some requirements; raises PolicyError when there is none of an ID."""
        wanted = {self.get(identifier).id for identifier in identifiers}
        kept = tuple(entry for entry in self.requirements if entry.id in wanted)
        return Catalogue(tuple(dict.fromkeys(entry.group for entry in kept)), kept)

    @property
    def families(self) -> frozenset[str]:
        """Letters that the IDs begin with: `NET`, `RAUC` ..."""
        return frozenset(entry.id.partition("-")[0] for entry in self.requirements)

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


def catalogue_file() -> Path:
    """Return the path of the project's own catalogue."""
    return data("conf") / "policy/requirements.yml"


def load_catalogue(file: Path | None = None) -> Catalogue:
    """Read the catalogue, or another one from `file`. Raises PolicyError with file, line and key when it is wrong.

    The project's own is held to its schema by the tests and not again at every start, which would take as long as reading it.
    """
    document = datafile.read(file or catalogue_file(), error=PolicyError)
    if file is not None:
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
