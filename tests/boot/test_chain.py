"""Nothing starts that is not ours as we signed it (BOOT-01, BOOT-03, FS-02). Run by `make boot`, after `make demo`."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import pytest
from virt.firmware.efi import devpath
from virt.firmware.varstore import edk2

from everest_secure.image.artefact import open_artefact
from everest_secure.image.uki import Uki
from everest_secure.pki.keys import KeyType
from everest_secure.target.machine import Machine
from support import pki
from support.booted import DISK
from support.charger_in_qemu import (
    BOOT_SECONDS,
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


def places(content: bytes) -> Iterator[int]:
    """Yield every offset of the demonstration's disk at which `content` stands."""
    with DISK.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as disk:
        at = disk.find(content)
        while at >= 0:
            yield at
            at = disk.find(content, at + 1)


def is_refused(machine: Machine, proof: Witness) -> None:
    """The firmware finds the image's program, refuses it and starts nothing."""
    machine.prepare()
    with switched_on(machine) as session:
        session.wait_for(REFUSED, seconds=FIRMWARE_SECONDS)
        said = [line.text for line in session.lines()]
        proof.screenshot(session.screenshot(machine.state / "refused.png"), "the firmware refuses")
    proof.excerpt(said)
    assert not [line for line in said if line.startswith(STARTED)]


@pytest.mark.proves("BOOT-01")
def test_firmware_with_the_keys_of_others_refuses_the_image(tmp_path: Path, proof: Witness) -> None:
    others = pki.make(tmp_path / "keys", chosen=pki.small(key=KeyType.RSA_2048))
    is_refused(new_machine(tmp_path / "machine", keys=others), proof)


@pytest.mark.proves("BOOT-01")
def test_an_image_without_signatures_is_refused(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    # The beginning of each program and, there, the entry that says where its signatures are.
    programs = {
        part.blob.head(4096): part.facts.program.directory_offset
        for part in open_artefact(DISK).walk()
        if isinstance(part.facts, Uki) and part.blob
    }
    unsigned = [at + entry for head, entry in programs.items() for at in places(head)]
    assert len(unsigned) == 3
    for at in unsigned:
        machine.overwrite(at, bytes(8))
    is_refused(machine, proof)


@pytest.mark.proves("BOOT-01", "BOOT-03")
def test_an_image_whose_signed_command_line_was_altered_is_refused(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    altered = list(places(b"lockdown=integrity"))
    assert altered
    for at in altered:
        machine.overwrite(at, b"lockdown=none     ")
    is_refused(machine, proof)


@pytest.mark.proves("BOOT-03")
def test_a_boot_entry_cannot_add_to_the_command_line(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    add_boot_entry(machine, "\\EFI\\Linux\\everest-a.efi", "init=/bin/sh systemd.debug_shell")
    with switched_on(machine) as session:
        session.wait_for(f"{STARTED} Boot0077", seconds=FIRMWARE_SECONDS)
        session.wait_for(UP, seconds=BOOT_SECONDS)
        proof.excerpt(line.text for line in session.lines())


@pytest.mark.proves("FS-02")
def test_a_root_with_a_flipped_bit_is_not_used_and_the_machine_starts_anew(tmp_path: Path, proof: Witness) -> None:
    machine = new_machine(tmp_path / "machine")
    machine.prepare()
    root = next(part for part in open_artefact(DISK).walk() if part.name.endswith(":rootfs-a") and part.kind == "squashfs")
    assert root.blob is not None
    first = root.blob.head(4096)
    (at,) = places(first)
    # The time at which the file system was made: nobody but dm-verity minds.
    machine.overwrite(at + 8, bytes([first[8] ^ 1]))
    starts_anew(machine, proof)


@pytest.mark.proves("BOOT-03")
def test_a_machine_whose_firmware_appends_to_the_command_line_starts_anew_and_no_shell(tmp_path: Path, proof: Witness) -> None:
    starts_anew(new_machine(tmp_path / "machine", says=("io.systemd.stub.kernel-cmdline-extra=init=/bin/sh systemd.debug_shell",)), proof)


def starts_anew(machine: Machine, proof: Witness) -> None:
    """The firmware starts the image, whose kernel or initial RAM disk ends in a restart; the system is never up."""
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
    variables.set_boot_entry(0x77, "Opened", devpath.DevicePath.filepath(program), options.encode("utf-16-le") + bytes(2))
    variables.set_boot_next(0x77)
    store.write_varstore(str(machine.own_variables), variables)
