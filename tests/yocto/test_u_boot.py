"""U-Boot with the layer's fragments: what its configuration becomes, and what its boot command does, in QEMU (BOOT-02, RAUC-06)."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import run
from support.fit import Parts, machine, make, parts, trusting
from support.kernel import options
from support.layer import LAYER, Bench, bench
from support.reference import require

pytestmark = pytest.mark.yocto

FILES = LAYER / "recipes-bsp/u-boot/files"
BOARDS = LAYER / "conf/distro/include/everest-secure-boards.inc"
CROSS = "aarch64-linux-gnu-"
MIB = 1 << 20
SLOTS = {"fit-a": 2, "fit-b": 4}
"""Label to MiB on the disk."""


@pytest.fixture(scope="module")
def source() -> Path:
    """Sources of U-Boot 2024.01."""
    named = os.environ.get("EVEREST_U_BOOT_SOURCE")
    if not named:
        pytest.skip("EVEREST_U_BOOT_SOURCE names no clean source tree of U-Boot 2024.01")
    require(f"{CROSS}gcc", "bison", "flex")
    assert (Path(named) / "boot/image-fit-sig.c").is_file(), f"{named} is no U-Boot"
    return Path(named)


def build(source: Path, output: Path, *command: str | Path) -> None:
    """Run a command in U-Boot's sources, for 64-bit Arm."""
    environment = {**os.environ, "ARCH": "arm", "CROSS_COMPILE": CROSS, "KCONFIG_CONFIG": str(output / ".config")}
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def configure(source: Path, output: Path, defconfig: str, *fragments: str, **values: str) -> dict[str, str]:
    """Configure U-Boot with fragments, filled in as the layer's recipe does, and return what they ask for."""
    output.mkdir(exist_ok=True)
    build(source, output, "make", f"O={output}", defconfig)
    filled = [output / name for name in fragments]
    for file in filled:
        file.write_text(re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], (FILES / file.name).read_text()))
    build(source, output, "scripts/kconfig/merge_config.sh", "-m", "-O", output, output / ".config", *filled)
    build(source, output, "make", f"O={output}", "olddefconfig")
    return {name: value for file in filled for name, value in options(file.read_text()).items()}


@pytest.mark.parametrize("defconfig", ["rpi_arm64_defconfig", "imx8mp_evk_defconfig"])
def test_every_option_makes_it_into_u_boot_s_configuration(source: Path, tmp_path: Path, defconfig: str) -> None:
    values = {"EVEREST_FIT_DEVICE": "mmc 0", "EVEREST_FIT_MMC": "0", "EVEREST_FIT_ADDRESS": "0x48000000", "EVEREST_FIT_BLOCKS": "0x20000"}
    wanted = configure(source, tmp_path, defconfig, "everest-secure.cfg", "environment-mmc.cfg", **values)
    have = options((tmp_path / ".config").read_text())
    assert len(wanted) > 25
    assert {name: have.get(name, "n") for name in wanted} == wanted


@dataclass(frozen=True, slots=True)
class Board:
    """QEMU's board with U-Boot, a disk with both slots, and a flash for U-Boot's environment."""

    place: Path
    devices: tuple[str, ...]

    def store(self, **environment: str) -> None:
        """Put variables into the flash, as somebody who may write it can."""
        text, image = self.place / "environment.txt", self.place / "environment.bin"
        text.write_text("".join(f"{name}={value}\n" for name, value in ({"x": "y"} | environment).items()))
        run(["mkenvimage", "-s", "0x40000", "-o", image, text])
        (self.place / "flash").write_bytes(image.read_bytes().ljust(64 * MIB, b"\xff"))

    def write(self, label: str, content: bytes) -> None:
        """Write what lies in a slot."""
        with (self.place / "disk").open("r+b") as disk:
            disk.seek(SLOTS[label] * MIB)
            disk.write(content.ljust(2 * MIB, b"\0"))

    def start(self) -> str:
        """Switch the board on and return what U-Boot says until the kernel switches it off or U-Boot starts the board anew."""
        return machine(["-machine", "virt", "-bios", str(self.place / "u-boot"), *self.devices], seconds=120)


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Bench]:
    place = tmp_path_factory.mktemp("fit")
    return parts(place / "parts"), bench(place)


@pytest.fixture(scope="module")
def board(source: Path, fit: tuple[Parts, Bench], tmp_path_factory: pytest.TempPathFactory) -> Board:
    """U-Boot as the layer configures it, with the key in its device tree, and the FIT in both slots."""
    require("sgdisk", "mkenvimage")
    image, layer = fit
    place = tmp_path_factory.mktemp("board")
    devices = (
        *("-drive", f"if=none,id=disk,file={place}/disk,format=raw", "-device", "virtio-blk-device,drive=disk"),
        *("-drive", f"if=pflash,index=1,format=raw,file={place}/flash"),
    )
    made = Board(place, devices)
    (place / "disk").write_bytes(bytes(8 * MIB))
    made.store()
    # The device tree is that of a board with these devices.
    machine(["-machine", f"virt,dumpdtb={image.deploy / 'board.dtb'}", *devices])
    signed = make(layer, image)
    tree = trusting(image, signed, place)
    run(["sgdisk", "-og", *(word for label, at in SLOTS.items() for word in (f"-n0:{at}M:+2M", f"-c0:{label}")), place / "disk"])
    for label in SLOTS:
        made.write(label, signed.read_bytes())
    output = place / "build"
    values = {"EVEREST_FIT_DEVICE": "virtio 0", "EVEREST_FIT_ADDRESS": "0x44000000", "EVEREST_FIT_BLOCKS": "0x1000"}
    configure(source, output, "qemu_arm64_defconfig", "everest-secure.cfg", **values)
    flags = f"KCPPFLAGS=-include {FILES / 'everest-environment.h'}"
    build(source, output, "make", f"-j{os.cpu_count()}", f"O={output}", flags, "u-boot-nodtb.bin")
    (place / "u-boot").write_bytes((output / "u-boot-nodtb.bin").read_bytes() + tree.read_bytes())
    return made


