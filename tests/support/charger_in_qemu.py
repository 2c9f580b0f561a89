"""The demonstration's image in QEMU: machines for one test, and a charger whose two power-ons serve many."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.tree import Tree
from everest_secure.pki.store import Store
from everest_secure.run import running
from everest_secure.target.console import Line
from everest_secure.target.firmware import Firmware, enroll
from everest_secure.target.machine import CABLE_PROGRAMS, PROGRAMS, Accelerator, Machine, Network
from everest_secure.target.port import PEER, Port
from everest_secure.target.session import Session, power_on
from support import peer
from support.booted import DISK, KEYS, LACKING, is_there
from support.reference import require

PYTHON = "/usr/bin/python3"
AUDIT = "everest-audit"
"""The OEM string at which the image proves what it can (everest-audit.service)."""
FIRMWARE_SECONDS, BOOT_SECONDS, AUDIT_SECONDS, SCAN_SECONDS = 120, 600, 600, 180
STARTED, REFUSED = "BdsDxe: starting", "Access Denied"
"""What OVMF says of a program that it starts, and of one that no certificate in db has signed."""
UP, READY, DONE = "everest-reference: everest.service is up", "everest-reference: ready", "everest-proof: done"
ADDRESS = "192.0.2.2"
"""What the operator's network gives the charger."""
FACT = re.compile(r"everest-proof: (?P<requirement>[A-Z]+-\d\d) (?P<verdict>ok|FAILED) (?P<what>.*)")


def require_demonstration() -> None:
    """Skip the test without the demonstration, or without what runs it."""
    require(*PROGRAMS, *CABLE_PROGRAMS)
    if not all(file.is_file() for file in (Firmware().code, Firmware().variables)):
        pytest.skip("ovmf is not installed")
    if not is_there():
        pytest.skip(LACKING)


def new_machine(
    directory: Path,
    *,
    keys: Store | None = None,
    network: Network = Network.USER,
    says: tuple[str, ...] = (),
    accelerator: Accelerator = Accelerator.AUTO,
) -> Machine:
    """Return a machine fresh from the factory, whose firmware trusts `keys` and says the OEM strings `says`."""
    directory.mkdir(exist_ok=True)
    firmware = Firmware()
    variables = enroll(directory / "enrolled.fd", firmware=firmware, keys=keys or Store(KEYS))
    return Machine(
        disk=DISK,
        firmware=firmware,
        variables=variables,
        state=directory / "state",
        accelerator=accelerator,
        network=network,
        oem_strings=says,
    )


@contextmanager
def switched_on(machine: Machine) -> Iterator[Session]:
    """Switch a machine on."""
    with power_on(machine, tell=lambda sentence: print(sentence, file=sys.stderr)) as session:
        yield session


@dataclass
class Charger:
    """What one machine showed at its first and second start."""

    machine: Machine
    starts: list[list[Line]] = field(default_factory=list)
    """Lines of the console from power on to power off."""
    scans: dict[str, dict[str, str]] = field(default_factory=dict)
    """What answered, by port, protocol and family, as in `plc tcp ipv6`."""
    pictures: dict[str, Path] = field(default_factory=dict)
    disk: Artefact | None = None
    """The disk after the machine was off."""

    def facts(self, requirement: str, start: int = 0) -> list[tuple[bool, str]]:
        """Return the audit's facts on a requirement at one start."""
        found = [FACT.match(line.text) for line in self.starts[start]]
        return [(fact["verdict"] == "ok", fact["what"]) for fact in found if fact and fact["requirement"] == requirement]

    def said(self, start: int = 0) -> list[str]:
        """Return the console of one start."""
        return [line.text for line in self.starts[start]]

    def tree(self, partition: str) -> Tree:
        """Return the file system of a partition after the machine was off."""
        assert self.disk is not None
        return next(part.tree for part in self.disk.walk() if part.tree and part.name.endswith(f":{partition}"))


@pytest.fixture(scope="session")
def charger(tmp_path_factory: pytest.TempPathFactory) -> Charger:
    """A charger that was started with a USB disk in it and keys pressed, looked at from both networks, switched off, and started again."""
    require_demonstration()
    place = tmp_path_factory.mktemp("charger")
    shown = Charger(new_machine(place / "machine", network=Network.PRIVATE, says=(AUDIT,)))
    usb = place / "usb.raw"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", usb, "16M"], check=True)
    with switched_on(shown.machine) as session, address_given(session.ports["management"]):
        session.plug_usb_disk(usb)
        _press_keys(session, shown, place)
        session.wait_for(DONE, seconds=BOOT_SECONDS + AUDIT_SECONDS)
        session.send_keys("ret", "ctrl", "f2")
        session.type("\nroot\n")
        shown.pictures["the screen when the service runs"] = session.screenshot(place / "running.png")
        _scan(session, shown)
        session.power_down()
        shown.starts.append(session.lines())
    with switched_on(shown.machine) as session, address_given(session.ports["management"]):
        session.wait_for(DONE, seconds=BOOT_SECONDS + AUDIT_SECONDS)
        session.power_down()
        shown.starts.append(session.lines())
    shown.disk = open_artefact(shown.machine.flatten(place / "after.raw"))
    return shown


@contextmanager
def address_given(port: Port) -> Iterator[None]:
    """Have an address given to whoever asks for one on this cable."""
    with running([*port.enter(), PYTHON, peer.__file__, "dhcp", ADDRESS]):
        yield


def _press_keys(session: Session, shown: Charger, place: Path) -> None:
    """Press what opens menus, editors and consoles, while the firmware starts the image and once it has."""
    session.wait_for("BdsDxe: loading", seconds=FIRMWARE_SECONDS)
    shown.pictures["the firmware starts the image"] = session.screenshot(place / "firmware.png")
    for _ in range(3):
        session.send_keys("e", "spc", "esc", "f2", "f8", "f12", "ret")
        session.type("e \x1b\r")


def _scan(session: Session, shown: Charger) -> None:
    """Ask every port of the charger from both of its networks."""
    management, plc = session.ports["management"], session.ports["plc"]
    asked = {
        "management tcp ipv4": (management, "tcp", ADDRESS),
        "management udp ipv4": (management, "udp", ADDRESS),
        "management tcp ipv6": (management, "tcp", management.link_local()),
        "management udp ipv6": (management, "udp", management.link_local()),
        "plc tcp ipv6": (plc, "tcp", plc.link_local()),
        "plc udp ipv6": (plc, "udp", plc.link_local()),
    }
    for port in (management, plc):
        # Whoever listens on a cable knows the hardware address; a charger without a link-local address would not tell it.
        for address in (ADDRESS, port.link_local().partition("%")[0]):
            known = ["ip", "neighbour", "replace", address, "lladdr", port.cable.mac, "dev", PEER, "nud", "permanent"]
            assert port.run(known, seconds=SCAN_SECONDS).code == 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        answers = pool.map(lambda ask: ask[0].run([PYTHON, peer.__file__, "scan", *ask[1:]], seconds=SCAN_SECONDS), asked.values())
        for name, done in zip(asked, answers, strict=True):
            assert done.code == 0, done.errors.decode()
            shown.scans[name] = json.loads(done.output)
