"""Unified kernel images made by objcopy from systemd's stub and signed by sbsign."""

import shutil
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.pe import EfiProgram
from everest_secure.image.uki import Uki
from support.images import efi_stub, gpt_disk, signed_program, tool, unified_kernel

SECTIONS = {
    ".osrel": b'ID=everest\nVERSION="1"\n',
    ".cmdline": b"ro lockdown=integrity roothash=00ff\n\0",
    ".uname": b"6.12.0-test",
    ".linux": b"kernel" * 5000,
    ".initrd": b"initrd" * 3001,
}


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return unified_kernel(tmp_path / "everest-a.efi", SECTIONS)


@pytest.fixture
def signed(unsigned: Path, tmp_path: Path) -> Path:
    return signed_program(Path(shutil.copy(unsigned, tmp_path / "signed.efi")))


def uki_of(path: Path) -> Uki:
    artefact = open_artefact(path)
    assert artefact.kind == "uki"
    assert isinstance(artefact.facts, Uki)
    return artefact.facts


def test_sections_are_what_was_put_in(unsigned: Path) -> None:
    uki = uki_of(unsigned)
    assert uki.cmdline == "ro lockdown=integrity roothash=00ff"
    assert uki.cmdlines == (uki.cmdline,)
    assert uki.os_release == 'ID=everest\nVERSION="1"'
    assert uki.uname == "6.12.0-test"
    assert uki.linux.read(0, uki.linux.size) == SECTIONS[".linux"]
    assert [initrd.read(0, initrd.size) for initrd in uki.initrds] == [SECTIONS[".initrd"]]
    assert uki.program.machine == 0x8664


def test_an_unsigned_program_has_no_certificate(unsigned: Path) -> None:
    program = uki_of(unsigned).program
    assert program.certificates == ()
    assert program.table_offset == unsigned.stat().st_size


def test_the_certificate_of_a_signed_program_is_exposed(signed: Path, tmp_path: Path) -> None:
    program = uki_of(signed).program
    (certificate,) = program.certificates
    assert certificate.type == 2
    tool("sbattach", "--detach", tmp_path / "detached", signed)
    assert certificate.data.rstrip(b"\0") == (tmp_path / "detached").read_bytes().rstrip(b"\0")


def test_a_boot_loader_is_an_efi_program_and_no_uki() -> None:
    artefact = open_artefact(efi_stub())
    assert artefact.kind == "efi-program"
    assert isinstance(artefact.facts, EfiProgram)
    assert artefact.facts.section(".text") is not None


def test_programs_on_an_esp_are_children_with_their_path(unsigned: Path, tmp_path: Path) -> None:
    with (tmp_path / "esp").open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    tool("mkfs.vfat", tmp_path / "esp")
    (tmp_path / "fake.efi").write_text("echo not a program\n")
    tool("mmd", "-i", tmp_path / "esp", "::/EFI", "::/EFI/Linux")
    tool("mcopy", "-i", tmp_path / "esp", unsigned, tmp_path / "fake.efi", "::/EFI/Linux")
    artefact = open_artefact(gpt_disk(tmp_path / "disk.raw", {"efi-a": tmp_path / "esp"}))
    assert [(found.name, found.kind) for found in artefact.walk()] == [
        ("disk.raw", "gpt"),
        ("disk.raw:efi-a", "vfat"),
        ("disk.raw:efi-a:/EFI/Linux/everest-a.efi", "uki"),
        ("disk.raw:efi-a:/EFI/Linux/fake.efi", "unknown"),
    ]


def test_a_truncated_program_is_refused(unsigned: Path, tmp_path: Path) -> None:
    (tmp_path / "short.efi").write_bytes(unsigned.read_bytes()[: unsigned.stat().st_size // 2])
    with pytest.raises(ArtefactError, match="truncated or corrupt"):
        open_artefact(tmp_path / "short.efi")