@pytest.mark.parametrize(
    ("stored", "slot"),
    [
        ({}, "a"),
        ({"BOOT_ORDER": "B A"}, "b"),
        ({"BOOT_A_LEFT": "0"}, "b"),
        ({"BOOT_ORDER": "B A", "BOOT_B_LEFT": "0"}, "a"),
        ({"bootcmd": "echo somebody else's; poweroff", "bootargs": "init=/bin/sh", "bootdelay": "9"}, "a"),
        ({"BOOT_A_LEFT": "not a number"}, "a"),
    ],
)
def test_u_boot_starts_the_slot_that_rauc_s_variables_name_and_takes_nothing_else_from_the_environment(
    board: Board, stored: Mapping[str, str], slot: str
) -> None:
    board.store(**stored)
    said = board.start()
    assert f"Using 'conf-{slot}' configuration" in said
    assert "sha256,rsa4096:everest+ OK" in said
    assert "Starting kernel ..." in said
    assert "somebody else's" not in said


def test_each_start_is_counted(board: Board) -> None:
    board.store(BOOT_ORDER="B A")
    board.start()
    assert b"BOOT_A_LEFT=3\0BOOT_B_LEFT=2\0BOOT_ORDER=B A\0" in (board.place / "flash").read_bytes()[:4096]


@pytest.mark.parametrize("stored", [{"BOOT_A_LEFT": "0", "BOOT_B_LEFT": "0"}, {"BOOT_ORDER": "C; poweroff"}])
def test_with_no_slot_left_the_counters_begin_anew(board: Board, stored: Mapping[str, str]) -> None:
    board.store(**stored)
    said = board.start()
    assert "Starting kernel ..." not in said
    assert said.rstrip().endswith("resetting ...")
    assert b"BOOT_A_LEFT=3\0BOOT_B_LEFT=3\0BOOT_ORDER=A B\0" in (board.place / "flash").read_bytes()[:4096]


def test_a_slot_with_nothing_signed_in_it_starts_the_board_anew(board: Board, fit: tuple[Parts, Bench]) -> None:
    image, layer = fit
    board.store(BOOT_ORDER="B A")
    board.write("fit-b", make(layer, image, EVEREST_SECURE_BOOT="0").read_bytes())
    said = board.start()
    assert "Failed to verify required signature" in said
    assert "Starting kernel ..." not in said
    assert said.rstrip().endswith("resetting ...")


def test_on_a_raspberry_pi_u_boot_has_its_own_device_tree_and_finds_environment_and_slot_on_the_card(
    source: Path, fit: tuple[Parts, Bench], tmp_path: Path
) -> None:
    require("qemu-system-aarch64", "sgdisk")
    if b"raspi4b" not in run(["qemu-system-aarch64", "-machine", "help"]):
        pytest.skip("qemu-system-aarch64 is older than 9.0 and has no Raspberry Pi 4")
    image, layer = fit
    knobs = dict(re.findall(r'^EVEREST_BOARD_(\w+):(?:rpi|raspberrypi4) = "(.*)"$', BOARDS.read_text(), re.MULTILINE))
    values = {"EVEREST_FIT_DEVICE": knobs["FIT_DEVICE"], "EVEREST_FIT_MMC": knobs["FIT_DEVICE"].split()[1]}
    values |= {"EVEREST_FIT_ADDRESS": knobs["FIT_ADDRESS"], "EVEREST_FIT_BLOCKS": "0x1000"}
    output = tmp_path / "build"
    configure(source, output, "rpi_arm64_defconfig", "everest-secure.cfg", "environment-mmc.cfg", **values)
    # QEMU's board has no Ethernet.
    build(source, output, "scripts/config", "--file", output / ".config", "--disable", "BCMGENET")
    build(source, output, "make", f"O={output}", "olddefconfig")
    flags = f"KCPPFLAGS=-include {FILES / 'everest-environment.h'}"
    build(source, output, "make", f"-j{os.cpu_count()}", f"O={output}", flags, "u-boot.bin")

    disk = tmp_path / "card"
    disk.write_bytes(bytes(64 * MIB))
    run(["sgdisk", "-og", "-n0:7M:+1M", "-c0:uboot-env", "-n0:9M:+2M", "-c0:fit-a", disk])
    # Somebody changed the kernel: U-Boot refuses it and starts the board anew, which ends QEMU.
    changed = bytearray(make(layer, image).read_bytes())
    changed[len(changed) // 2] ^= 1
    with disk.open("r+b") as card:
        card.seek(9 * MIB)
        card.write(changed)
    # The card is where a Raspberry Pi 4 has it, at the last of the controllers; QEMU's own default is the radio's.
    card_slot = ("-drive", f"if=none,id=card,format=raw,file={disk}", "-device", "sd-card,drive=card,bus=/generic-sdhci/sd-bus")
    board = ("-machine", "raspi4b", "-cpu", "cortex-a72", "-m", "2G", "-serial", "null", "-serial", "mon:stdio")
    said = machine([*board, "-kernel", str(output / "u-boot.bin"), *card_slot], seconds=120)
    assert "devicetree: separate" in said
    assert "Using 'conf-a' configuration" in said
    assert "resetting ..." in said
    with disk.open("rb") as card:
        card.seek(7 * MIB)
        assert b"BOOT_A_LEFT=2\0BOOT_B_LEFT=3\0BOOT_ORDER=A B\0" in card.read(MIB)
