"""Whoever looks for a requirement's ID finds the line that builds it in, and finds nothing that is no requirement."""

import re
from pathlib import Path

import pytest

from everest_secure.policy.catalogue import load_catalogue
from everest_secure.traceability import trace
from support.layer import LAYER

pytestmark = pytest.mark.layer

FAMILIES = "|".join(sorted({requirement.id.partition("-")[0] for requirement in load_catalogue().requirements}))
IDENTIFIER = re.compile(rf"\b(?:{FAMILIES})-\d\d\b")


def identifiers(file: Path) -> set[str]:
    return set(IDENTIFIER.findall(file.read_text(errors="replace")))


def test_every_requirement_that_is_built_in_is_found_by_its_id() -> None:
    matrix = trace(load_catalogue())
    wanted = {entry.requirement.id: entry.built_in for entry in matrix.traces if entry.requirement.built_in != "-"}
    assert matrix.missing == ()
    assert len(wanted) > 40
    assert {identifier for identifier, places in wanted.items() if not places} == set()


def test_every_package_that_the_catalogue_names_has_a_recipe() -> None:
    recipes = {recipe.stem.partition("_")[0] for recipe in LAYER.rglob("*.bb")}
    named = {name for requirement in load_catalogue().requirements for name in re.findall(r"`(everest-[a-z-]+)", requirement.built_in)}
    assert len(named) > 8
    assert named - recipes == set()


def test_no_file_of_the_layer_names_a_requirement_that_does_not_exist() -> None:
    known = {requirement.id for requirement in load_catalogue().requirements}
    files = [file for top in (LAYER, LAYER.parent / "kas") for file in top.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert len(files) > 100
    unknown = {f"{file.relative_to(LAYER.parent)}: {identifier}" for file in files for identifier in identifiers(file) - known}
    assert unknown == set()


def test_every_recipe_names_in_its_head_a_requirement_that_exists() -> None:
    known = {requirement.id for requirement in load_catalogue().requirements}
    recipes = [recipe for recipe in LAYER.rglob("*.bb") if not recipe.name.startswith("packagegroup")]
    heads = {recipe.name: IDENTIFIER.findall(recipe.read_text().splitlines()[0]) for recipe in recipes}
    assert len(heads) > 12
    assert {name: head for name, head in heads.items() if not set(head) & known} == {}
