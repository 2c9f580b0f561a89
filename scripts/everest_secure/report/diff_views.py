"""The forms in which a comparison of two reports is shown."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from everest_secure.report.renderer import Look

if TYPE_CHECKING:
    from rich.console import RenderableType

    from everest_secure.report.diff import Change, Diff
    from everest_secure.report.posture import Flaw, Posture

MOST = 20
"""Findings of a kind that are shown unless everything is asked for."""


def as_table(found: "Diff", look: Look) -> str:
    """Return what changed for a terminal; with `look.detail` below 0 the verdict alone, above 0 every finding."""
    from everest_secure.report.table import console, printed, text

    parts: list[RenderableType] = []
    if look.detail >= 0:
        parts += _table(found, look)
    parts += [text(f"Note: {notice}", "yellow") for notice in found.notices]
    parts.append(text(f"{found.verdict}.", "bold green" if found.exit_code == 0 else "bold red"))
    return printed(console(look), parts)


def _table(found: "Diff", look: Look) -> Iterator["RenderableType"]:
    from everest_secure.report.diff import Direction, value
    from everest_secure.report.table import indented, text

    for name, posture in (("old", found.old), ("new", found.new)):
        yield text(f"{name}  {posture.source}, profile {posture.profile}, {posture.time:%Y-%m-%d %H:%M %Z}: {posture.verdict}")
    styles = {Direction.WORSE: "bold red", Direction.BETTER: "green", Direction.OTHER: "", Direction.NEW: "cyan", Direction.GONE: "dim"}
    for direction in Direction:
        for number, change in enumerate(found.going(direction)):
            if number == 0:
                yield text("")
                yield text(f"Requirements {direction}", "bold")
            yield indented(text(f"{change.stand.id}  {change.stand.title}: {_step(change)}", styles[direction]), 2)
    for title, style, flaws in (("Findings added", "red", found.added), ("Findings removed", "green", found.removed)):
        if flaws:
            yield text("")
            yield text(title, "bold")
        shown = flaws if look.detail > 0 else flaws[:MOST]
        for flaw in shown:
            yield indented(text(f"{flaw.requirement}  {flaw.what}{' (waived)' if flaw.waived else ''}", style), 2)
            yield indented(text(f"at {flaw.at}", "blue"), 4)
        if len(flaws) > len(shown):
            yield indented(text(f"and {len(flaws) - len(shown)} more; -v shows them", "dim"), 2)
    if found.settings:
        yield text("")
        yield text("Parameters changed", "bold")
    for setting in found.settings:
        yield indented(text(f"{setting.name}: {value(setting.old)} -> {value(setting.new)}"), 2)
    yield text("")


def _step(change: "Change") -> str:
    return " -> ".join(stand.outcome for stand in (change.old, change.new) if stand)


def as_markdown(found: "Diff", _: Look) -> str:
    """Return what changed as a comment for a pull request; text of an artefact is escaped as in the Markdown report."""
    return "\n".join(_markdown(found)) + "\n"


def _markdown(found: "Diff") -> Iterator[str]:
    from everest_secure.report.diff import Direction, value
    from everest_secure.report.markdown import code, escaped, listed

    yield f"### {'🟢' if found.exit_code == 0 else '🔴'} {escaped(found.verdict)}"
    yield ""
    yield f"{code(found.new.source)} compared with {code(found.old.source)}."
    marks = {Direction.WORSE: "🔴", Direction.BETTER: "🟢"}
    if found.changes:
        yield ""
        yield "| | Requirement | Old | New |"
        yield "|---|---|---|---|"
    for direction in Direction:
        for change in found.going(direction):
            old, new = (stand.outcome if stand else "-" for stand in (change.old, change.new))
            stand = change.stand
            yield f"| {marks.get(direction, '⚪')} {direction} | **{stand.id}** {escaped(stand.title)} | {old} | {new} |"
    for title, flaws in (("Findings added", found.added), ("Findings removed", found.removed)):
        if flaws:
            lines = (
                f"**{flaw.requirement}** {escaped(flaw.what)}{' (waived)' if flaw.waived else ''}<br>{code(str(flaw.at))}"
                for flaw in flaws[:MOST]
            )
            yield from listed(f"{title} ({len(flaws)})", lines, more=len(flaws) - MOST, unfolded=flaws is found.added)
    if found.settings:
        lines = (
            f"{code(setting.name)}: {escaped(value(setting.old))} → {escaped(value(setting.new))}" for setting in found.settings[:MOST]
        )
        yield from listed(f"Parameters changed ({len(found.settings)})", lines, more=len(found.settings) - MOST)
    for notice in found.notices:
        yield ""
        yield f"> Note: {escaped(notice)}"


def as_json(found: "Diff", _: Look) -> str:
    """Return what changed as JSON: conf/policy/schema/diff.schema.json."""
    said = {
        "format": 1,
        "verdict": found.verdict,
        "worse": found.worse,
        "exit_code": int(found.exit_code),
        "old": _side(found.old),
        "new": _side(found.new),
        "requirements": [
            {
                "id": change.stand.id,
                "title": change.stand.title,
                "severity": str(change.stand.severity),
                "direction": str(change.direction),
                "old": str(change.old.outcome) if change.old else None,
                "new": str(change.new.outcome) if change.new else None,
            }
            for change in found.changes
        ],
        "added": [_finding(flaw) for flaw in found.added],
        "removed": [_finding(flaw) for flaw in found.removed],
        "parameters": [{"name": setting.name, "old": setting.old, "new": setting.new} for setting in found.settings],
        "notices": list(found.notices),
    }
    return json.dumps(said, indent=2) + "\n"


def _side(posture: "Posture") -> dict[str, Any]:
    return {
        "source": posture.source,
        "version": posture.version,
        "time": posture.time.isoformat(timespec="seconds"),
        "profile": posture.profile,
        "policy_file": posture.policy_file,
        "verdict": posture.verdict,
        "artefacts": [{"name": name, "sha256": digest} for name, digest in posture.artefacts.items()],
    }


def _finding(flaw: "Flaw") -> dict[str, Any]:
    return {
        "requirement": flaw.requirement,
        "fingerprint": flaw.fingerprint,
        "what": flaw.what,
        "artefact": flaw.at.artefact,
        "path": flaw.at.path,
        "line": flaw.at.line,
        "remedy": flaw.remedy,
        "waived": flaw.waived,
    }


FORMATS: Mapping[str, Callable[["Diff", Look], str]] = {"table": as_table, "json": as_json, "markdown": as_markdown}
