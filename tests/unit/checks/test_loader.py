"""Disks with UKIs, boot loaders and U-Boot: who can do what at the console."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Root, Scope, registered, run_check
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.result import CheckResult
from support.flat_image import signed_fit
from support.images import gpt_disk, tool, unified_kernel
from support.rootfs import RootFs, production

SYSTEMD_BOOT = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
U_BOOT = (
    b"\x14\0\0\0" + bytes(100) + b"U-Boot 2024.01 (Jan 01 2024 - 00:00:00 +0000)\0arch=arm\0bootdelay=%s\0baudrate=115200\0" + bytes(5000)
)


def judged(container: Artefact, *roots: RootFs) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == "BOOT-02" and each.scope is Scope.BOOT]
    inside = tuple(Artefact("disk:rootfs-a", "squashfs", tree=fs.tree) for fs in roots)
    whole = Artefact("disk", container.kind, container.blob, facts=container.facts, children=(*container.children, *inside))
    return run_check(entry, Boot(whole, tuple(Root(each, each.tree, whole) for each in inside if each.tree)), "disk", production())


def fat(directory: Path, files: Mapping[str, bytes]) -> Path:
    image = directory / "fat.img"
    tool("mkfs.vfat", "-C", image, "8192")
    made: set[str] = set()
    for name, content in files.items():
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            if (place := "/".join(parts[:depth])) not in made:
                tool("mmd", "-i", image, f"::/{place}")
                made.add(place)
        (directory / "file").write_bytes(content)
        tool("mcopy", "-i", image, directory / "file", f"::/{name}")
    return image


def disk(directory: Path, files: Mapping[str, bytes], **partitions: Path) -> Artefact:
    return open_artefact(gpt_disk(directory / "disk.raw", {"boot": fat(directory, files), **partitions}))


def whats(result: CheckResult) -> list[str]:
    assert result.outcome is not Outcome.ERROR, result.reason
    return [finding.what for finding in result.findings]


def uki(directory: Path) -> bytes:
    return unified_kernel(directory / "uki.efi", {".cmdline": b"ro", ".linux": b"kernel"}).read_bytes()


def test_a_uki_that_firmware_starts_has_no_console(tmp_path: Path) -> None:
    result = judged(disk(tmp_path, {"EFI/Linux/a.efi": uki(tmp_path)}))
    assert (result.outcome, len(result.seen)) == (Outcome.PASS, 1)


@pytest.mark.parametrize(
    ("conf", "expected"),
    [(b"editor no\ntimeout 0\n", 0), (b"editor no\ntimeout 5\n", 1), (b"editor yes\n", 1), (None, 1)],
)
def test_systemd_boot_is_held_to_its_configuration(tmp_path: Path, conf: bytes | None, expected: int) -> None:
    if not SYSTEMD_BOOT.is_file():
        pytest.skip("systemd-boot-efi is not installed")
    files = {"EFI/BOOT/BOOTX64.EFI": SYSTEMD_BOOT.read_bytes(), "EFI/Linux/a.efi": uki(tmp_path)}
    result = judged(disk(tmp_path, files if conf is None else {**files, "loader/loader.conf": conf}))
    assert len(whats(result)) == expected


def test_a_menu_of_grub_or_extlinux_is_found_in_the_root_as_well(tmp_path: Path) -> None:
    image = disk(tmp_path, {"EFI/Linux/a.efi": uki(tmp_path)})
    assert len(whats(judged(image, RootFs().file("/boot/grub/grub.cfg", "set timeout=5\n")))) == 2
    (finding,) = judged(image, RootFs().file("/boot/extlinux/extlinux.conf", "PROMPT 0\nTIMEOUT 30\n")).findings
    assert (finding.at.path, finding.at.line) == ("/boot/extlinux/extlinux.conf", 2)


def test_grub_without_a_configuration_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    image = disk(tmp_path, {"EFI/Linux/a.efi": uki(tmp_path), "EFI/BOOT/BOOTX64.EFI": grub(tmp_path)})
    result = judged(image)
    assert result.outcome is Outcome.ERROR
    assert "is GRUB, and no grub.cfg was found" in result.reason


def grub(directory: Path) -> bytes:
    """An EFI program with a section as GRUB's modules have it."""
    return unified_kernel(directory / "grub.efi", {"mods": b"modules" * 10}).read_bytes()


@pytest.mark.parametrize(
    ("delay", "expected"), [(b"-2", []), (b"2", ["U-Boot waits for a key (bootdelay=2)"]), (b"0", ["U-Boot waits for a key (bootdelay=0)"])]
)
def test_u_boot_starts_at_once(tmp_path: Path, delay: bytes, expected: list[str]) -> None:
    image = disk(tmp_path, {"u-boot.bin": U_BOOT % delay}, **{"fit-a": signed_fit(tmp_path / "fit", None)})
    assert whats(judged(image)) == expected


