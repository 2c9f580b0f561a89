"""The report as one self-contained page: readable without scripts, offline, in light and dark, on paper."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.policy.requirement import Severity
from everest_secure.report.model import Part, Report, Result
from everest_secure.report.renderer import Look, renderer
from everest_secure.result import Outcome
from everest_secure.text import printable

if TYPE_CHECKING:
    from markupsafe import Markup

PAGE = Path(__file__).parent / "page"


@renderer("html", summary="the report as one self-contained page")
def render(report: Report, _: Look) -> str:
    """Return the page. What came from an artefact is escaped, and a content security policy lets nothing but the page's own script run."""
    attention = [result for result in report.results if report.needs_attention(result)]
    widths = "".join(f".bar .n{number} {{ flex: {number}; }}\n" for number in sorted(set(report.counts.values())))
    return page(
        "report.html.j2",
        style=widths,
        script="report.js",
        report=report,
        attention=attention,
        parts=report.parts if len(report.subjects) > len(report.given) else (),
        severities=list(Severity),
        standards=_by_standard(report),
    )


def page(template: str, *, style: str = "", script: str = "", **values: object) -> str:
    """Return a page of a template of this package, with the common style, `style` after it, and the script of that name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters |= {"code": _code, "digest": _digest, "scenario": _scenario, "sentence": _sentence, "size": _size, "slug": _slug}
    values["style"] = Markup((PAGE / "report.css").read_text() + style)  # noqa: S704 - the page's own file, and digits
    values["script"] = Markup((PAGE / script).read_text() if script else "")  # noqa: S704 - the page's own file
    return environment.get_template(template).render(values)


def _by_standard(report: Report) -> Mapping[str, Mapping[str, list[Result]]]:
    """Gather results by standard and clause, both sorted."""
    found: dict[str, dict[str, list[Result]]] = {}
    for result in report.results:
        for name, clauses in result.requirement.standards.items():
            for clause in clauses:
                found.setdefault(name, {}).setdefault(clause, []).append(result)
    return {name: dict(sorted(found[name].items(), key=lambda entry: _natural(entry[0]))) for name in sorted(found)}


def _natural(clause: str) -> list[tuple[int, str]]:
    parts = clause.replace("(", ".").replace(")", ".").replace(" ", ".").split(".")
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _shown(value: object) -> object:
    """Whatever a template prints, a path object or a date as well as text, without control characters; escaping comes after this."""
    return value if hasattr(value, "__html__") else printable(str(value))


def _code(text: str) -> "Markup":
    """Escape a text of the catalogue and set what is in backticks as code."""
    from markupsafe import Markup

    parts = printable(text).split("`")
    return Markup().join(Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in enumerate(parts))


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _sentence(text: str) -> str:
    """Begin with a capital, unless the first word is a name such as `rauc.service`, and end with a full stop."""
    first = text.split(" ", 1)[0]
    begun = text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text
    return begun if begun.endswith((".", "?", "!")) or not begun else f"{begun}."


def _size(size: int | None) -> str:
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError


def _scenario(part: Part) -> str:
    return {Outcome.PASS: "proven", Outcome.FAIL: "failed"}.get(part.outcome, "not run")


def _slug(outcome: str) -> str:
    return outcome.replace(" ", "-")
