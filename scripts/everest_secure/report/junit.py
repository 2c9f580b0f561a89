"""The report for a CI server's page of tests: JUnit XML as Jenkins and GitLab read it.

A suite for each artefact, in it a test for each requirement that was checked there; what no artefact decides is in a suite of its own. Class
and name together are unique, by which GitLab tells tests apart.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everest_secure.report.model import Part, Report, Result, Shown
from everest_secure.report.renderer import Look, renderer
from everest_secure.result import Outcome, worst
from everest_secure.text import printable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ELSEWHERE = "not on an artefact"
"""Suite of the requirements that no artefact decides."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One test."""

    result: Result
    outcome: Outcome
    reason: str
    parts: tuple[Part, ...]


@renderer("junit", summary="test results for a CI server, as JUnit XML")
def render(report: Report, _: Look) -> str:
    """Return the document. What XML cannot hold, such as control characters, is escaped as in Python."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    suites = Element("testsuites", {"name": "everest-secure", **_counts(report, list(_all(report)))})
    for name, cases in _suites(report).items():
        attributes = {"name": printable(name), "timestamp": report.time.isoformat(timespec="seconds"), **_counts(report, cases)}
        suite = SubElement(suites, "testsuite", attributes)
        properties = SubElement(suite, "properties")
        for key, value in _properties(report, name).items():
            SubElement(properties, "property", {"name": key, "value": printable(value)})
        for case in cases:
            suite.append(_element(report, name, case))
    indent(suites)
    document: bytes = tostring(suites, encoding="utf-8", xml_declaration=True)
    return f"{document.decode()}\n"


def _suites(report: Report) -> Mapping[str, list[_Case]]:
    found: dict[str, list[_Case]] = {}
    for result in report.results:
        by_subject: dict[str, list[Part]] = {}
        for part in result.parts:
            if part.subject:
                by_subject.setdefault(part.subject, []).append(part)
        for subject, parts in by_subject.items():
            outcome = worst(part.outcome for part in parts)
            found.setdefault(subject, []).append(_Case(result, outcome, _reason(outcome, parts), tuple(parts)))
        if not by_subject or result.outcome not in {part.outcome for part in result.parts}:
            found.setdefault(ELSEWHERE, []).append(_Case(result, result.outcome, result.reason, ()))
    order = [*(subject.name for subject in report.subjects), *found]
    return {name: found[name] for name in sorted(found, key=order.index)}


def _all(report: Report) -> Iterator[_Case]:
    for cases in _suites(report).values():
        yield from cases


def _reason(outcome: Outcome, parts: Sequence[Part]) -> str:
    deciding = [part for part in parts if part.outcome is outcome]
    if outcome in (Outcome.FAIL, Outcome.WAIVED):
        found = [shown for part in deciding for shown in part.findings if outcome is Outcome.WAIVED or not shown.waiver]
        first = found[0].finding.what
        return first if len(found) == 1 else f"{len(found)} findings, the first: {first}"
    return "; ".join(dict.fromkeys(part.reason or part.check for part in deciding))


def _verdict(report: Report, outcome: Outcome) -> str:
    """Return the name of the element that says what came of a test; empty for a test that passed."""
    if outcome is Outcome.ERROR:
        return "error"
    if report.counts_against(outcome):
        return "failure"
    return "" if outcome in (Outcome.PASS, Outcome.EVIDENCE_PRESENT) else "skipped"


def _counts(report: Report, cases: Sequence[_Case]) -> dict[str, str]:
    said = [_verdict(report, case.outcome) for case in cases]
    numbers = {"tests": len(said), "failures": said.count("failure"), "errors": said.count("error"), "skipped": said.count("skipped")}
    return {**{name: str(number) for name, number in numbers.items()}, "time": "0"}


def _properties(report: Report, name: str) -> dict[str, str]:
    said = {"everest-secure": report.version, "profile": report.profile, "policy file": report.policy_file, "verdict": report.verdict}
    for subject in report.subjects:
        if subject.name == name:
            said["format"] = subject.kind
    for subject in report.given:
        said[f"sha256 of {printable(subject.name)}"] = subject.sha256
    return {key: value for key, value in said.items() if value}


def _element(report: Report, suite: str, case: _Case) -> "Element":
    from xml.etree.ElementTree import Element, SubElement

    requirement = case.result.requirement
    element = Element("testcase", {"classname": printable(suite), "name": f"{requirement.id} {requirement.title}", "time": "0"})
    verdict = _verdict(report, case.outcome)
    if verdict:
        said = SubElement(element, verdict, {"message": printable(f"{case.outcome}: {case.reason}")})
        said.text = _lines(_details(case, failed=verdict != "skipped"))
        if verdict != "skipped":
            said.set("type", f"{case.outcome}")
    seen = [line for part in case.parts for line in part.seen] if case.parts else [entry.text for entry in case.result.statements]
    if seen:
        SubElement(element, "system-out").text = _lines(seen)
    return element


def _details(case: _Case, *, failed: bool) -> Iterator[str]:
    for part in case.parts:
        if part.reason:
            yield f"{part.check}: {part.reason}"
        for shown in part.findings:
            yield from _finding(shown)
    if failed and not any(part.findings for part in case.parts):
        yield f"Remedy: {case.result.requirement.remedy}"


def _finding(shown: Shown) -> Iterator[str]:
    waived = f" (waived by {shown.waiver.owner} until {shown.waiver.expires}: {shown.waiver.reason})" if shown.waiver else ""
    yield f"{shown.finding.what}{waived}"
    yield f"  at {shown.finding.at}"
    yield f"  Remedy: {shown.finding.remedy}"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(printable(line) for line in lines)