def test_u_boot_is_found_in_front_of_the_partitions_and_in_one_of_its_own(tmp_path: Path) -> None:
    fit = signed_fit(tmp_path / "fit", None)
    raw = gpt_disk(tmp_path / "disk.raw", {"fit-a": fit})
    with raw.open("r+b") as file:
        file.seek(33 * 1024)
        file.write(U_BOOT % b"3")
    assert whats(judged(open_artefact(raw))) == ["U-Boot waits for a key (bootdelay=3)"]
    (tmp_path / "u-boot").write_bytes(U_BOOT % b"4")
    own = gpt_disk(tmp_path / "own.raw", {"fit-a": fit, "u-boot": tmp_path / "u-boot"})
    assert whats(judged(open_artefact(own))) == ["U-Boot waits for a key (bootdelay=4)"]


def test_u_boot_is_found_in_front_of_the_partitions_of_an_mbr(tmp_path: Path) -> None:
    fit = signed_fit(tmp_path / "fit", None)
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(4 << 20)
    tool("sfdisk", "--quiet", raw, stdin=b"label: dos\nstart=4096, size=2048, type=83\n")
    with raw.open("r+b") as file:
        file.seek(8192)
        file.write(U_BOOT % b"5")
        file.seek(4096 * 512)
        file.write(fit.read_bytes())
    assert whats(judged(open_artefact(raw))) == ["U-Boot waits for a key (bootdelay=5)"]


@pytest.mark.parametrize(("text", "expected"), [("bootdelay=-2\nbootcmd=x\n", 0), ("bootdelay=1\n", 1), ("bootcmd=x\n", 1)])
def test_the_environment_that_u_boot_was_compiled_with_speaks_for_it(tmp_path: Path, text: str, expected: int) -> None:
    image = disk(tmp_path, {"a": b"x"}, **{"fit-a": signed_fit(tmp_path / "fit", None)})
    assert len(whats(judged(image, RootFs().file("/etc/u-boot-initial-env", text)))) == expected


def test_an_environment_on_the_disk_must_not_open_the_console_again(tmp_path: Path) -> None:
    if shutil.which("mkenvimage") is None:
        pytest.skip("mkenvimage is not installed")
    (tmp_path / "text").write_text("bootdelay=3\n")
    tool("mkenvimage", "-r", "-s", "0x4000", "-o", tmp_path / "env", tmp_path / "text")
    quiet = {"u-boot.bin": U_BOOT % b"-2"}
    partition = disk(tmp_path, quiet, **{"uboot-env": tmp_path / "env"})
    assert whats(judged(partition)) == ["U-Boot waits for a key (bootdelay=3)"]
    (tmp_path / "b").mkdir()
    assert whats(judged(disk(tmp_path / "b", {**quiet, "uboot.env": (tmp_path / "env").read_bytes()}))) == [
        "U-Boot waits for a key (bootdelay=3)"
    ]


def test_a_fit_without_any_u_boot_to_look_at_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    result = judged(disk(tmp_path, {"a": b"x"}, **{"fit-a": signed_fit(tmp_path / "fit", None)}))
    assert result.outcome is Outcome.ERROR
    assert "no U-Boot in which its boot delay can be read" in result.reason


def test_a_disk_that_nothing_boots_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    assert judged(disk(tmp_path, {"a": b"x"})).outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("files", "outcome", "findings"),
    [
        ({"EFI/Linux/a.efi": "uki"}, Outcome.PASS, 0),
        ({"EFI/Linux/a.efi": "uki", "EFI/BOOT/BOOTX64.EFI": "systemd-boot"}, Outcome.FAIL, 1),
        ({"extlinux/extlinux.conf": b"PROMPT 1\n"}, Outcome.FAIL, 1),
        ({"u-boot.bin": U_BOOT % b"3"}, Outcome.FAIL, 1),
        ({"u-boot.bin": U_BOOT % b"-2"}, Outcome.PASS, 0),
        ({"a": b"x"}, Outcome.NOT_APPLICABLE, 0),
    ],
)
def test_a_loader_that_a_bundle_installs_is_held_to_the_same(
    tmp_path: Path, files: Mapping[str, bytes | str], outcome: Outcome, findings: int
) -> None:
    if "systemd-boot" in files.values() and not SYSTEMD_BOOT.is_file():
        pytest.skip("systemd-boot-efi is not installed")
    programs = {"uki": uki(tmp_path), "systemd-boot": SYSTEMD_BOOT.read_bytes() if SYSTEMD_BOOT.is_file() else b""}
    image = open_artefact(fat(tmp_path, {name: programs[each] if isinstance(each, str) else each for name, each in files.items()}))
    fit = open_artefact(signed_fit(tmp_path / "fit", None))
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == "BOOT-02" and each.scope is Scope.BUNDLE]
    result = run_check(entry, Bundle(Artefact("update.raucb", "rauc-bundle", children=(image, fit)), ()), "update.raucb", production())
    assert (result.outcome, len(result.findings)) == (outcome, findings)
