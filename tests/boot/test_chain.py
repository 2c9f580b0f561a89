"""Nothing starts that is not ours as we signed it (BOOT-01, BOOT-03, FS-02). Run by `make boot`, after `make demo`."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from virt.firmware.efi import bootentry, devpath, ucs16
from virt.firmware.varstore import edk2

from everest_secure.image.artefact import open_artefact
from everest_secure.image.uki import Uki
from everest_secure.pki.keys import KeyType
from everest_secure.target.machine import Machine
from support import pki
from support.charger_in_qemu import (
    BOOT_SECONDS,
    DISK,
    FIRMWARE_SECONDS,
    REFUSED,
    STARTED,
    UP,
    new_machine,
    require_demonstration,
    switched_on,
)

from .conftest import Witness

pytestmark = pytest.mark.boot


@pytest.fixture(autouse=True)
def demonstration() -> None:
    require_demonstration()


@dataclass(frozen=True)
class Program:
    """An EFI program on the demonstration's disk."""

    offset: int
    """In the disk, of each copy's first byte."""
    directory: int
    """Offset in the program of the entry that says where its signatures are."""


def programs() -> Iterator[Program]:
    """Find every EFI program of the disk."""
    with DISK.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for part in open_artefact(DISK).walk():
            if isinstance(part.facts, Uki) and part.blob is not None:
                # Up to its checksum and signatures' place, one slot's program differs from the other's.
                at = content.find(part.blob.head(4096))
                yield Program(at, part.facts.program.directory_offset)


def is_refused(machine: Machine, proof: Witness) -> None:
    """The firmware finds the image's program, refuses it and starts nothing."""
    machine.prepare()
    with switched_on(machine) as session:
        session.wait_for(REFUSED, seconds=FIRMWARE_SECONDS)
        said = [line.text for line in session.lines()]
        proof.screenshot(session.screenshot(machine.state / "refused.png"), "the firmware refuses")
    proof.excerpt(said)
    assert not [line for line in said if line.startswith(STARTED) and "EFI Internal Shell" not in line]


@pytest.mark.proves("BOOT-01")
def test_firmware_with_the_keys_of_others_refuses_the_image(tmp_path: Path, proof: Witness) -> None:
    others = pki.make(tmp_path / "keys", chosen=pki.small(key=KeyType.RSA_2048))
    is_refused(new_machine(tmp_path / "machine", keys=others), proof)


@pytest.mark.proves("BOOT-01")
def test_an_image_without_signatures_is_refused(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    for program in programs():
        machine.overwrite(program.offset + program.directory, bytes(8))
    is_refused(machine, proof)


@pytest.mark.proves("BOOT-01", "BOOT-03")
def test_an_image_whose_signed_command_line_was_altered_is_refused(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    with DISK.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at, altered = content.find(b"lockdown=integrity"), 0
        while at >= 0:
            machine.overwrite(at, b"lockdown=none     ")
            altered += 1
            at = content.find(b"lockdown=integrity", at + 1)
    assert altered
    is_refused(machine, proof)


@pytest.mark.proves("BOOT-03")
def test_a_boot_entry_cannot_add_to_the_command_line(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    add_boot_entry(machine, "\\EFI\\Linux\\everest-a.efi", "init=/bin/sh systemd.debug_shell")
    with switched_on(machine) as session:
        session.wait_for('"Opened"', seconds=FIRMWARE_SECONDS)
        session.wait_for(UP, seconds=BOOT_SECONDS)
        proof.excerpt(line.text for line in session.lines())


@pytest.mark.proves("FS-02")
def test_a_root_with_a_flipped_bit_is_not_used_and_the_machine_starts_anew(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    root = next(part for part in open_artefact(DISK).walk() if part.name.endswith(":rootfs-a") and part.kind == "squashfs")
    assert root.blob is not None
    first = root.blob.head(4096)
    with DISK.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(first)
    machine.overwrite(at + 8, bytes([first[8] ^ 1]))
    with switched_on(machine) as session:
        session.wait_for(STARTED, seconds=FIRMWARE_SECONDS)
        session.wait_for_event("RESET", seconds=BOOT_SECONDS)
        session.wait_for(STARTED, seconds=FIRMWARE_SECONDS)
        said = [line.text for line in session.lines()]
    proof.excerpt(said)
    assert not [line for line in said if line.startswith("everest-reference:")]


def add_boot_entry(machine: Machine, program: str, options: str) -> None:
    """Make an entry of the machine's firmware that starts a program with load options, next time."""
    store = edk2.Edk2VarStore(str(machine.own_variables))
    variables = store.get_varlist()
    entry = bootentry.BootEntry(
        title=ucs16.from_string("Opened"), attr=1, devicepath=devpath.DevicePath.filepath(program), optdata=ucs16.from_string(options).data
    )
    variables.set_boot_entry(0x77, entry)
    variables.set_boot_next(0x77)
    store.write_varstore(str(machine.own_variables), variables)
