"""A signed FIT made by the layer's class, and U-Boot in QEMU to start it."""

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import run
from support.layer import Bench
from support.reference import require

UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
EPOCH = 1_700_000_000
LOAD = "0x44000000"
ROOT = {"root_hash": "ab" * 32, "hash_offset": 8192}
RECIPE = """
SUMMARY = "An image as OE-Core's image class would drive ours"
inherit everest-secure-fit

IMAGE_ROOTFS = "${TEST_ROOT}"
DEPLOY_DIR_IMAGE = "${TEST_DEPLOY}"
IMGDEPLOYDIR = "${WORKDIR}/deploy"
IMAGE_NAME = "charger-1"
IMAGE_LINK_NAME = "charger"
KERNEL_IMAGETYPE = "Image"

do_rootfs() {
    :
}

do_image_squashfs_zst() {
    printf '{"root_hash": "%s", "hash_offset": 8192}' ${TEST_ROOT_HASH} > ${IMGDEPLOYDIR}/charger.verity.json
}
do_image_squashfs_zst[cleandirs] = "${IMGDEPLOYDIR}"

do_image_fit() {
    ${IMAGE_CMD:fit}
}

addtask rootfs
addtask image_squashfs_zst after do_rootfs
addtask image_fit after do_fit before do_install
"""
POWER_OFF = (0x52800100, 0x72B08000, 0xD4000002, 0x14000000)
"""Instructions that ask the machine by PSCI to switch itself off, and wait."""
KERNEL = struct.pack("<IIQQQ24x4sI4I", 0x14000010, 0, 0, 0x400000, 0, b"ARM\x64", 0, *POWER_OFF)
"""The least that is a kernel (Documentation/arch/arm64/booting.rst): a header that branches behind itself, 4 MiB of memory, and what is there."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the image is made of, in a directory of the test's."""

    deploy: Path
    key: Path
    certificate: Path
    layer: Path

    def settings(self) -> dict[str, str]:
        """Return what a local.conf would set."""
        return {
            "TEST_ROOT": str(self.deploy),
            "TEST_DEPLOY": str(self.deploy),
            "TEST_ROOT_HASH": str(ROOT["root_hash"]),
            "REPRODUCIBLE_TIMESTAMP_ROOTFS": str(EPOCH),
            "EVEREST_BOOT_CHAIN": "fit",
            "EVEREST_FIT_MKIMAGE": "mkimage",
            "EVEREST_FIT_DTB": "board.dtb",
            "EVEREST_FIT_SIZE": "2",
            "EVEREST_SECURE_BOOT": "1",
            "EVEREST_SECURE_BOOT_KEY": str(self.key),
            "EVEREST_SECURE_BOOT_CERT": str(self.certificate),
        }


def parts(place: Path, *, bits: int = 4096) -> Parts:
    """Make a kernel that starts nothing, an initramfs, the device tree of QEMU's board and a key; skips the test where a tool is missing."""
    require("mkimage", "dumpimage", "dtc", "fdtget", "fdtput", "openssl", "qemu-system-aarch64")
    made = Parts(place / "deploy", place / "db.key", place / "db.crt", place / "layer")
    made.deploy.mkdir(parents=True)
    (made.deploy / "Image").write_bytes(KERNEL.ljust(300_000, b"\0"))
    (made.deploy / "everest-secure-initramfs-qemux86-64.cpio.zst").write_bytes(b"initramfs" * 1000)
    machine(["-machine", f"virt,dumpdtb={made.deploy / 'board.dtb'}"])
    key(made.key, made.certificate, bits=bits)
    (made.layer / "conf").mkdir(parents=True)
    (made.layer / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bb"\nBBFILE_COLLECTIONS += "test"\n')
    (made.layer / "charger_1.0.bb").write_text(RECIPE)
    return made


def key(private: Path, certificate: Path, *, bits: int = 4096) -> None:
    """Make a key pair as a secure boot key is."""
    options = ["-newkey", f"rsa:{bits}", "-nodes", "-subj", "/CN=db", "-days", "2"]
    run(["openssl", "req", "-x509", *options, "-keyout", private, "-out", certificate])


def make(layer: Bench, image: Parts, **settings: str) -> Path:
    """Run the image's tasks and return the FIT; raises RecipeError."""
    built = layer.build("charger", {**image.settings(), **settings}, variables=("IMGDEPLOYDIR",), extra_layers=(image.layer,))
    return Path(built.variables["IMGDEPLOYDIR"]) / "charger-1.fit"


def machine(arguments: list[str], *, seconds: int = 60) -> str:
    """Run QEMU's Arm board and return what came over its serial port."""
    command = ["qemu-system-aarch64", "-cpu", "cortex-a57", "-m", "512", "-nographic", "-no-reboot", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, errors="replace", check=False)
    return done.stdout + done.stderr


def trusting(image: Parts, fit: Path, place: Path) -> Path:
    """Return the board's device tree with the public key in it, required for every configuration, as uboot-sign.bbclass leaves it in U-Boot."""
    keys = place / "keys"
    keys.mkdir(parents=True)
    for file, suffix in ((image.key, "key"), (image.certificate, "crt")):
        (keys / f"everest.{suffix}").symlink_to(file)
    tree = Path(shutil.copy(image.deploy / "board.dtb", place / "trusting.dtb"))
    scratch = shutil.copy(fit, place / "scratch.fit")
    run(["mkimage", "-F", "-k", keys, "-K", tree, "-r", scratch])
    return tree


def start(fit: Path, configuration: str, tree: Path) -> str:
    """Let U-Boot start a configuration of a FIT that lies in memory, and return what it says; it types nothing and answers no prompt."""
    if not UBOOT.is_file():
        pytest.skip("u-boot-qemu is not installed")
    script = Path(shutil.copy(tree, tree.with_name(f"{tree.stem}-{configuration}.dtb")))
    command = f"bootm {LOAD}#{configuration}; poweroff"
    run(["fdtput", "-p", "-t", "s", script, "/config", "bootcmd", command])
    run(["fdtput", "-t", "i", script, "/config", "bootdelay", "0xfffffffe"])
    loader = f"loader,file={fit},addr={LOAD},force-raw=on"
    return machine(["-machine", "virt", "-bios", str(UBOOT), "-dtb", str(script), "-device", loader])
