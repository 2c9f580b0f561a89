"""Whether a disk image has anything that the machine's firmware could start."""

from pathlib import Path

from everest_secure.errors import UserError
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.pe import EfiProgram
from everest_secure.image.uki import Uki

MACHINE = 0x8664
MACHINES = {0x014C: "32-bit x86", 0x01C0: "32-bit Arm", 0x01C2: "32-bit Arm", 0xAA64: "64-bit Arm", 0x5064: "64-bit RISC-V"}
"""Machine types of the PE format, as UEFI uses them (UEFI specification, 2.1.1)."""


def require_bootable(disk: Path) -> None:
    """Raise UserError unless `disk` is a disk with a FAT partition that holds an EFI program for x86-64; whether it is signed, firmware decides."""
    artefact = open_artefact(disk)
    if artefact.kind not in ("gpt", "mbr"):
        raise UserError(f"{disk} is no disk image but {artefact.kind}; give the raw image of a whole disk, with its partition table")
    machines = {program.machine for part in artefact.walk() if (program := _program(part)) is not None}
    if not machines:
        raise UserError(f"{disk} holds no EFI program that firmware could start; give the image of a machine with the boot chain efi")
    if MACHINE not in machines:
        others = ", ".join(sorted(MACHINES.get(machine, f"{machine:#06x}") for machine in machines))
        raise UserError(f"{disk} is for another machine: its EFI programs are for {others}; give an image for x86-64")


def _program(part: Artefact) -> EfiProgram | None:
    facts = part.facts.program if isinstance(part.facts, Uki) else part.facts
    return facts if isinstance(facts, EfiProgram) else None
