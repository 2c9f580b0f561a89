"""An update from installation to decision on the demonstration's image, with firmware, secure boot and RAUC as they are (RAUC-05, RAUC-06).

The image finds the bundle on a second disk (scripts/everest_secure/reference/standins) and says on its console what happens. Software emulation:
minutes for each test. Run by `make boot`, after `make demo`.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.pki.store import Store
from everest_secure.target.firmware import Firmware, enroll
from everest_secure.target.machine import PROGRAMS, Machine
from everest_secure.target.session import run_until
from support.reference import REPOSITORY, require

pytestmark = pytest.mark.boot

DEMO = REPOSITORY / "build/demo"
KEYS = REPOSITORY / "build/keys/development"
SECONDS = 1800
SAYS = "everest-reference: "


@dataclass(frozen=True)
class Console:
    """What the image said, from the first start to the last."""

    lines: tuple[str, ...]

    def said(self, topic: str) -> list[str]:
        """Return the rest of the lines on a topic: `update`, `rauc`, `firmware`, `gate`."""
        return [line.removeprefix(f"{SAYS}{topic}: ") for line in self.lines if line.startswith(f"{SAYS}{topic}: ")]

    def orders(self) -> list[str]:
        """Return the firmware's boot orders in labels, from the installation on: `BA`."""
        labels = dict(re.findall(r"^Boot([0-9A-F]{4})\*? (\S+)", "\n".join(self.said("firmware")), re.MULTILINE))
        orders = [line.split()[1] for line in self.said("firmware") if line.startswith("BootOrder:")]
        return ["".join(labels[number] for number in order.split(",")) for order in orders]


def update(directory: Path, *, then: str, until: str) -> Console:
    """Start the image with its own bundle on a second disk; `then` is what happens at the first start of the new slot."""
    require(*PROGRAMS, "mke2fs")
    found = [*DEMO.glob("*.raw"), *DEMO.glob("*.raucb")]
    if len(found) != 2 or not Firmware().code.is_file():
        pytest.skip("there is no demonstration, or no ovmf; run 'make demo' first")
    disk, bundle = found
    content = directory / "second"
    content.mkdir()
    shutil.copy(bundle, content / "update.raucb")
    (content / "then").write_text(f"{then}\n")
    second = directory / "second.ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, second, f"{(bundle.stat().st_size >> 20) + 64}M"], check=True)
    firmware = Firmware()
    variables = enroll(directory / "variables.fd", firmware=firmware, keys=Store(KEYS))
    machine = Machine(disk=disk, firmware=firmware, variables=variables, state=directory / "machine", second_disk=second)
    return Console(tuple(line.strip() for line in run_until(machine, f"{SAYS}update: {until}", seconds=SECONDS).splitlines()))


def test_a_healthy_update_is_started_once_found_good_and_stays(tmp_path: Path) -> None:
    console = update(tmp_path, then="nothing", until="decided in slot B")
    assert console.said("update") == ["slot A runs", "slot B runs", "decided in slot B"]
    assert any("Installing" in line and "succeeded" in line for line in console.said("rauc"))
    assert any(line.endswith("slot B is good") for line in console.said("gate"))
    assert console.orders() == ["A", "BA"]


def test_an_update_that_everest_finds_unhealthy_goes_back_by_itself(tmp_path: Path) -> None:
    console = update(tmp_path, then="unhealthy", until="decided in slot A")
    assert console.said("update") == ["slot A runs", "slot B runs", "slot A runs", "decided in slot A"]
    assert console.orders()[-1] == "A"


def test_an_update_that_resets_the_machine_before_it_is_found_good_is_gone_at_the_next_start(tmp_path: Path) -> None:
    console = update(tmp_path, then="reset", until="decided in slot A")
    assert console.said("update") == ["slot A runs", "slot B runs", "slot A runs", "decided in slot A"]
    assert console.said("gate")[-1].endswith("slot B was written and slot A runs: the update did not come up")
    assert console.orders() == ["A", "A"]
