"""The layer's variables: each knob has a default, a meaning and a unit; nothing is set that nobody reads, or read that nobody sets."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.layer import LAYER

pytestmark = pytest.mark.layer

PROJECT = LAYER.parent
KNOBS = LAYER / "conf/distro/include/everest-secure-knobs.inc"
METADATA = {".bb", ".bbappend", ".bbclass", ".conf", ".inc"}
FRAGMENTS = sorted((PROJECT / "kas").rglob("*.yml"))
TEXTS = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("meta-*/README.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("templates/product/**/*.*")]
)

NAME = re.compile(r"\bEVEREST_[A-Z0-9_]*[A-Z0-9]\b(?!\w)")
DEFAULT = re.compile(r'^(EVEREST_[A-Z0-9_]+) \?\?= "(.*)"$', re.MULTILINE)
SET = re.compile(r"^(EVEREST_[A-Z0-9_]+)(?::[a-z0-9-]+)* *(?:\?\?|[?:+.])?=", re.MULTILINE)
DOCUMENTED = re.compile(r'^(EVEREST_[A-Z0-9_]+)\[doc\] = "((?:[^"\\]|\\\n)+)"$', re.MULTILINE)
UNIT = re.compile(r"\b(bytes|characters|days|entries|minutes|MiB|number|seconds|TCP port)\b", re.IGNORECASE)

OF_EVEREST = {"EVEREST_CORE_PATH", "EVEREST_INCLUDE_MODULES"}
"""Set by EVerest's own layer, read by its CMake files."""
OF_THE_BUILD_HOST = {"EVEREST_BUILD_SPACE", "EVEREST_DEBIAN_ARCHIVE", "EVEREST_HASH_SERVER", "EVEREST_SSTATE_MIRROR"}
"""Read by kas files and our own command: what the machine that builds has and finds, and no part of an image."""
OF_THE_TOOLS = {"EVEREST_SECURE_POWER_CUTS_SEED", "EVEREST_KERNEL_SOURCE", "EVEREST_U_BOOT_SOURCE", "EVEREST_SECURE_TRACEBACK"}
"""Read by our own programs and tests, from the environment."""


def without_comments(file: Path) -> str:
    return re.sub(r"^\s*#.*$", "", file.read_text(), flags=re.MULTILINE)


def metadata() -> Iterator[tuple[Path, str]]:
    """What BitBake parses, and the templates that it fills in."""
    yield from ((file, without_comments(file)) for file in sorted(LAYER.rglob("*")) if file.suffix in METADATA and "oeqa" not in file.parts)


def made() -> set[str]:
    """Variables that the layer sets somewhere."""
    return {name for _, text in metadata() for name in SET.findall(text)}


def test_every_knob_has_one_default_and_a_meaning() -> None:
    knobs = [name for name, _ in DEFAULT.findall(KNOBS.read_text().replace("\\\n", ""))]
    assert len(knobs) > 90
    assert sorted(knobs) == sorted(set(knobs))
    assert sorted(knobs) == sorted(dict(DOCUMENTED.findall(KNOBS.read_text())))


def test_every_knob_that_is_a_quantity_says_its_unit() -> None:
    meanings = dict(DOCUMENTED.findall(KNOBS.read_text()))
    quantities = [name for name, value in DEFAULT.findall(KNOBS.read_text()) if value.isdigit() and value not in {"0", "1"}]
    assert len(quantities) > 15
    assert [name for name in quantities if not UNIT.search(meanings[name])] == ["EVEREST_ISO15118"], "that one is the number of a standard"


def test_every_variable_that_a_class_or_the_configuration_makes_is_documented() -> None:
    shared = [(file, text) for file, text in metadata() if file.suffix == ".bbclass" or file.is_relative_to(LAYER / "conf")]
    documented = {name for _, text in shared for name, _ in DOCUMENTED.findall(text)}
    assert {f"{file.name}: {name}" for file, text in shared for name in SET.findall(text) if name not in documented} == set()


def test_nothing_is_read_that_nobody_sets() -> None:
    known = made() | OF_EVEREST
    assert {f"{file.name}: {name}" for file, text in metadata() for name in NAME.findall(text) if name not in known} == set()


def test_nothing_is_set_that_nobody_reads() -> None:
    library = "".join(file.read_text() for file in LAYER.glob("lib/everest_policy/*.py"))
    files = "".join(file.read_text() for file in LAYER.rglob("files/**/*") if file.is_file() and file.suffix not in METADATA)
    code = library + files
    for _, text in metadata():
        code += DOCUMENTED.sub("", SET.sub("=", text))
    read = set(NAME.findall(code))
    assert sorted(made() - read) == []


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_a_kas_file_sets_is_a_knob(fragment: Path) -> None:
    settings = re.findall(r"^ +(EVEREST_[A-Z0-9_]+)(?::| [?+.:]*=)", fragment.read_text(), flags=re.MULTILINE)
    assert set(settings) - dict(DOCUMENTED.findall(KNOBS.read_text())).keys() - OF_THE_BUILD_HOST == set()


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_a_text_or_the_template_speaks_of_exists(text: Path) -> None:
    known = made() | OF_EVEREST | OF_THE_BUILD_HOST | OF_THE_TOOLS
    assert {name for name in NAME.findall(text.read_text()) if name not in known} == set()


def test_every_knob_that_is_1_or_0_is_refused_when_it_is_neither() -> None:
    documented = set(re.findall(r'^(EVEREST_\w+)\[doc\] = "1 ', KNOBS.read_text(), re.MULTILINE))
    refused = set(re.findall(r'"(EVEREST_\w+)"', (LAYER / "lib/everest_policy/switches.py").read_text()))
    assert len(documented) > 10
    assert documented - refused == set()
