"""Requirements of the catalogue for people: one at a terminal, all as a page of the documentation."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from everest_secure.policy.requirement import Requirement
from everest_secure.text import printable

if TYPE_CHECKING:
    from everest_secure.traceability import Matrix, Trace

EVIDENCE = "a signed-off statement in the policy file decides where the artefact shows nothing"


def explanation(trace: "Trace", *, width: int) -> str:
    """Return everything that is known of a requirement, wrapped to `width` columns; a name of a file stays whole, to be copied."""
    return "".join(f"{line}\n" for line in _lines(trace, width))


def _lines(trace: "Trace", width: int) -> Iterator[str]:
    requirement = trace.requirement
    yield f"{requirement.id}  {requirement.title}"
    yield requirement.group
    yield f"Severity {requirement.severity}; from {', '.join(requirement.source)}"
    for name, text in _texts(requirement).items():
        if text not in ("", "-"):
            yield ""
            yield name
            yield from textwrap.wrap(printable(text), width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    places = {
        "Built in at": [str(place) for place in trace.built_in],
        "Checked by": [f"{checker.function}, {checker.place}" for checker in trace.checked_by],
        "Proven by": [f"{place.kind}: {place}" for place in trace.proven_by],
    }
    for name, found in places.items():
        if found:
            yield ""
            yield name
            for line in found:
                yield f"  {line}"


def _texts(requirement: Requirement) -> dict[str, str]:
    return {
        "Requirement": requirement.requirement,
        "Why": requirement.why,
        "Built in": requirement.built_in,
        "On the artefact": requirement.on_artefact,
        "On the target": requirement.on_target,
        "Remedy": requirement.remedy,
        "Evidence": EVIDENCE if requirement.evidence else "-",
        "Helps to meet": "; ".join(f"{name}: {', '.join(clauses)}" for name, clauses in requirement.standards.items()),
    }


def page(matrix: "Matrix") -> str:
    """Return docs/checks.md: every requirement and its checks, by group. Without line numbers, which every other change would move."""
    return "".join(f"{line}\n" for line in _page(matrix))


def _page(matrix: "Matrix") -> Iterator[str]:
    checked = sum(bool(trace.checked_by) for trace in matrix.traces)
    yield "# What is checked"
    yield ""
    yield "<!-- Written by `everest-secure explain --page` (`make docs`) from the catalogue and the checks; a change here is lost. -->"
    yield ""
    yield f"{len(matrix.traces)} requirements; {checked} are checked on the artefact. `everest-secure explain ID` says the same of one, with the lines that build it"
    yield "in and the tests that prove it; `everest-secure matrix` is the table of all."
    for group in dict.fromkeys(trace.requirement.group for trace in matrix.traces):
        yield ""
        yield f"## {group}"
        for trace in matrix.traces:
            if trace.requirement.group == group:
                yield from _section(trace)


def _section(trace: "Trace") -> Iterator[str]:
    requirement = trace.requirement
    yield ""
    yield f"### {requirement.id}: {requirement.title}"
    yield ""
    yield f"*{requirement.severity.capitalize()}.* {requirement.requirement}"
    yield ""
    yield requirement.why
    yield ""
    if trace.checked_by:
        yield "Checked:"
        yield ""
        scopes: dict[str, list[str]] = {}
        for checker in trace.checked_by:
            scopes.setdefault(checker.name, []).append(checker.scope)
        for name, where in scopes.items():
            yield f"- {name} ({', '.join(where)})"
        yield ""
    elif requirement.on_artefact != "-":
        yield "There is no check for it yet."
        yield ""
    for name in ("On the artefact", "On the target", "Built in", "Remedy", "Evidence", "Helps to meet"):
        text = _texts(requirement)[name]
        if text not in ("", "-"):
            yield f"- {name}: {text}"
