"""A charger that does what a second disk tells it (scripts/everest_secure/reference/standins), and what it says of that on its console."""

import re
import shutil
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from everest_secure.pki.store import Store
from everest_secure.target.console import Line
from everest_secure.target.firmware import Firmware, enroll
from everest_secure.target.machine import PROGRAMS, Machine
from everest_secure.target.session import SOUND, UNSOUND, Session, power_on
from support.booted import BUNDLE, DISK, KEYS, LACKING, is_there
from support.reference import require

SAYS = "everest-reference: "
CRASH = f"{SAYS}crash of the kernel: "
OF_THE_EMULATION = ("Oops: int3: ", "Kernel panic - not syncing: Fatal exception")
"""What a kernel says that ran into a breakpoint of its own which was no longer there (`session.SOUND`), and what ends every oops."""
SECONDS = 1800
"""Bound of any wait, which an overloaded computer does not reach."""


@dataclass(frozen=True)
class Console:
    """What the image said."""

    lines: tuple[str, ...]
    times: tuple[float, ...] = ()
    """Seconds from power on to each line."""

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "Console":
        return cls(tuple(line.text for line in lines), tuple(line.seconds for line in lines))

    def seconds_between(self, first: str, last: str) -> float:
        """Return how long it took from a line to the next one that is another."""
        start = self.lines.index(first)
        return self.times[self.lines.index(last, start)] - self.times[start]

    def said(self, topic: str) -> list[str]:
        """Return the rest of the lines on a topic: `steps`, `rauc`, `firmware`, `gate`, `state`."""
        return [line.removeprefix(f"{SAYS}{topic}: ") for line in self.lines if line.startswith(f"{SAYS}{topic}: ")]

    def by_start(self) -> list["Console"]:
        """Return what was said in each start that came as far as the steps."""
        at = [number for number, line in enumerate(self.lines) if re.fullmatch(rf"{SAYS}steps: slot \S+ runs", line)]
        return [Console(self.lines[first:end]) for first, end in zip(at, [*at[1:], len(self.lines)], strict=True)]

    def starts(self) -> list[str]:
        """Return the slot of each start: `A`."""
        return [match[1] for line in self.said("steps") if (match := re.fullmatch(r"slot (\S+) runs", line))]

    def orders(self) -> list[str]:
        """Return the firmware's boot orders in labels, one for each step `firmware`: `BA`."""
        labels = dict(re.findall(r"^Boot([0-9A-F]{4})\*? (\S+)", "\n".join(self.said("firmware")), re.MULTILINE))
        orders = [line.split()[1] for line in self.said("firmware") if line.startswith("BootOrder:")]
        return ["".join(labels[number] for number in order.split(",")) for order in orders]

    def states(self) -> list[dict[str, str]]:
        """Return what each step `state` said, by name: slot, marker, floor, machine, keys, usable."""
        return [dict(word.split("=", 1) for word in line.split()) for line in self.said("state")]

    def installation(self, bundle: str) -> list[str]:
        """Return RAUC's lines about a bundle and those of the device's handler; the last one is RAUC's exit code."""
        at = self.lines.index(f"{SAYS}steps: install {bundle}")
        end = self.lines.index(f"{SAYS}steps: installed {bundle}", at)
        return Console(self.lines[at:end]).said("rauc")


def demonstration() -> tuple[Path, Path]:
    """Return the disk and the bundle that the scenarios are about; skips the test without them or without a machine to run them on."""
    require(*PROGRAMS, "mke2fs", "e2fsck", "bwrap")
    if not is_there() or not Firmware().code.is_file():
        pytest.skip(f"ovmf is not installed, or {LACKING}")
    return DISK, BUNDLE


def new_charger(directory: Path, disk: Path | None = None) -> Machine:
    """Return a charger that was never on, with the demonstration's disk, or another, and its keys; all that it keeps lies in `directory`."""
    own, _ = demonstration()
    disk = disk or own
    firmware = Firmware()
    variables = enroll(directory / "variables.fd", firmware=firmware, keys=Store(KEYS))
    return Machine(disk=disk, firmware=firmware, variables=variables, state=directory / "machine")


def with_disk(charger: Machine, image: Path, steps: str, files: Mapping[str, Path] | None = None) -> Machine:
    """Return the charger with a second disk, made as `image`: the steps, one on each line, and `files` by the name that they get."""
    return replace(charger, second_disk=_second_disk(image, steps, files or {}))


def run_to_the_end(charger: Machine) -> Console:
    """Switch the charger on and return what it said until it has switched itself off; the test fails when something else did (`undisturbed`)."""
    with power_on(charger) as session:
        session.wait_until_off(seconds=SECONDS)
        undisturbed(session)
        return Console.of(session.lines())


def undisturbed(session: Session) -> None:
    """Fail the test when the watchdog has reset a charger that nothing froze, or its kernel crashed, since whatever else is asserted would hide that.

    A crash that an old QEMU's emulation makes (`session.SOUND`) is a warning: the charger restarted as it should.
    """
    why = "its system hung, or this computer is too busy to emulate a charger (docs/target.md)"
    assert not session.emulator.qmp.has_come("WATCHDOG"), f"the watchdog has reset the charger: {why}; {session.log}"
    crashes = [line.text.removeprefix(CRASH) for line in session.lines() if line.text.startswith(CRASH)]
    version = session.emulator.qmp.version
    assert version < SOUND or not crashes, session.log
    assert all(crash.startswith(OF_THE_EMULATION) for crash in crashes), (crashes, session.log)
    if crashes:
        warnings.warn(f"{UNSOUND.format(*version)}: {crashes}; {session.log}", stacklevel=2)


def copied(charger: Machine, state: Path) -> Machine:
    """Return the same charger once more, with everything that it has kept."""
    shutil.copytree(charger.state, state)
    return replace(charger, state=state, second_disk=None)


def _second_disk(image: Path, steps: str, files: Mapping[str, Path]) -> Path:
    content = image.with_suffix(".content")
    content.mkdir()
    for name, file in files.items():
        shutil.copy(file, content / name)
    (content / "steps").write_text("".join(f"{step.strip()}\n" for step in steps.strip().splitlines()))
    size = sum(file.stat().st_size for file in content.iterdir())
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, image, f"{(size >> 20) + 64}M"], check=True)
    shutil.rmtree(content)
    return image
