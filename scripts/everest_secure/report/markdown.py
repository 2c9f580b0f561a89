"""The report for a comment on a pull request: GitHub's and GitLab's Markdown, short, with the details folded.

What came from an artefact can write nothing there but text: no HTML, no link, no mention of a person, no reference to an issue.
"""

import re
from collections.abc import Iterable, Iterator

from everest_secure.policy.requirement import Severity
from everest_secure.report.model import Report, Result, Shown
from everest_secure.report.renderer import Look, renderer
from everest_secure.result import Outcome
from everest_secure.text import printable

MOST_FINDINGS = 10
"""Findings of one requirement that are shown."""
MOST_CHARACTERS = 60_000
"""Of the whole; GitHub refuses a comment of more than 65,536."""
MOST_OF_A_TEXT = 500
"""Characters of one text that are shown."""

MARKS = {
    Outcome.ERROR: "🟣",
    Outcome.FAIL: "🔴",
    Outcome.EVIDENCE_MISSING: "🟠",
    Outcome.EVIDENCE_EXPIRED: "🟠",
    Outcome.NOT_CHECKED: "⚪",
    Outcome.WAIVED: "🔵",
    Outcome.EVIDENCE_PRESENT: "🟢",
    Outcome.PASS: "🟢",
    Outcome.NOT_APPLICABLE: "⚪",
}

_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~$]")
_START = re.compile(r"^([-+=]|\d+(?=[.)](?:\s|$)))")
_CALLS = re.compile(r"@|#(?=\d)|!(?=\d)|://|(?i:www\.)")
_APART = "\N{ZERO WIDTH SPACE}"


@renderer("markdown", summary="a short report for a pull request, as Markdown")
def render(report: Report, _: Look) -> str:
    """Return the comment; details that would make it too long for GitHub are left out, and it says so."""
    head = "\n".join(_head(report))
    tail = "\n".join(_tail(report))
    body = ""
    for result in report.results:
        if report.needs_attention(result) or result.findings:
            block = "\n".join(_details(report, result)) + "\n"
            if len(head) + len(body) + len(block) + len(tail) > MOST_CHARACTERS:
                body += "\nThere is more, which does not fit into a comment; see the other reports.\n"
                break
            body += block
    return "\n".join(part.rstrip() + "\n" for part in (head, body, tail) if part)


def _head(report: Report) -> Iterator[str]:
    mark = "🟢" if report.exit_code == 0 else "🔴"
    yield f"### {mark} {escaped(report.verdict)}"
    yield ""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items() if number)
    names = ", ".join(code(subject.name) for subject in report.given)
    yield f"{names} against the profile {code(report.profile)}: {counts}."
    if report.runs:
        proofs = ", ".join(f"{number} {proven}" for proven, number in report.proofs.items() if number)
        yield f"On {', '.join(code(run.target) for run in report.runs)}: {proofs}."
    rows = [result for result in report.results if report.needs_attention(result)]
    if rows:
        yield ""
        yield "| | Requirement | Severity | Why |"
        yield "|---|---|---|---|"
        for result in rows:
            requirement = result.requirement
            title = f"**{requirement.id}** {escaped(requirement.title)}"
            yield f"| {MARKS[result.outcome]} {result.outcome} | {title} | {requirement.severity} | {escaped(result.reason)} |"


def _details(report: Report, result: Result) -> Iterator[str]:
    requirement = result.requirement
    title = f"{MARKS[result.outcome]} <b>{requirement.id}</b> {html(requirement.title)}"
    if report.needs_attention(result) and not result.findings:
        lines = iter((f"{escaped(result.reason)}. {prose(requirement.remedy)}",))
    else:
        lines = (_finding(shown) for shown in result.findings[:MOST_FINDINGS])
    unfolded = result.outcome is Outcome.FAIL and requirement.severity is Severity.CRITICAL
    yield from listed(title, lines, more=len(result.findings) - MOST_FINDINGS, unfolded=unfolded)


def listed(title: str, lines: Iterable[str], *, more: int = 0, unfolded: bool = False) -> Iterator[str]:
    """Yield a list that is folded behind its title, both of them escaped already; `more` is the number of lines that are left out."""
    yield ""
    yield f"<details{' open' if unfolded else ''}><summary>{title}</summary>"
    yield ""
    for line in lines:
        yield f"- {line}"
    if more > 0:
        yield f"- and {more} more"
    yield ""
    yield "</details>"


def _finding(shown: Shown) -> str:
    finding, waiver = shown.finding, shown.waiver
    waived = f" Waived by {escaped(waiver.owner)} until {waiver.expires}: {escaped(waiver.reason)}." if waiver else ""
    return f"{escaped(finding.what)}<br>{code(str(finding.at))}<br>{prose(finding.remedy)}{waived}"


def _tail(report: Report) -> Iterator[str]:
    for notice in report.notices[:MOST_FINDINGS]:
        yield f"> Note: {escaped(notice)}"
    by_outcome = {outcome: [result.requirement.id for result in report.results if result.outcome is outcome] for outcome in report.counts}
    lines = (f"{MARKS[outcome]} {outcome} ({len(found)}): {', '.join(found)}" for outcome, found in by_outcome.items() if found)
    yield from listed("All requirements", lines)
    yield ""
    yield from _made_by(report)


def _made_by(report: Report) -> Iterable[str]:
    digests = "; ".join(f"{code(subject.name)} sha256 {code(subject.sha256)}" for subject in report.given if subject.sha256)
    yield f"<sub>everest-secure {escaped(report.version)}, {report.time:%Y-%m-%d %H:%M %Z}{'; ' if digests else ''}{digests}</sub>"


def html(text: str) -> str:
    """Escape a text that stands between tags."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is: special characters escaped (CommonMark 2.4), what would call somebody taken apart."""
    apart = _CALLS.sub(lambda found: f"{found[0][0]}{_APART}{found[0][1:]}", _short(printable(text)))
    return _START.sub(rf"{_APART}\1", _SPECIAL.sub(r"\\\g<0>", apart).replace("&", "&amp;"))


def prose(text: str) -> str:
    """Escape a text in which backticks set names as code."""
    return "".join(code(part) if index % 2 else escaped(part) for index, part in enumerate(text.split("`")))


def code(text: str) -> str:
    """Return a text as code (CommonMark 6.1): the fence is longer than any run of backticks in it, and no bar ends a table's cell."""
    shown = _short(printable(text)).replace("|", "¦")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{padding}{shown}{padding}{fence}" if shown else ""


def _short(text: str) -> str:
    return text if len(text) <= MOST_OF_A_TEXT else f"{text[:MOST_OF_A_TEXT]}…"
