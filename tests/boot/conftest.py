"""What the scenarios show becomes a file of proofs, which `everest-secure report merge` takes (conf/policy/schema/proofs.schema.json).

A scenario is a test with the mark `proves("BOOT-01", ...)`; its name says in words what it shows. The fixture `proof` takes what the target said
and pictures of its screen. The file is proofs.json beside the image (support.booted), or the one that EVEREST_SECURE_PROOFS names.
"""

import base64
import json
import os
import subprocess
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pytest

from everest_secure.pki.store import Store
from support.booted import BUNDLE, DISK, IMAGES, KEYS, is_there
from support.charger_in_qemu import charger
from support.container import unpack
from support.layer import Bench, bench
from support.settled import Settled, settle

__all__ = ["charger", "proof"]
FILE = Path(os.environ.get("EVEREST_SECURE_PROOFS", IMAGES / "proofs.json"))
LINES = 300
"""Lines that an excerpt may have; enough for a line of each of 200 kills."""


@dataclass
class Witness:
    """What one scenario shows for its requirements."""

    lines: list[str] = field(default_factory=list)
    pictures: list[dict[str, str]] = field(default_factory=list)

    def excerpt(self, lines: Iterable[str]) -> None:
        """Add what the target said, the lines that matter."""
        self.lines += [line.rstrip() for line in lines]

    def shown(self) -> list[str]:
        """Return the lines, the last of them what is left out of too many."""
        out = len(self.lines) - LINES
        return self.lines if out <= 0 else [*self.lines[:LINES], f"({out} lines more)"]

    def screenshot(self, picture: Path, title: str) -> None:
        """Add a picture of the target's screen, a PNG file."""
        self.pictures.append({"title": title, "png": base64.b64encode(picture.read_bytes()).decode()})


WITNESS = pytest.StashKey[Witness]()


class Proofs:
    """What the scenarios have shown, whichever process ran them."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what `pytest_runtest_makereport` has put into a report, whose attributes pytest-xdist hands on."""
        if found := getattr(report, "proof", None):
            self.found[report.nodeid] = found

    def pytest_sessionfinish(self) -> None:
        """Write the file, when there is an image that the scenarios were about."""
        if self.found and is_there():
            artefacts = [{"name": file.name, "sha256": _sha256(file)} for file in sorted([DISK, BUNDLE])]
            value = {"format": 1, "target": _target(), "time": datetime.now(UTC).isoformat(timespec="seconds"), "artefacts": artefacts}
            FILE.write_text(json.dumps({**value, "proofs": list(self.found.values())}, indent=2) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Collect in one place: in the process that the others report to."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Proofs())


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Witness:
    """Take what this scenario has to show."""
    witness = Witness()
    request.node.stash[WITNESS] = witness
    return witness


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what came of a scenario, whichever of its phases decided it."""
    report = yield
    requirements = [each for mark in item.iter_markers("proves") for each in mark.args]
    if requirements and (report.when == "call" or not report.passed):
        witness = item.stash.get(WITNESS, Witness())
        vars(report)["proof"] = {
            "requirements": list(dict.fromkeys(requirements)),
            "test": item.nodeid,
            "sentence": item.name.removeprefix("test_").replace("_", " "),
            "outcome": "proven" if report.passed else "not run" if report.skipped else "failed",
            "reason": "" if report.passed else _reason(report),
            "excerpt": witness.shown(),
            "pictures": witness.pictures,
        }
    return report


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Settled:
    """A charger that was on once and is off: it has made its data partition and its keys, and was offered bundles that it had to refuse.

    Scenarios of updates begin with a copy of this one; a start takes a minute.
    """
    return settle(tmp_path_factory.mktemp("settled"), Store(KEYS))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the image's first slot, for containers; each lays what it changes over it."""
    return unpack(tmp_path_factory.mktemp("container"))


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The layer's recipes."""
    return bench(tmp_path_factory.mktemp("layer"))


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash else str(report.longrepr)).strip().splitlines()[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _target() -> str:
    """Return what the scenarios ran on."""
    said = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = said[3] if len(said) > 3 else "of an unknown version"
    return f"QEMU {version}, q35, OVMF with secure boot, swtpm"
