"""The report for other programs: conf/policy/schema/report.schema.json describes every key."""

import json
from typing import Any

from everest_secure.plain import plain
from everest_secure.policy.requirement import Requirement
from everest_secure.report.fingerprint import fingerprint
from everest_secure.report.model import Part, Proof, Report, Result, Run, Shown, Statement, Subject, WaivedBy
from everest_secure.report.renderer import Look, renderer

FORMAT = 1
"""Raised when a key changes its meaning or goes away; new keys may appear at any time."""


@renderer("json", summary="the report for other programs, as JSON")
def render(report: Report, _: Look) -> str:
    """Return the report as JSON in ASCII, so that nothing found in an artefact reaches a terminal or a parser unescaped."""
    return json.dumps(as_mapping(report), indent=2) + "\n"


def as_mapping(report: Report) -> dict[str, Any]:
    """Return the report as plain mappings and lists."""
    return {
        "format": FORMAT,
        "tool": {"name": "everest-secure", "version": report.version},
        "time": report.time.isoformat(timespec="seconds"),
        "profile": report.profile,
        "policy_file": report.policy_file,
        "policy_sha256": report.policy_sha256,
        "evidence_required": report.evidence_required,
        "parameters": plain(report.parameters),
        "verdict": report.verdict,
        "exit_code": int(report.exit_code),
        "counts": {str(outcome): number for outcome, number in report.counts.items()},
        "artefacts": [_subject(subject) for subject in report.subjects],
        "notices": list(report.notices),
        "runs": [_run(run) for run in report.runs],
        "results": [_result(result, report) for result in report.results],
    }


def _subject(subject: Subject) -> dict[str, Any]:
    return {"name": subject.name, "kind": subject.kind, "size": subject.size, "sha256": subject.sha256, "depth": subject.depth}


def _result(result: Result, report: Report) -> dict[str, Any]:
    requirement = result.requirement
    return {
        "id": requirement.id,
        "group": requirement.group,
        "title": requirement.title,
        "severity": str(requirement.severity),
        "outcome": str(result.outcome),
        "reason": result.reason,
        "checks": [_part(part, requirement.id, report) for part in result.parts],
        "statements": [_statement(statement) for statement in result.statements],
        "waiver": _waiver(result.waiver),
        **({"proven": str(result.proven)} if report.runs else {}),
        "standards": {name: list(clauses) for name, clauses in requirement.standards.items()},
        "catalogue": _catalogue(requirement),
    }


def _catalogue(requirement: Requirement) -> dict[str, Any]:
    """Return what the catalogue says, so that a report can be shown without it."""
    texts = ("requirement", "why", "built_in", "on_artefact", "on_target", "remedy", "evidence", "source")
    return {name: plain(getattr(requirement, name)) for name in texts}


def _run(run: Run) -> dict[str, Any]:
    return {"target": run.target, "time": run.time.isoformat(timespec="seconds")}


def _part(part: Part, requirement: str, report: Report) -> dict[str, Any]:
    return {
        "check": part.check,
        "subject": part.subject,
        "outcome": str(part.outcome),
        "reason": part.reason,
        "seen": list(part.seen),
        "findings": [_finding(shown, requirement, report) for shown in part.findings],
        **({"proof": _proof(part.proof)} if part.proof else {}),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {"test": proof.test, "pictures": [{"title": picture.title, "png": picture.png} for picture in proof.pictures]}


def _finding(shown: Shown, requirement: str, report: Report) -> dict[str, Any]:
    at = shown.finding.at
    return {
        "what": shown.finding.what,
        "artefact": at.artefact,
        "path": at.path,
        "line": at.line,
        "remedy": shown.finding.remedy,
        "fingerprint": fingerprint(requirement, shown.finding, given=(subject.name for subject in report.given)),
        "waiver": _waiver(shown.waiver),
    }


def _waiver(waiver: WaivedBy | None) -> dict[str, Any] | None:
    if waiver is None:
        return None
    return {"reason": waiver.reason, "owner": waiver.owner, "expires": waiver.expires.isoformat(), "where": waiver.where}


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "text": statement.text,
        "owner": statement.owner,
        "signed": statement.signed.isoformat(),
        "expires": statement.expires.isoformat(),
        "where": statement.where,
    }
