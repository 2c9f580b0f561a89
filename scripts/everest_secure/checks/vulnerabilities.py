"""Known vulnerabilities of what an image is made of: SUP-02."""

from collections.abc import Iterator

from everest_secure.checks.common import words
from everest_secure.checks.core import Build, Location, NotApplicable, Notes, Scope, check
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.parse.build_lists import Vulnerability, VulnerabilityReport, parse_vulnerabilities
from everest_secure.parse.packages import LICENCES, parse_recipes
from everest_secure.policy.parameters import Parameters

EVEREST = "everest-core"
"""EVerest's recipe, which the National Vulnerability Database knows as `linuxfoundation:everest`."""
_OPEN_LISTED = 2000
"""Open vulnerabilities that are listed one by one, so that each can be waived."""


@check("SUP-02", on=Scope.BUILD)
def no_known_vulnerability_is_open(build: Build, policy: Parameters, note: Notes) -> None:
    """No report beside the image names an open vulnerability of the policy's score; a waiver for one names it in `match`."""
    found = [(name, report) for name, report in map(_report, _reports(build)) if report is not None]
    if not found:
        if not policy.vulnerability_report_required:
            raise NotApplicable("there is no report of known vulnerabilities beside the image, and the policy asks for none")
        what = "there is no report of known vulnerabilities beside the image"
        note.finding(what, at=Location(build.container.name), remedy="Build with kas/opt/cve.yml, and keep IMAGE.json beside the image.")
        return
    for name, report in found:
        remedy = (
            "Build the image again with kas/opt/cve.yml, a database and this layer's CVE_PRODUCT, and keep together what one build left."
        )
        for what in _of_something_else(build, report):
            note.finding(what, at=Location(name), remedy=remedy)
        counted = [each for each in report.issues if each.open and (each.score is None or each.score >= policy.vulnerability_score)]
        remedy = "Update or patch the package, or record a waiver of SUP-02 with this name as 'match'."
        for each in counted[:_OPEN_LISTED]:
            note.finding(_sentence(each), at=Location(name), remedy=remedy)
        if len(counted) > _OPEN_LISTED:
            note.finding(f"{len(counted) - _OPEN_LISTED} more vulnerabilities are open", at=Location(name), remedy=remedy)
        note.saw(f"{name}: {len(report.issues)} known vulnerabilities, {sum(each.open for each in report.issues)} open")


def _of_something_else(build: Build, report: VulnerabilityReport) -> Iterator[str]:
    """Yield why a report says nothing of this image: it compares nothing, EVerest with nothing, or other recipes or versions than the licence manifest's."""
    if not report.recipes:
        yield "the report compares no recipe with the database, as one that is made without a database"
        return
    if EVEREST in report.without_record:
        yield f"the report compares {EVEREST} with no record of the database, in which EVerest has another name"
    for root in build.roots:
        recipes = parse_recipes(root.tree.text(LICENCES)) if root.tree.resolve(LICENCES) else {}
        if recipes and not recipes.keys() & report.recipes.keys():
            yield f"the report names no recipe of {root.artefact.name}"
        for name in sorted(recipes.keys() & report.recipes.keys()):
            if report.recipes[name] not in recipes[name]:
                yield f"the report is of {name} {report.recipes[name]}, in {root.artefact.name} it is {words(recipes[name])}"


def _sentence(found: Vulnerability) -> str:
    score = f"score {found.score:g}" if found.score is not None else "no score yet"
    return f"{found.id} is open in {found.package} {found.version} ({score})"


def _reports(build: Build) -> tuple[Companion, ...]:
    """Return what may be a report; a VEX alone compares the image with no database."""
    found = (each for each in build.companions if each.kind is CompanionKind.VULNERABILITIES)
    return tuple(each for each in found if each.name.endswith(".json") and not each.name.endswith(".vex.json"))


def _report(companion: Companion) -> tuple[str, VulnerabilityReport | None]:
    return companion.name, parse_vulnerabilities(companion.text(), companion.name)
