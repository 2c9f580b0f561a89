"""Every program that a recipe puts on the target has a manual page, with its exit codes; every structured entry of the journal an id of its own."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from everest_secure.reference.recipes.harness import BuiltRecipe, build_recipes
from support.authority import issue
from support.layer import LAYER

pytestmark = pytest.mark.layer

PROJECT = LAYER.parent
FIRST_PROCESS = "init"
"""Of the initial RAM disk: the kernel calls it and nobody else, and its end is a panic."""
SIGNALLED = 128
"""What is above is the shell's own word for a signal (POSIX, "Exit Status for Commands")."""
SOURCES = {
    file.name: file
    for file in sorted(LAYER.rglob("files/*"))
    if file.is_file() and not file.suffix and file.name != FIRST_PROCESS and file.read_bytes().startswith(b"#!/bin/sh")
}
RECIPES = sorted({next(file.parent.parent.glob("*.bb")).stem.rpartition("_")[0] for file in SOURCES.values()})


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> list[BuiltRecipe]:
    """All recipes with programs, built at once."""
    work = tmp_path_factory.mktemp("recipes")
    (work / "ca.pem").write_text(issue("Server Root CA", authority=True).pem)
    settings = {"EVEREST_HAWKBIT_SERVER": "updates.example.com", "EVEREST_HAWKBIT_CA": str(work / "ca.pem")}
    settings |= {"EVEREST_MCU_UPDATE_HANDLER": "/usr/libexec/everest-secure/everest-mcu-stm32"}
    return list(build_recipes(RECIPES, layer=LAYER, work=work / "build", settings=settings))


def installed(recipes: list[BuiltRecipe]) -> list[Path]:
    return [path for recipe in recipes for package in recipe.packages for path in package.files.rglob("*") if path.is_file()]


def test_every_program_has_a_manual_page_beside_it(recipes: list[BuiltRecipe]) -> None:
    files = installed(recipes)
    programs = {path.name for path in files if path.stat().st_mode & 0o111} - {FIRST_PROCESS}
    assert programs == set(SOURCES)
    assert len(programs) > 10
    pages = {path.name for path in files if path.parent.name == "man8"}
    assert {f"{name}.8" for name in programs} <= pages
    assert "everest-mqtt-api.8" in {path.name for path in LAYER.rglob("*.8")}


def manual(name: str) -> str:
    return SOURCES[name].with_name(f"{name}.8").read_text()


def exit_codes(source: str) -> set[int]:
    """Numbers with which a script ends by its own words."""
    shared = "".join(file.read_text() for file in sorted(LAYER.rglob("files/*.sh")))
    constants = {name: int(value) for name, value in re.findall(r"\b([A-Z_]+)=(\d+)\b", shared + source)}
    said = re.findall(r'\b(?:exit|fail) (?:(\d+)\b|"\$\{([A-Z_]+)\}")', re.sub(r"(?m)^\s*#.*$", "", source))
    return {int(number) if number else constants[name] for number, name in said} - {0}


@pytest.mark.parametrize("name", SOURCES)
def test_a_page_says_every_exit_code_of_its_program(name: str) -> None:
    (section,) = re.findall(r"^\.SH EXIT STATUS\n(.*?)(?=^\.SH )", manual(name), re.MULTILINE | re.DOTALL)
    said = {int(number) for number in re.findall(r"^(\d+)$", section, re.MULTILINE)}
    wanted = {code for code in exit_codes(SOURCES[name].read_text()) if code < SIGNALLED}
    assert {0} < said
    assert wanted <= said


def test_codes_are_found_where_scripts_have_them() -> None:
    assert exit_codes('A=3 LONG_ONE=64\n# exit 9\nexit 1\nfail "${A}" "x"\nexit "${LONG_ONE}"\nexit "${code}"\n') == {1, 3, 64}


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("page", sorted(LAYER.rglob("*.8")), ids=lambda page: page.name)
def test_a_page_is_read_without_a_warning_and_names_itself(page: Path) -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    title, _, name = page.read_text().splitlines()[:3]
    assert title.startswith(f".TH {page.stem.upper()} 8 ")
    assert name.startswith(f"{page.stem} \\- ")


@pytest.mark.parametrize("unit", sorted(LAYER.rglob("files/*.service")), ids=lambda unit: unit.name)
def test_a_unit_names_only_pages_that_there_are(unit: Path) -> None:
    for page in re.findall(r"man:(everest-[\w-]+)\(8\)", unit.read_text()):
        assert list(LAYER.rglob(f"{page}.8"))


def used() -> Mapping[str, str]:
    """MESSAGE_IDs in programs and tables of the layer, each with the file that has it."""
    found: dict[str, str] = {}
    for file in sorted(LAYER.rglob("files/*")):
        if file.suffix in ("", ".tsv") and file.is_file():
            for number in re.findall(r"(?m)^(?:ID_\w+=|[a-z-]+\t)([0-9a-f]{32})$|^[a-z-]+\t([0-9a-f]{32})\t", file.read_text()):
                identifier = "".join(number)
                assert identifier not in found, f"{file.name} and {found.get(identifier)} have one id"
                found[identifier] = file.name
    return found


def test_every_structured_entry_has_an_id_of_its_own_and_stands_in_one_table() -> None:
    table = (PROJECT / "docs/monitoring.md").read_text()
    assert len(used()) >= 20
    assert sorted(re.findall(r"`([0-9a-f]{32})`", table)) == sorted(used())
