import shutil
from pathlib import Path

import pytest

from everest_secure.image.blob import from_bytes, from_file
from everest_secure.image.pe import read_program
from everest_secure.parse.loaders import (
    extlinux_settings,
    grub_settings,
    is_grub,
    is_systemd_boot,
    systemd_boot_settings,
    u_boot_delays,
    u_boot_environments,
)
from support.images import efi_stub, tool

SYSTEMD_BOOT = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
U_BOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
GUARDED = 'set superusers="root"\npassword_pbkdf2 root grub.pbkdf2.sha512.10000.AB\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("editor no\ntimeout 0\n", 0),
        ("# x\n  editor no\n", 0),
        ("editor 0\ntimeout menu-disabled", 0),
        ("timeout 0\n", 1),
        ("editor yes\ntimeout 0\n", 1),
        ("editor no\n#editor yes\ntimeout 3\n", 1),
        ("editor no\ntimeout menu-force\n", 1),
        ("", 1),
    ],
)
def test_systemd_boot_has_an_editor_unless_it_is_told_otherwise(text: str, expected: int) -> None:
    assert len(systemd_boot_settings(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GUARDED + "set timeout=0\n", 0),
        (GUARDED + "timeout='0'\n", 0),
        (GUARDED + "set timeout=5\n", 1),
        (GUARDED, 1),
        ("set timeout=0\n", 1),
        ("set superusers=root\nset timeout=0\n", 1),
        ("set superusers=root\npassword root secret\nset timeout=0\n", 1),
        ('set superusers=""\npassword_pbkdf2 root x\nset timeout=0\n', 1),
        ("menuentry a {\n}\n", 2),
    ],
)
def test_grub_is_guarded_by_a_hashed_password_and_shows_no_menu(text: str, expected: int) -> None:
    assert len(grub_settings(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("LABEL a\n", 0), ("PROMPT 0\nTIMEOUT 0\n", 0), ("prompt 1\n", 1), ("timeout 30\nprompt 1\n", 2), ("MENU TITLE timeout 3\n", 0)],
)
def test_extlinux_waits_for_nobody(text: str, expected: int) -> None:
    assert len(extlinux_settings(text)) == expected


def test_systemd_boot_is_told_from_its_stub() -> None:
    if not SYSTEMD_BOOT.is_file():
        pytest.skip("systemd-boot-efi is not installed")
    loader, stub = read_program(from_file(SYSTEMD_BOOT)), read_program(from_file(efi_stub()))
    assert loader is not None
    assert stub is not None
    assert (is_systemd_boot(loader), is_systemd_boot(stub)) == (True, False)
    assert not is_grub(loader)


def test_grub_is_known_by_its_modules(tmp_path: Path) -> None:
    if shutil.which("grub-mkimage") is None or not Path("/usr/lib/grub/x86_64-efi").is_dir():
        pytest.skip("grub-mkimage or grub-efi-amd64-bin is not installed")
    tool("grub-mkimage", "-O", "x86_64-efi", "-o", tmp_path / "grub.efi", "-p", "/EFI/BOOT", "normal")
    program = read_program(from_file(tmp_path / "grub.efi"))
    assert program is not None
    assert is_grub(program)


def test_the_delay_that_u_boot_was_compiled_with_is_read_from_the_program() -> None:
    if not U_BOOT.is_file():
        pytest.skip("u-boot-qemu is not installed")
    assert u_boot_delays(from_file(U_BOOT)) == ("2",)
    quiet = U_BOOT.read_bytes().replace(b"\0bootdelay=2\0", b"\0bootdelay=-2\0")
    assert u_boot_delays(from_bytes(quiet, "u-boot.bin")) == ("-2",)
    assert u_boot_delays(from_bytes(U_BOOT.read_bytes().replace(b"\0bootdelay=", b"\0xootdelay="), "u-boot.bin")) == ()


@pytest.mark.parametrize("content", [b"", b"bootdelay=2\0", b"\0bootdelay=2\0 but no U-Boot", b"MZU-Boot 2023.01\0bootdelay=2\0"])
def test_other_bytes_are_no_u_boot(content: bytes) -> None:
    assert u_boot_delays(from_bytes(content, "x")) is None


@pytest.mark.parametrize("options", [(), ("-r",)])
@pytest.mark.parametrize("size", ["0x1000", "0x4000", "0x20000", "0x3000"])
def test_an_environment_that_mkenvimage_made_is_read(tmp_path: Path, size: str, options: tuple[str, ...]) -> None:
    if shutil.which("mkenvimage") is None:
        pytest.skip("mkenvimage is not installed")
    (tmp_path / "text").write_text("bootdelay=3\nbootcmd=run a=b\n")
    tool("mkenvimage", *options, "-s", size, "-o", tmp_path / "env", tmp_path / "text")
    content = (tmp_path / "env").read_bytes()
    behind = b"" if size == "0x3000" else bytes(5000)
    expected = {"bootdelay": "3", "bootcmd": "run a=b"}
    damaged = content[:-1] + b"x"
    assert u_boot_environments(from_bytes(content + behind, "env")) == (expected,)
    assert u_boot_environments(from_bytes(damaged + behind, "env")) == ()
    if behind:
        assert u_boot_environments(from_bytes(content + content + behind, "env")) == (expected, expected)
        assert u_boot_environments(from_bytes(damaged + content + behind, "env")) == (expected,)


@pytest.mark.parametrize("content", [b"", b"\xff" * 5000, b"abc"])
def test_what_is_no_environment_is_none(content: bytes) -> None:
    assert u_boot_environments(from_bytes(content, "env")) == ()
