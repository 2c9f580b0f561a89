import pytest

from everest_secure.policy.catalogue import load_catalogue
from everest_secure.report.explain import explanation

CATALOGUE = load_catalogue()


@pytest.mark.parametrize("requirement", CATALOGUE.requirements, ids=lambda entry: entry.id)
def test_a_requirement_is_explained_within_the_width(requirement: object) -> None:
    entry = CATALOGUE.get(getattr(requirement, "id"))  # noqa: B009 - typed as object by the parametrisation
    text = explanation(entry, width=72)
    assert max(map(len, text.splitlines())) <= 72
    said = " ".join(text.split())
    for part in (entry.id, entry.title, entry.requirement, entry.why, entry.remedy, str(entry.severity)):
        assert " ".join(part.split()) in said


def test_what_does_not_exist_is_left_out() -> None:
    assert "On the target" not in explanation(CATALOGUE.get("BOOT-04"), width=80)
    assert "Evidence" in explanation(CATALOGUE.get("BOOT-04"), width=80)
    assert "Evidence" not in explanation(CATALOGUE.get("NET-01"), width=80)
