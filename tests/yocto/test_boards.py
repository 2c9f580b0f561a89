"""Kernel, boot loader, FIT and disk of the boards, on their real layers."""

import os
import re
import shutil
from pathlib import Path

import pytest

from everest_secure.image.artefact import open_artefact
from support.kernel import MACHINES
from support.reference import require
from support.yocto import Answers, Checkout

pytestmark = pytest.mark.yocto

IMAGE = "everest-secure-image-development"
QUICK = r"""
BBMASK = "/meta-openembedded/ /openembedded-core/meta/recipes-(?!core/images|bsp/u-boot/u-boot_) /meta-rauc/recipes- /meta-tpm/recipes- /meta-everest/recipes-"
BBMASK += "/meta-raspberrypi/(recipes-(?!kernel/linux|bsp/u-boot)|dynamic-layers) /meta-freescale/(recipes-(?!kernel/linux|bsp/u-boot)|dynamic-layers)"
BB_DANGLINGAPPENDS_WARNONLY = "1"
EVEREST_SECURE_BOOT = "1"
"""
BOARDS = {
    "raspberrypi4-64": ("raspberrypi4-64", "linux-raspberrypi", "u-boot"),
    "imx8mp": ("imx8mp-lpddr4-evk", "linux-fslc-imx", "u-boot-imx"),
}
"""kas file to machine, kernel and boot loader."""
VARIABLES = (
    "IMAGE_FSTYPES",
    "IMGDEPLOYDIR",
    "IMAGE_LINK_NAME",
    "EVEREST_SLOT_FSTYPE",
    "_WKS_TEMPLATE",
    "WICVARS",
    "IMX_BOOT_SEEK",
    "EVEREST_FIT_DTB",
    "EVEREST_FIT_DEVICE",
    "IMAGE_BOOT_FILES",
    "MACHINE_EXTRA_RRECOMMENDS",
)
CARD = {"raspberrypi4-64": "mmc 1", "imx8mp": "mmc 1"}
"""What U-Boot calls the card."""


@pytest.fixture(scope="module", params=BOARDS)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def answers(checkout: Checkout, board: str) -> Answers:
    _, kernel, loader = BOARDS[board]
    signing = ("UBOOT_SIGN_ENABLE", "FIT_SIGN_ALG", "UBOOT_DTB_BINARY", "EVEREST_FIT_BLOCKS", "EXTRA_OEMAKE")
    questions = {kernel: ("KERNEL_FEATURES", "SRC_URI"), loader: ("SRC_URI", "FILESPATH", *signing), IMAGE: VARIABLES}
    return checkout.ask(f"kas/{board}.yml", questions, lines=QUICK)


def test_the_board_s_kernel_takes_the_fragments_last(answers: Answers, board: str) -> None:
    machine, kernel, _ = BOARDS[board]
    ours = {f"everest-secure/{feature}.scc" for feature in MACHINES[machine][1]}
    features = (answers.values[kernel]["KERNEL_FEATURES"] or "").split()
    assert set(features[-len(ours) :]) == ours
    assert "file://everest-kmeta;type=kmeta" in (answers.values[kernel]["SRC_URI"] or "")


def test_the_board_s_boot_loader_takes_fragments_and_key(answers: Answers, board: str) -> None:
    loader = {name: value or "" for name, value in answers.values[BOARDS[board][2]].items()}
    assert {"file://everest-secure.cfg", "file://everest-environment.h", "file://environment-mmc.cfg"} <= set(loader["SRC_URI"].split())
    assert (loader["UBOOT_SIGN_ENABLE"], loader["FIT_SIGN_ALG"], loader["UBOOT_DTB_BINARY"]) == ("1", "rsa4096", "u-boot.dtb")
    assert loader["EVEREST_FIT_BLOCKS"] == "0x20000"
    fragments = [name for name in loader["SRC_URI"].split() if name.endswith(".cfg")]
    assert fragments[-2:] == ["file://everest-secure.cfg", "file://environment-mmc.cfg"], "the last fragment counts"
    places = [place for place in loader["FILESPATH"].split(":") if (Path(place) / "fw_env.config").is_file()]
    assert "/meta-everest-secure/recipes-bsp/u-boot/files" in places[0], "a layer for boards may have a file of that name too"
    assert re.search(r'KCPPFLAGS="-include \S+/everest-environment\.h"', loader["EXTRA_OEMAKE"])


