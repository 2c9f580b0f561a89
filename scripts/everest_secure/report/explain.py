"""One requirement of the catalogue, for people at a terminal."""

import textwrap
from collections.abc import Iterator

from everest_secure.policy.requirement import Requirement
from everest_secure.text import printable


def explanation(requirement: Requirement, *, width: int) -> str:
    """Return everything that the catalogue says of a requirement, wrapped to `width` columns."""
    return "".join(f"{line}\n" for line in _lines(requirement, width))


def _lines(requirement: Requirement, width: int) -> Iterator[str]:
    yield f"{requirement.id}  {requirement.title}"
    yield requirement.group
    yield f"Severity {requirement.severity}; from {', '.join(requirement.source)}"
    fields = {
        "Requirement": requirement.requirement,
        "Why": requirement.why,
        "Built in": requirement.built_in,
        "On the artefact": requirement.on_artefact,
        "On the target": requirement.on_target,
        "Remedy": requirement.remedy,
        "Evidence": "a signed-off statement in the policy file decides where the artefact shows nothing" if requirement.evidence else "-",
        "Helps to meet": "; ".join(f"{name}: {', '.join(clauses)}" for name, clauses in requirement.standards.items()),
    }
    for name, text in fields.items():
        if text not in ("", "-"):
            yield ""
            yield name
            yield from textwrap.wrap(printable(text), width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
