"""A JSON report read back, whole, so that it can be merged with proofs and shown in every form."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from everest_secure.policy.profile import parameters_of
from everest_secure.policy.requirement import Requirement, Severity
from everest_secure.report.json_file import REPORT, read_json
from everest_secure.report.model import Part, Picture, Proof, Report, Result, Run, Shown, Statement, Subject, WaivedBy
from everest_secure.result import Finding, Location, Outcome

Entry = Mapping[str, Any]


def read_whole(path: Path) -> Report:
    """Return the report in a JSON file. Raises UserError when it is none, or one of another version's."""
    value = read_json(path, REPORT)
    try:
        return _report(value)
    except ValueError as error:
        raise REPORT.refusal(path, str(error)) from None


def _report(value: Entry) -> Report:
    results = tuple(_result(entry) for entry in value["results"])
    return Report(
        version=value["tool"]["version"],
        time=zoned(value["time"]),
        profile=value["profile"],
        policy_file=value["policy_file"],
        policy_sha256=value.get("policy_sha256", ""),
        parameters=parameters_of(value["parameters"]),
        subjects=tuple(Subject(**entry) for entry in value["artefacts"]),
        groups=tuple(dict.fromkeys(result.requirement.group for result in results)),
        results=results,
        notices=tuple(value["notices"]),
        runs=tuple(Run(entry["target"], zoned(entry["time"])) for entry in value["runs"]),
    )


def zoned(text: str) -> datetime:
    """Return a time with a time zone. Raises ValueError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"the time {text} has no time zone")
    return time


def _result(entry: Entry) -> Result:
    return Result(
        requirement=_requirement(entry),
        outcome=Outcome(entry["outcome"]),
        reason=entry["reason"],
        parts=tuple(_part(part) for part in entry["checks"]),
        statements=tuple(_statement(statement) for statement in entry["statements"]),
        waiver=_waiver(entry["waiver"]),
    )


def _requirement(entry: Entry) -> Requirement:
    said = entry["catalogue"]
    return Requirement(
        id=entry["id"],
        group=entry["group"],
        title=entry["title"],
        severity=Severity(entry["severity"]),
        standards={name: tuple(clauses) for name, clauses in entry["standards"].items()},
        **{**said, "source": tuple(said["source"])},
    )


def _part(entry: Entry) -> Part:
    findings = tuple(_shown(finding) for finding in entry["findings"])
    proof = _proof(entry["proof"]) if "proof" in entry else None
    return Part(entry["check"], entry["subject"], Outcome(entry["outcome"]), entry["reason"], tuple(entry["seen"]), findings, proof)


def _proof(entry: Entry) -> Proof:
    return Proof(entry["test"], tuple(Picture(picture["title"], picture["png"]) for picture in entry["pictures"]))


def _shown(entry: Entry) -> Shown:
    at = Location(entry["artefact"], entry["path"], entry["line"])
    return Shown(Finding(entry["what"], at, entry["remedy"]), _waiver(entry["waiver"]))


def _waiver(entry: Entry | None) -> WaivedBy | None:
    if entry is None:
        return None
    return WaivedBy(entry["reason"], entry["owner"], date.fromisoformat(entry["expires"]), entry["where"])


def _statement(entry: Entry) -> Statement:
    dates = (date.fromisoformat(entry["signed"]), date.fromisoformat(entry["expires"]))
    return Statement(entry["text"], entry["owner"], *dates, entry["where"])
