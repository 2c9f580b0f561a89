"""What a report says, in the form in which two can be compared: read from a JSON report, or taken from one just made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from everest_secure.errors import UserError
from everest_secure.policy.requirement import Severity
from everest_secure.report.as_json import as_mapping
from everest_secure.report.json_file import REPORT, read_json
from everest_secure.report.model import Report
from everest_secure.result import Location, Outcome


@dataclass(frozen=True, slots=True)
class Flaw:
    """A finding as a report holds it."""

    requirement: str
    fingerprint: str
    what: str
    at: Location
    remedy: str
    waived: bool


@dataclass(frozen=True, slots=True)
class Stand:
    """What a report says of one requirement."""

    id: str
    title: str
    severity: Severity
    outcome: Outcome
    reason: str
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True)
class Posture:
    """What a report says."""

    source: str
    """What was given: a report's file, or the artefact."""
    version: str
    time: datetime
    profile: str
    policy_file: str
    policy_sha256: str
    """Of what the policy says; empty in a report of an older version."""
    verdict: str
    artefacts: Mapping[str, str]
    """Name to SHA-256 in hex, empty for a directory, of what was given to the check."""
    parameters: Mapping[str, Any]
    """Dotted name of a single value or list to it: `service_user.uid` to 1500."""
    stands: Mapping[str, Stand]
    """By ID, in the order of the report."""

    @property
    def flaws(self) -> tuple[Flaw, ...]:
        """All findings."""
        return tuple(flaw for stand in self.stands.values() for flaw in stand.flaws)


def of_report(report: Report, *, source: str) -> Posture:
    """Return the posture of a report that was just made."""
    return _posture(as_mapping(report), source)


def is_report(path: Path) -> bool:
    """Whether a file is written in JSON, as no artefact is; raises UserError when it cannot be read."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None


def read_report(path: Path) -> Posture:
    """Read a JSON report. Raises UserError when it is none, or one of another version's."""
    value = read_json(path, REPORT)
    try:
        return _posture(value, str(path))
    except ValueError as error:
        raise REPORT.refusal(path, str(error)) from None


def _posture(value: Mapping[str, Any], source: str) -> Posture:
    return Posture(
        source=source,
        version=value["tool"]["version"],
        time=datetime.fromisoformat(value["time"]),
        profile=value["profile"],
        policy_file=value["policy_file"],
        policy_sha256=value.get("policy_sha256", ""),
        verdict=value["verdict"],
        artefacts={entry["name"]: entry["sha256"] for entry in value["artefacts"] if entry["depth"] == 0},
        parameters=dict(_flat(value["parameters"])),
        stands={entry["id"]: _stand(entry) for entry in value["results"]},
    )


def _stand(entry: Mapping[str, Any]) -> Stand:
    flaws = (_flaw(entry["id"], finding) for check in entry["checks"] for finding in check["findings"])
    return Stand(entry["id"], entry["title"], Severity(entry["severity"]), Outcome(entry["outcome"]), entry["reason"], tuple(flaws))


def _flaw(requirement: str, entry: Mapping[str, Any]) -> Flaw:
    at = Location(entry["artefact"], entry["path"], entry["line"])
    return Flaw(requirement, entry["fingerprint"], entry["what"], at, entry["remedy"], entry["waiver"] is not None)


def _flat(value: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{name}{key}.")
        else:
            yield f"{name}{key}", item