def test_the_image_is_a_root_slot_a_fit_and_a_disk(answers: Answers, board: str) -> None:
    assert (answers.values[IMAGE]["IMAGE_FSTYPES"] or "").split() == ["squashfs-zst.verity", "fit", "wic"]
    assert (answers.values[IMAGE]["EVEREST_FIT_DTB"] or "").endswith(".dtb")
    assert answers.values[IMAGE]["EVEREST_FIT_DEVICE"] == CARD[board]
    if board.startswith("raspberrypi"):
        firmware = (answers.values[IMAGE]["IMAGE_BOOT_FILES"] or "").split()
        assert firmware == ["bootfiles/*", "bcm2711-rpi-4-b.dtb", "u-boot.bin;kernel8.img"]
        assert "firmware" not in (answers.values[IMAGE]["MACHINE_EXTRA_RRECOMMENDS"] or "firmware"), "nothing for a radio"


def test_wic_puts_firmware_environment_and_slot_a_on_the_disk(checkout: Checkout, answers: Answers, board: str) -> None:
    require("parted", "sgdisk", "mkfs.vfat", "mcopy")
    image = {name: value or "" for name, value in answers.values[IMAGE].items()}
    deploy = Path(image["IMGDEPLOYDIR"])
    firmware = {"imx-boot.tagged": os.urandom(1 << 20), "u-boot.bin": os.urandom(1 << 19), "bootfiles/start4.elf": b"firmware"}
    slots = {suffix: os.urandom(3 << 20) for suffix in ("fit", image["EVEREST_SLOT_FSTYPE"])}
    for name, content in {**firmware, **{f"{image['IMAGE_LINK_NAME']}.{suffix}": content for suffix, content in slots.items()}}.items():
        checkout.user.write(deploy / name, content)
    place = checkout.user.directory / f"wic-{board}"
    place.mkdir()
    (place / "disk.wks").write_text(image["_WKS_TEMPLATE"])
    given = {"IMAGE_BOOT_FILES": "bootfiles/* u-boot.bin;kernel8.img", "BBLAYERS": str(checkout.user.directory / "meta-everest-secure")}
    given |= {"IMX_BOOT_SEEK": image["IMX_BOOT_SEEK"]} if "IMX_BOOT_SEEK" in image["WICVARS"] else {}
    given |= dict.fromkeys(("DEPLOY_DIR_IMAGE", "IMAGE_ROOTFS"), str(deploy)) | {
        "STAGING_DATADIR": "/usr/share",
        "RECIPE_SYSROOT_NATIVE": "/",
    }
    (place / "image.env").write_text("".join(f'{name}="{value}"\n' for name, value in given.items()))
    checkout.user.own(place)
    command = f"cd {place} && PATH=$PATH:/usr/sbin:/sbin wic create disk.wks --vars {place} -e image -n / -o out -w work"
    done = checkout.shell(f"kas/{board}.yml", command)
    disks = list((place / "out").glob("*.direct"))
    assert len(disks) == 1, done.stdout
    parts = {part.name.rpartition(":")[2]: part for part in open_artefact(disks[0]).children}
    assert [name for name in parts if name != "firmware"] == ["uboot-env", "fit-a", "fit-b", "rootfs-a", "rootfs-b"]
    for label, suffix in (("fit-a", "fit"), ("rootfs-a", image["EVEREST_SLOT_FSTYPE"])):
        blob = parts[label].blob
        assert blob is not None
        assert blob.read(0, len(slots[suffix])) == slots[suffix]
    content = disks[0].read_bytes()
    environment = parts["uboot-env"].blob
    assert environment is not None
    assert environment.size == 1 << 20
    if board == "imx8mp":
        assert content[32 << 10 :].startswith(firmware["imx-boot.tagged"])
    else:
        assert parts["firmware"].kind == "vfat"
        assert firmware["u-boot.bin"] in content
    shutil.rmtree(place)
