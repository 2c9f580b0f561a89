"""The report for people at a terminal."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from everest_secure.report.model import Proven, Report, Result
from everest_secure.report.renderer import Look, renderer
from everest_secure.result import Finding, Location, Outcome
from everest_secure.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

STYLES: Mapping[Outcome, str] = {
    Outcome.ERROR: "bold magenta",
    Outcome.FAIL: "bold red",
    Outcome.EVIDENCE_MISSING: "yellow",
    Outcome.EVIDENCE_EXPIRED: "yellow",
    Outcome.NOT_CHECKED: "dim",
    Outcome.WAIVED: "cyan",
    Outcome.EVIDENCE_PRESENT: "green",
    Outcome.PASS: "green",
    Outcome.NOT_APPLICABLE: "dim",
}
PROVEN: Mapping[Proven, tuple[str, str]] = {
    Proven.FAILED: ("failed", "bold red"),
    Proven.NOT_PROVEN: ("not proven", "yellow"),
    Proven.PROVEN: ("proven", "green"),
    Proven.NOT_NEEDED: ("-", "dim"),
}
MOST_FINDINGS = 8
"""Findings of one requirement that are shown unless everything is asked for."""
MOST_PLACES = 4
"""Places of one finding that are shown unless everything is asked for."""


@renderer("table", summary="the report as plain text")
def render(report: Report, look: Look) -> str:
    """Return tables by group, what needs attention, and the verdict; with `look.detail` below 0 the verdict alone."""
    parts: list[RenderableType] = []
    if look.detail >= 0:
        parts += [*_header(report), *_groups(report, everything=look.detail > 0), *_attention(report, everything=look.detail > 0)]
    if look.detail > 0:
        parts += _seen(report)
    return printed(console(look), [*parts, *_summary(report)])


def printed(console: "Console", parts: Iterable["RenderableType"]) -> str:
    """Return what a console prints, without blanks at the ends of lines."""
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def console(look: Look) -> "Console":
    """Return a console of this look that takes no text for markup."""
    from rich.console import Console

    return Console(
        width=look.width,
        force_terminal=look.colour,
        color_system="standard" if look.colour else None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def text(content: str, style: str = "") -> "Text":
    """Return a text that is folded where it is too long, every character of it printable."""
    from rich.text import Text

    return Text(printable(content), style=style, overflow="fold")


def indented(part: "RenderableType", columns: int) -> "RenderableType":
    """Return a part moved to the right."""
    from rich.padding import Padding

    return Padding(part, (0, 0, 0, columns))


def _header(report: Report) -> Iterator["RenderableType"]:
    policy = f"profile {report.profile}" + (f" with {report.policy_file}" if report.policy_file else "")
    yield text(f"everest-secure {report.version}, {policy}, {report.time:%Y-%m-%d %H:%M %Z}", "bold")
    for subject, name in report.parts:
        digest = f"  sha256 {subject.sha256}" if subject.sha256 else ""
        yield indented(text(f"{name}  {subject.kind}{digest}", "" if subject.depth == 0 else "dim"), 2 + 2 * subject.depth)


def _groups(report: Report, *, everything: bool) -> Iterator["RenderableType"]:
    for group in report.groups:
        results = report.in_group(group)
        rows = [result for result in results if everything or not _is_silent(result)]
        yield text("")
        yield text(group, "bold")
        if rows:
            yield _table(rows, proofs=bool(report.runs))
        for reason, silent in _by_reason(result for result in results if result not in rows):
            yield indented(text(f"not checked, {reason}: {', '.join(silent)}", "dim"), 1)


def _is_silent(result: Result) -> bool:
    return result.outcome is Outcome.NOT_CHECKED and not result.parts


def _by_reason(results: Iterable[Result]) -> Iterable[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for result in results:
        found.setdefault(result.reason, []).append(result.requirement.id)
    return found.items()


def _table(results: Iterable[Result], *, proofs: bool) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("ID", no_wrap=True, width=8)
    table.add_column("Requirement", ratio=5)
    table.add_column("Outcome", no_wrap=True, width=16)
    if proofs:
        table.add_column("On the target", no_wrap=True, width=13)
    table.add_column("Why", ratio=6)
    for result in results:
        style = STYLES[result.outcome]
        quiet = "dim" if style == "dim" else ""
        table.add_row(
            text(result.requirement.id, quiet),
            text(result.requirement.title, quiet),
            text(result.outcome, style),
            *([text(*PROVEN[result.proven])] if proofs else []),
            text(result.reason, quiet),
        )
    return table


def _attention(report: Report, *, everything: bool) -> Iterator["RenderableType"]:
    shown = [result for result in report.results if report.needs_attention(result) or result.findings]
    if shown:
        yield text("")
        yield text("What needs attention", "bold")
    for result in shown:
        requirement = result.requirement
        yield text("")
        yield text(f"{requirement.id}  {requirement.title}  ({result.outcome}, {requirement.severity})", STYLES[result.outcome])
        if not result.findings or result.outcome is Outcome.ERROR:
            yield indented(text(result.reason), 2)
        if not result.findings and result.outcome is not Outcome.ERROR:
            yield indented(text(f"Remedy: {requirement.remedy}", "dim"), 2)
        yield from _findings(result, everything=everything)


def _findings(result: Result, *, everything: bool) -> Iterator["RenderableType"]:
    alike = _alike((shown.finding, shown.waiver.owner if shown.waiver else "") for shown in result.findings)
    for index, ((what, remedy, owner), places) in enumerate(alike.items()):
        if index == MOST_FINDINGS and not everything:
            yield indented(text(f"and {len(alike) - index} more; all are in the JSON and HTML reports and shown by -v", "dim"), 2)
            return
        yield indented(text(what + (f" (waived by {owner})" if owner else "")), 2)
        some = places if everything else places[:MOST_PLACES]
        for place in some:
            yield indented(text(f"at {place}", "blue"), 4)
        if len(places) > len(some):
            yield indented(text(f"and at {len(places) - len(some)} more places", "blue"), 4)
        yield indented(text(f"Remedy: {remedy}", "dim"), 4)


def _alike(findings: Iterable[tuple[Finding, str]]) -> dict[tuple[str, str, str], list[Location]]:
    """Gather findings that say the same of several places, such as both slots of a disk."""
    alike: dict[tuple[str, str, str], list[Location]] = {}
    for finding, owner in findings:
        alike.setdefault((finding.what, finding.remedy, owner), []).append(finding.at)
    return alike


def _seen(report: Report) -> Iterator["RenderableType"]:
    yield text("")
    yield text("What was seen", "bold")
    for result in report.results:
        for part in result.parts:
            yield text("")
            yield text(f"{result.requirement.id}  {part.check}  ({part.outcome})", STYLES[part.outcome])
            if part.subject:
                yield indented(text(part.subject, "dim"), 2)
            for line in (*part.seen, *([part.reason] if part.reason else [])):
                yield indented(text(line), 4)


def _summary(report: Report) -> Iterator["RenderableType"]:
    for notice in report.notices:
        yield text(f"Note: {notice}", "yellow")
    counts = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items() if number)
    yield text("")
    yield text(f"{report.verdict}.", "bold green" if report.exit_code == 0 else "bold red")
    yield text(f"{len(report.results)} requirements: {counts}.")
    if report.runs:
        proofs = ", ".join(f"{number} {proven}" for proven, number in report.proofs.items() if number)
        yield text(f"On {', '.join(run.target for run in report.runs)}: {proofs}.")
