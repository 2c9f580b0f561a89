from dataclasses import replace

from everest_secure import checks
from everest_secure.checks.core import registered, run_check
from everest_secure.policy.catalogue import Catalogue, load_catalogue
from everest_secure.result import CheckResult, Outcome
from support.rootfs import production

CATALOGUE = load_catalogue()


def judged(catalogue: Catalogue) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == "DOC-01"]
    return run_check(entry, catalogue, "catalogue", production())


def test_every_requirement_is_mapped_and_every_standard_has_some() -> None:
    result = judged(CATALOGUE)
    assert result.outcome is Outcome.PASS, result.findings
    assert len(result.seen) == 7


def test_a_requirement_without_clauses_is_found() -> None:
    first, *others = CATALOGUE.requirements
    result = judged(Catalogue(CATALOGUE.groups, (replace(first, standards={"OpenSSF": ()}), *others)))
    assert [finding.what for finding in result.findings] == [f"{first.id} names no clause of any standard"]


def test_a_standard_without_requirements_is_found() -> None:
    kept = tuple(replace(each, standards={**each.standards, "ISO 15118": ()}) for each in CATALOGUE.requirements)
    assert "no requirement is mapped to ISO 15118" in [finding.what for finding in judged(Catalogue(CATALOGUE.groups, kept)).findings]
