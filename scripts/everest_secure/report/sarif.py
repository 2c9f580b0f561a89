"""The report for code scanning: SARIF 2.1.0 (OASIS). docs/reports.md says what becomes what.

Every outcome is in it, as SARIF has a word for each (3.27.9, `kind`). A service that takes every result for an alarm, as GitHub's does, is given
those of kind `fail` alone; the workflow in `.github/workflows/check.yml` does so.
"""

import json
from collections.abc import Iterator, Mapping
from posixpath import normpath
from typing import Any
from urllib.parse import quote

from everest_secure.policy.requirement import Requirement, Severity
from everest_secure.report.fingerprint import VERSION, digest, fingerprint, inside
from everest_secure.report.model import Part, Report, Result, Shown, WaivedBy
from everest_secure.report.renderer import Look, renderer
from everest_secure.result import Outcome
from everest_secure.text import printable

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOTFS = "ROOTFS"
"""Base of paths inside a file system: the root of the one that the logical location names."""
ARTEFACTS = "ARTEFACTS"
"""Base of the names of artefacts: the directory that each was given in."""

LEVELS: Mapping[Severity, str] = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
SCORES: Mapping[Severity, str] = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
"""`security-severity`, by which GitHub sorts: over 9 critical, from 7 high, from 4 medium."""
KINDS: Mapping[Outcome, str] = {
    Outcome.ERROR: "open",
    Outcome.FAIL: "fail",
    Outcome.EVIDENCE_MISSING: "review",
    Outcome.EVIDENCE_EXPIRED: "review",
    Outcome.NOT_CHECKED: "open",
    Outcome.WAIVED: "fail",
    Outcome.EVIDENCE_PRESENT: "pass",
    Outcome.PASS: "pass",
    Outcome.NOT_APPLICABLE: "notApplicable",
}


