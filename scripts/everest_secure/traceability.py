"""Which line builds a requirement in, which function checks it, and which test proves it.

A requirement is found by its ID, as a reader would with grep: in what BitBake and kas read, in the registered checks, in the tests. An installed
wheel holds the layer and the checks alone; what it cannot show is said in `Matrix.missing`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from everest_secure import checks
from everest_secure.checks.core import Check, Scope, registered
from everest_secure.paths import PACKAGE, data
from everest_secure.policy.catalogue import Catalogue
from everest_secure.policy.declared import Declared
from everest_secure.policy.requirement import Requirement

LAYER = "meta-everest-secure"
TARGET_TESTS = f"{LAYER}/lib/oeqa"
BUILT_IN = (LAYER, "kas", ".ci", ".github", "CONTRIBUTING.md", "SECURITY.md", "conf/policy/requirements.yml")
"""Files and directories whose lines build a requirement in: the layer, the configurations, and the repository itself."""
CATALOGUE = "conf/policy/requirements.yml"
"""Names every ID; only its comments say what it builds in itself."""
PROOFS = {
    "unit": "tests/unit/checks",
    "layer": "tests/layer",
    "upstream": "tests/yocto",
    "demonstration": "tests/e2e",
    "boot": "tests/boot",
    "target": TARGET_TESTS,
}
"""Kinds of tests and where they lie."""
NO_PROOF = frozenset({"test_traceability.py"})
"""Tests of this module, which name requirements without testing them."""

_ID = re.compile(r"\b[A-Z]{2,5}-\d\d\b")


@dataclass(frozen=True, slots=True)
class Place:
    """A file that names a requirement."""

    file: str
    """Path from the root of the repository, or of the package in an installed one."""
    lines: tuple[int, ...]
    """From 1, ascending."""
    kind: str = ""
    """Kind of a test, a key of PROOFS."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.file.rpartition("/")[2]

    def __str__(self) -> str:
        """`kas/base.yml:3,17`."""
        return f"{self.file}:{','.join(map(str, self.lines))}"


@dataclass(frozen=True, slots=True)
class Checker:
    """A check of a requirement: a function, or a condition of a policy file."""

    name: str
    """What holds, in words."""
    scope: str
    """What it looks at."""
    function: str
    """Name of the function; the condition of a policy file in words."""
    place: Place


@dataclass(frozen=True, slots=True)
class Trace:
    """Where one requirement is met, checked and proven."""

    requirement: Requirement
    built_in: tuple[Place, ...]
    checked_by: tuple[Checker, ...]
    proven_by: tuple[Place, ...]


@dataclass(frozen=True)
class Matrix:
    """All requirements, in the order of the catalogue."""

    traces: tuple[Trace, ...]
    missing: tuple[str, ...]
    """Directories that this installation does not have."""

    def get(self, identifier: str) -> Trace:
        """Return the trace of a requirement that is among them."""
        return next(trace for trace in self.traces if trace.requirement.id == identifier)


def trace(catalogue: Catalogue, declared: Sequence[Declared] = ()) -> Matrix:
    """Trace every requirement of the catalogue, and behind them those that a policy file declares."""
    checks.load()
    base = data(LAYER).parent
    places = [(place, identifier) for file in _sources(base) for place, identifier in _named(file, base, "")]
    proofs = [(place, identifier) for kind, file in _tests(base, registered()) for place, identifier in _named(file, base, kind)]
    traces = tuple(
        Trace(
            requirement,
            tuple(place for place, identifier in places if identifier == requirement.id),
            tuple(_checker(check, base) for check in registered() if check.requirement == requirement.id),
            tuple(place for place, identifier in proofs if identifier == requirement.id),
        )
        for requirement in catalogue.requirements
    )
    return Matrix((*traces, *map(_declared, declared)), tuple(top for top in (LAYER, "kas", "tests") if not (base / top).is_dir()))


def _declared(entry: Declared) -> Trace:
    """Trace a requirement of a policy file, of which nothing but its entry is known."""
    file, _, line = entry.where.rpartition(":")
    words = map(str, entry.conditions)
    return Trace(entry.requirement, (), tuple(Checker(each, Scope.ROOT, each, Place(file, (int(line),))) for each in words), ())


def _sources(base: Path) -> Iterator[Path]:
    for top in BUILT_IN:
        for file in _files(base / top):
            documents = file.suffix == ".md" and file.parent != base
            if not documents and file.name != "LICENSE" and not file.is_relative_to(base / TARGET_TESTS):
                yield file


def _tests(base: Path, of: Sequence[Check]) -> Iterator[tuple[str, Path]]:
    """Yield tests by kind; of the unit tests those of modules that hold checks, as others name requirements for example."""
    modules = {check.function.__module__.rpartition(".")[2] for check in of}
    for kind, top in PROOFS.items():
        for file in _files(base / top):
            if file.suffix != ".py" or file.name in NO_PROOF:
                continue
            if kind != "unit" or file.stem.removeprefix("test_") in modules:
                yield kind, file


def _files(top: Path) -> Iterable[Path]:
    if top.is_file():
        return [top]
    return sorted(file for file in top.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _named(file: Path, base: Path, kind: str) -> Iterator[tuple[Place, str]]:
    name = str(file.relative_to(base))
    found: dict[str, list[int]] = {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
        if name == CATALOGUE and not line.startswith("#"):
            continue
        for identifier in dict.fromkeys(_ID.findall(line)):
            found.setdefault(identifier, []).append(number)
    for identifier, lines in found.items():
        yield Place(name, tuple(lines), kind), identifier


def _checker(check: Check, base: Path) -> Checker:
    code = check.function.__code__
    file = Path(code.co_filename)
    name = str(file.relative_to(base if file.is_relative_to(base) else PACKAGE))
    return Checker(check.name, check.scope, check.function.__name__, Place(name, (code.co_firstlineno,)))
