"""Whoever looks for a requirement's ID finds the line that builds it in, and finds nothing that is no requirement."""

import re
from pathlib import Path

import pytest

from everest_secure.policy.catalogue import load_catalogue
from support.layer import LAYER

pytestmark = pytest.mark.layer

FAMILIES = "|".join(sorted({requirement.id.partition("-")[0] for requirement in load_catalogue().requirements}))
IDENTIFIER = re.compile(rf"\b(?:{FAMILIES})-\d\d\b")


OF_THE_REPOSITORY = {"DOC-01", "SUP-04"}
"""Built into conf/policy, CONTRIBUTING.md and CI, where no recipe is."""
NOT_YET = {"CERT-08": "everest-cert", "LOG-03": "everest-security-monitor", "TPM-06": "everest-tpm"}
"""Programs on the target that do not exist yet; of LOG-03 the packet filter has its part."""


def identifiers(file: Path) -> set[str]:
    return set(IDENTIFIER.findall(file.read_text(errors="replace")))


def built() -> dict[Path, set[str]]:
    """IDs by file: what BitBake or kas reads; a document builds nothing in."""
    files = [file for top in (LAYER, LAYER.parent / "kas") for file in top.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {file: identifiers(file) for file in files if file.suffix != ".md" and file.name != "LICENSE" and "oeqa" not in file.parts}


def test_every_requirement_that_is_built_in_is_found_by_its_id() -> None:
    found = set().union(*built().values())
    wanted = {requirement.id for requirement in load_catalogue().requirements if requirement.built_in != "-"}
    assert len(wanted) > 40
    assert wanted - found == OF_THE_REPOSITORY | NOT_YET.keys() - {"LOG-03"}


def test_every_package_that_the_catalogue_names_has_a_recipe() -> None:
    recipes = {recipe.stem.partition("_")[0] for recipe in LAYER.rglob("*.bb")}
    named = {name for requirement in load_catalogue().requirements for name in re.findall(r"`(everest-[a-z-]+)", requirement.built_in)}
    assert len(named) > 8
    assert named - recipes == set(NOT_YET.values())


def test_no_file_of_the_layer_names_a_requirement_that_does_not_exist() -> None:
    known = {requirement.id for requirement in load_catalogue().requirements}
    unknown = {f"{file.relative_to(LAYER.parent)}: {identifier}" for file, named in built().items() for identifier in named - known}
    assert unknown == set()


def test_every_recipe_names_in_its_head_a_requirement_that_exists() -> None:
    known = {requirement.id for requirement in load_catalogue().requirements}
    recipes = [recipe for recipe in LAYER.rglob("*.bb") if not recipe.name.startswith("packagegroup")]
    heads = {recipe.name: IDENTIFIER.findall(recipe.read_text().splitlines()[0]) for recipe in recipes}
    assert len(heads) > 12
    assert {name: head for name, head in heads.items() if not set(head) & known} == {}