@renderer("sarif", summary="the report for code scanning, as SARIF 2.1.0")
def render(report: Report, _: Look) -> str:
    """Return the log, in ASCII as the JSON report is."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}, indent=2) + "\n"


def _run(report: Report) -> dict[str, Any]:
    return {
        "tool": {
            "driver": {
                "name": "everest-secure",
                "version": report.version,
                "semanticVersion": report.version,
                "rules": [_rule(result.requirement) for result in report.results],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {
            ROOTFS: {"description": {"text": "Root of the file system that the logical location names."}},
            ARTEFACTS: {"description": {"text": "Directory that the artefact was given in."}},
        },
        "artifacts": [
            {
                "location": _artefact(subject.name),
                **({"length": subject.size} if subject.size is not None else {}),
                **({"hashes": {"sha-256": subject.sha256}} if subject.sha256 else {}),
                "roles": ["analysisTarget"],
            }
            for subject in report.given
        ],
        "invocations": [_invocation(report)],
        "results": [entry for index, result in enumerate(report.results) for entry in _results(report, result, index)],
        "properties": {"profile": report.profile, "policyFile": report.policy_file, "verdict": report.verdict},
    }


def _rule(requirement: Requirement) -> dict[str, Any]:
    clauses = [f"{name}: {', '.join(listed)}" for name, listed in requirement.standards.items()]
    remedy, why = f"Remedy: {requirement.remedy}", f"Why: {requirement.why}"
    return {
        "id": requirement.id,
        "name": "".join(word.capitalize() for word in "".join(c if c.isalnum() else " " for c in requirement.title).split()),
        "shortDescription": {"text": f"{requirement.title}."},
        "fullDescription": {"text": requirement.requirement},
        "help": {
            "text": "\n\n".join((requirement.requirement, why, remedy, f"Helps to meet {'; '.join(clauses)}.")),
            "markdown": "\n".join(
                (f"{requirement.requirement}\n\n{why}\n\n**{remedy}**\n\nHelps to meet:\n", *(f"- {clause}" for clause in clauses))
            ),
        },
        "defaultConfiguration": {"level": LEVELS[requirement.severity]},
        "properties": {
            "security-severity": SCORES[requirement.severity],
            "tags": ["security", requirement.group],
            "standards": {name: list(listed) for name, listed in requirement.standards.items()},
        },
    }


def _invocation(report: Report) -> dict[str, Any]:
    errors = [
        {"level": "error", "message": _message(part.reason), "associatedRule": {"id": result.requirement.id}}
        for result in report.results
        for part in result.parts
        if part.outcome is Outcome.ERROR
    ]
    notices = [{"level": "note", "message": _message(notice)} for notice in report.notices]
    return {
        "executionSuccessful": not errors,
        "exitCode": int(report.exit_code),
        "endTimeUtc": report.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "toolExecutionNotifications": errors + notices,
    }


def _results(report: Report, result: Result, index: int) -> Iterator[dict[str, Any]]:
    """Yield a result for each finding, and one for each artefact on which there is none."""
    rule = {"ruleId": result.requirement.id, "ruleIndex": index}
    for part in result.parts:
        for shown in part.findings:
            yield {**rule, **_finding(report, result.requirement, shown)}
        if part.subject and (not part.findings or part.outcome is Outcome.ERROR):
            yield {**rule, **_without(report, result.requirement, part.outcome, part.reason or part.check, part=part)}
    if not any(part.subject for part in result.parts) or result.outcome not in {part.outcome for part in result.parts}:
        waiver = result.waiver
        yield {**rule, **_without(report, result.requirement, result.outcome, result.reason), **(_suppressed(waiver) if waiver else {})}


def _finding(report: Report, requirement: Requirement, shown: Shown) -> dict[str, Any]:
    given = [subject.name for subject in report.given]
    at = shown.finding.at
    return {
        "kind": "fail",
        "level": LEVELS[requirement.severity],
        "message": _message(f"{_sentence(shown.finding.what)} Remedy: {shown.finding.remedy}"),
        "locations": [_location(at.artefact, given, at.path, at.line)],
        "partialFingerprints": {VERSION: fingerprint(requirement.id, shown.finding, given=given)},
        **(_suppressed(shown.waiver) if shown.waiver else {}),
    }


def _without(report: Report, requirement: Requirement, outcome: Outcome, reason: str, *, part: Part | None = None) -> dict[str, Any]:
    given = [subject.name for subject in report.given]
    kind = KINDS[outcome]
    where = part.subject if part else given[0]
    return {
        "kind": kind,
        "level": LEVELS[requirement.severity] if kind == "fail" else "none",
        "message": _message(_sentence(f"{outcome}: {reason}")),
        "locations": [_location(where, given)],
        "partialFingerprints": {VERSION: digest(requirement.id, inside(where, given), "", part.check if part else "")},
    }


def _suppressed(waiver: WaivedBy) -> dict[str, Any]:
    said = f"{waiver.reason} ({waiver.owner}, until {waiver.expires}, {waiver.where})"
    return {"suppressions": [{"kind": "external", "status": "accepted", "justification": printable(said)}]}


def _location(artefact: str, given: list[str], path: str = "", line: int = 0) -> dict[str, Any]:
    outer = next((name for name in sorted(given, key=len, reverse=True) if artefact == name or artefact.startswith(f"{name}:")), artefact)
    place = {"uri": _uri(path), "uriBaseId": ROOTFS} if path.strip("/") else _artefact(outer)
    region = {"region": {"startLine": line}} if line else {}
    return {
        "physicalLocation": {"artifactLocation": place, **region},
        "logicalLocations": [{"fullyQualifiedName": printable(artefact), "kind": "resource"}],
    }


def _artefact(name: str) -> dict[str, str]:
    return {"uri": _uri(name), "uriBaseId": ARTEFACTS}


def _uri(path: str) -> str:
    """Return a relative reference (RFC 3986) that does not leave its base."""
    return quote(normpath(f"/{path}").strip("/"), safe="/", errors="backslashreplace")


def _message(text: str) -> dict[str, str]:
    return {"text": printable(text)}


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
