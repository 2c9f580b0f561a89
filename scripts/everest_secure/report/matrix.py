"""The traceability matrix: for each requirement where it is built in, what checks it, which tests prove it, and which clauses it helps to meet."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everest_secure.report.renderer import Look

if TYPE_CHECKING:
    from everest_secure.traceability import Checker, Matrix, Place, Trace

MOST_PLACES = 4
"""Files of a kind that a table shows, by their names alone, unless everything is asked for."""
HEADS = ("ID", "Requirement", "Severity", "Built in at", "Checked by", "Proven by", "Helps to meet")


def as_table(matrix: "Matrix", look: Look) -> str:
    """Return a table for a terminal; with `look.detail` above 0 all places with their whole paths."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from everest_secure.report.table import console, printed, text

    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, show_lines=True)
    table.add_column("ID", no_wrap=True, width=7)
    for head in ("Built in at", "Checked by", "Proven by"):
        table.add_column(head, ratio=1, overflow="fold")
    for entry in matrix.traces:
        if look.detail > 0:
            cells = (_places(entry.built_in), _checkers(entry.checked_by), _places(entry.proven_by))
        else:
            cells = (_short(entry.built_in), _cut([checker.name for checker in entry.checked_by]), _short(entry.proven_by))
        table.add_row(text(entry.requirement.id, "bold"), *(Group(*map(text, cell or ["-"])) for cell in cells))
    return printed(console(look), [table, *(text(note, "yellow") for note in notes(matrix)), text(summary(matrix), "bold")])


def as_markdown(matrix: "Matrix", _: Look) -> str:
    """Return one table in Markdown."""
    rows = (f"| {' | '.join('<br>'.join(cell).replace('|', '&#124;') or '-' for cell in row)} |" for row in _rows(matrix))
    lines = (f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|", *rows)
    return "\n".join(("# Traceability", "", *lines, "", *(f"{note}\n" for note in notes(matrix)), summary(matrix), ""))


def as_csv(matrix: "Matrix", _: Look) -> str:
    """Return the matrix as CSV (RFC 4180), one requirement in a row, several values of a cell on lines of their own."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADS)
    writer.writerows(["\n".join(cell) for cell in row] for row in _rows(matrix))
    return out.getvalue()


def as_json(matrix: "Matrix", _: Look) -> str:
    """Return the matrix as JSON: conf/policy/schema/matrix.schema.json."""
    value = {"format": 1, "missing": list(matrix.missing), "requirements": [_entry(entry) for entry in matrix.traces]}
    return json.dumps(value, indent=2) + "\n"


def as_html(matrix: "Matrix", _: Look) -> str:
    """Return one self-contained page."""
    from everest_secure.report.html import page

    return page("matrix.html.j2", matrix=matrix, notes=list(notes(matrix)), summary=summary(matrix))


FORMATS: Mapping[str, Callable[["Matrix", Look], str]] = {
    "table": as_table,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
    "html": as_html,
}


def notes(matrix: "Matrix") -> Iterator[str]:
    """Yield a sentence on each directory that this installation does not have."""
    for name in matrix.missing:
        yield f"{name}/ is not part of this installation; run the command in a checkout of the project to see what is in it."


def summary(matrix: "Matrix") -> str:
    """Return the number of requirements that are built in, checked and proven."""
    built, checked, proven = (sum(bool(places) for places in column) for column in zip(*map(_columns, matrix.traces), strict=True))
    return f"{len(matrix.traces)} requirements: {built} built in, {checked} checked on the artefact, {proven} named by a test."


def _columns(entry: "Trace") -> tuple[Sequence[object], Sequence[object], Sequence[object]]:
    return entry.built_in, entry.checked_by, entry.proven_by


def _rows(matrix: "Matrix") -> Iterator[tuple[list[str], ...]]:
    for entry in matrix.traces:
        requirement = entry.requirement
        yield (
            [requirement.id],
            [requirement.title],
            [str(requirement.severity)],
            _places(entry.built_in),
            _checkers(entry.checked_by),
            _places(entry.proven_by),
            [f"{name}: {', '.join(clauses)}" for name, clauses in requirement.standards.items()],
        )


def _places(places: Sequence["Place"]) -> list[str]:
    return [f"{place.kind}: {place}" if place.kind else str(place) for place in places]


def _checkers(checkers: Sequence["Checker"]) -> list[str]:
    return [f"{checker.name} ({checker.place})" for checker in checkers]


def _short(places: Sequence["Place"]) -> list[str]:
    return _cut([f"{place.kind}: {place.name}" if place.kind else place.name for place in places])


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST_PLACES else [*lines[: MOST_PLACES - 1], f"and {len(lines) - MOST_PLACES + 1} more"]


def _entry(entry: "Trace") -> dict[str, Any]:
    requirement = entry.requirement
    return {
        "id": requirement.id,
        "title": requirement.title,
        "severity": str(requirement.severity),
        "built_in": [_place(place) for place in entry.built_in],
        "checked_by": [
            {"name": checker.name, "scope": checker.scope, "function": checker.function, **_place(checker.place)}
            for checker in entry.checked_by
        ],
        "proven_by": [{"kind": place.kind, **_place(place)} for place in entry.proven_by],
        "standards": {name: list(clauses) for name, clauses in requirement.standards.items()},
    }


def _place(place: "Place") -> dict[str, Any]:
    return {"file": place.file, "lines": list(place.lines)}
