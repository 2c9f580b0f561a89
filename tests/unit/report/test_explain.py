import pytest

from everest_secure.paths import data
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.report.explain import explanation, page
from everest_secure.traceability import Matrix, trace

IDS = [entry.id for entry in load_catalogue().requirements]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return trace(load_catalogue())


@pytest.mark.parametrize("identifier", IDS)
def test_a_requirement_is_explained_within_the_width(identifier: str, matrix: Matrix) -> None:
    text = explanation(matrix.get(identifier), width=72)
    assert max(len(line) for line in text.splitlines() if "/" not in line) <= 72
    said = " ".join(text.split())
    entry = matrix.get(identifier).requirement
    for part in (entry.id, entry.title, entry.requirement, entry.why, entry.remedy, str(entry.severity)):
        assert " ".join(part.split()) in said


def test_it_names_the_lines_that_build_it_in_check_it_and_prove_it(matrix: Matrix) -> None:
    lines = [line.strip() for line in explanation(matrix.get("NET-01"), width=72).splitlines()]
    found = matrix.get("NET-01")
    assert found.built_in
    assert found.checked_by
    assert found.proven_by
    assert all(str(place) in lines for place in found.built_in)
    assert all(f"{checker.function}, {checker.place}" in lines for checker in found.checked_by)
    assert all(f"{place.kind}: {place}" in lines for place in found.proven_by)


def test_what_does_not_exist_is_left_out(matrix: Matrix) -> None:
    fuses = explanation(matrix.get("BOOT-04"), width=80)
    assert "On the target" not in fuses
    assert "Built in at" not in fuses
    assert "Evidence" in fuses
    assert "Evidence" not in explanation(matrix.get("NET-01"), width=80)


def test_the_documentation_says_what_catalogue_and_checks_say(matrix: Matrix) -> None:
    written = (data("meta-everest-secure").parent / "docs/checks.md").read_text()
    assert written == page(matrix), "docs/checks.md is not of this catalogue and these checks; run 'make docs'"
    assert [line.partition(":")[0] for line in written.splitlines() if line.startswith("### ")] == [
        f"### {identifier}" for identifier in IDS
    ]
