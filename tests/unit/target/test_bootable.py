import re
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.target.bootable import require_bootable
from support.reference import require

FIRST = 2048
SECTOR = 512


def efi_program(machine: int) -> bytes:
    """Return an EFI program of nothing but headers (PE32+, subsystem 10)."""
    optional = bytearray(112 + 16 * 8)
    optional[0:2] = b"\x0b\x02"
    optional[60:64] = (512).to_bytes(4, "little")
    optional[68:70] = (10).to_bytes(2, "little")
    optional[108:112] = (16).to_bytes(4, "little")
    header = machine.to_bytes(2, "little") + bytes(14) + len(optional).to_bytes(2, "little") + b"\x22\0"
    return (b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + header + optional).ljust(1024, b"\0")


def disk(directory: Path, program: bytes | None) -> Path:
    """Return a GPT disk with one FAT partition, and in it a program for firmware to start."""
    require("sfdisk", "mkfs.vfat", "mcopy")
    partition = directory / "efi.img"
    partition.write_bytes(bytes(8 << 20))
    subprocess.run(["mkfs.vfat", partition], check=True, capture_output=True)
    if program is not None:
        (directory / "program").write_bytes(program)
        subprocess.run(["mmd", "-i", partition, "::/EFI", "::/EFI/BOOT"], check=True)
        subprocess.run(["mcopy", "-i", partition, directory / "program", "::/EFI/BOOT/BOOT.EFI"], check=True)
    image = directory / "disk.raw"
    image.write_bytes(bytes(FIRST * SECTOR) + partition.read_bytes() + bytes(1 << 20))
    table = f"label: gpt\nstart={FIRST}, size={(8 << 20) // SECTOR}, type=uefi\n"
    subprocess.run(["sfdisk", "--quiet", image], input=table.encode(), check=True, capture_output=True)
    return image


def test_a_disk_with_an_efi_program_for_this_machine_can_be_started(tmp_path: Path) -> None:
    require_bootable(disk(tmp_path, efi_program(0x8664)))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "holds no EFI program that firmware could start; give the image of a machine with the boot chain efi"),
        (efi_program(0xAA64), "is for another machine: its EFI programs are for 64-bit Arm; give an image for x86-64"),
        (efi_program(0x1234), "is for another machine: its EFI programs are for 0x1234; give an image for x86-64"),
    ],
)
def test_a_disk_that_cannot_be_started_is_one_sentence(tmp_path: Path, program: bytes | None, said: str) -> None:
    image = disk(tmp_path, program)
    with pytest.raises(UserError, match=f"^{re.escape(f'{image} {said}')}$"):
        require_bootable(image)


def test_what_is_no_disk_is_called_what_it_is(tmp_path: Path) -> None:
    disk(tmp_path, efi_program(0x8664))
    with pytest.raises(UserError, match=r"efi\.img is no disk image but vfat; give the raw image of a whole disk"):
        require_bootable(tmp_path / "efi.img")
