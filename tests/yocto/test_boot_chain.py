"""The classes of the boot chain on the real OE-Core: tasks, names that must agree, and a disk by the real wic."""

import filecmp
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from everest_secure.image.artefact import open_artefact
from everest_secure.run import run
from support.kas import KAS_DIRECTORY
from support.reference import require
from support.yocto import QUICK, Answers, Checkout

pytestmark = pytest.mark.yocto

TOP = "kas/qemux86-64.yml"
IMAGE, INITRAMFS = "everest-secure-image-development", "everest-secure-initramfs"
ESP, LINUX = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
QUESTIONS = {
    IMAGE: (
        *("IMAGE_FSTYPES", "IMGDEPLOYDIR", "IMAGE_LINK_NAME", "INITRD_ARCHIVE", "UKI_STUB", "EVEREST_EFI_FALLBACK", "_WKS_TEMPLATE"),
        *("do_image_squashfs_zst", "do_image_efi", "do_image_wic", "EVEREST_EFI_SIZE", "EVEREST_ROOTFS_SIZE", "EVEREST_SLOT_FSTYPE"),
    ),
    INITRAMFS: ("IMAGE_FSTYPES", "IMAGE_LINK_NAME", "PACKAGE_INSTALL", "ROOTFS_POSTPROCESS_COMMAND"),
    "systemd": ("PACKAGECONFIG",),
}


@pytest.fixture(scope="module")
def answers(checkout: Checkout) -> Answers:
    assert (KAS_DIRECTORY.parent / TOP).is_file()
    return checkout.ask(TOP, QUESTIONS, lines=QUICK)


@pytest.fixture(scope="module")
def image(answers: Answers) -> Mapping[str, str]:
    return {name: value or "" for name, value in answers.values[IMAGE].items()}


def test_the_image_is_a_root_slot_an_efi_partition_and_a_disk(image: Mapping[str, str]) -> None:
    assert image["IMAGE_FSTYPES"].split() == ["squashfs-zst.verity", "efi", "wic"]


def test_oe_core_makes_the_squashfs_without_state_and_the_class_its_hash_tree(image: Mapping[str, str]) -> None:
    lines = [line.strip() for line in image["do_image_squashfs_zst"].splitlines()]
    pack = next(at for at, line in enumerate(lines) if line.startswith("oe_mksquashfs zstd"))
    tree = next(at for at, line in enumerate(lines) if line.startswith("everest_secure_verity"))
    assert "-wildcards -e var/*" in lines[pack]
    assert pack < tree
    assert image["EVEREST_EFI_FALLBACK"] in image["do_image_efi"]
    assert "wic create" in image["do_image_wic"]


def test_kernel_images_are_made_of_files_that_other_recipes_deploy(answers: Answers, image: Mapping[str, str]) -> None:
    initramfs = answers.values[INITRAMFS]
    assert image["INITRD_ARCHIVE"] == f"{initramfs['IMAGE_LINK_NAME']}.{initramfs['IMAGE_FSTYPES']}"
    assert image["UKI_STUB"] == "linuxx64.efi.stub"


def test_systemd_is_built_with_what_verity_and_the_data_partition_need(answers: Answers) -> None:
    assert {"cryptsetup", "openssl", "pstore", "repart", "tpm2"} <= set((answers.values["systemd"]["PACKAGECONFIG"] or "").split())


def test_the_initramfs_is_taken_for_an_initrd(answers: Answers) -> None:
    initramfs = {name: (value or "").split() for name, value in answers.values[INITRAMFS].items()}
    assert "everest_secure_initrd_release" in initramfs["ROOTFS_POSTPROCESS_COMMAND"]
    assert {"systemd", "everest-initramfs"} <= set(initramfs["PACKAGE_INSTALL"])
    # Its /init is everest-initramfs's own (BOOT-03).
    assert "systemd-initramfs" not in initramfs["PACKAGE_INSTALL"]


def test_wic_puts_slot_a_on_the_disk_and_leaves_slot_b_empty(checkout: Checkout, image: Mapping[str, str]) -> None:
    require("parted", "sgdisk", "mkfs.vfat", "mcopy", "sfdisk")
    deploy = Path(image["IMGDEPLOYDIR"])
    slots = {"efi-a": "efi", "rootfs-a": image["EVEREST_SLOT_FSTYPE"]}
    for suffix in slots.values():
        checkout.user.write(deploy / f"{image['IMAGE_LINK_NAME']}.{suffix}", os.urandom(3 << 20))
    place = checkout.user.directory / "wic"
    place.mkdir()
    (place / "disk.wks").write_text(image["_WKS_TEMPLATE"])
    variables = {"DEPLOY_DIR_IMAGE": deploy, "IMAGE_ROOTFS": deploy, "STAGING_DATADIR": "/usr/share", "RECIPE_SYSROOT_NATIVE": "/"}
    (place / "image.env").write_text("".join(f'{name}="{value}"\n' for name, value in variables.items()))
    checkout.user.own(place)
    environment = "export SOURCE_DATE_EPOCH=1520598896 PATH=$PATH:/usr/sbin:/sbin"
    commands = " && ".join(f"wic create disk.wks --vars {place} -e image -n / -o {out} -w work-{out}" for out in ("out", "again"))
    done = checkout.shell(TOP, f"cd {place} && {environment} && {commands}")
    (disk,), (again,) = ((place / out).glob("*.direct") for out in ("out", "again"))
    assert filecmp.cmp(disk, again, shallow=False), "the same slots make the same disk, ids of partitions included"
    table = json.loads(run(["sfdisk", "--json", disk]))["partitiontable"]["partitions"]
    efi, rootfs = (int(image[name]) * 2048 for name in ("EVEREST_EFI_SIZE", "EVEREST_ROOTFS_SIZE"))
    assert [(part["name"], part["type"], part["size"]) for part in table] == [
        ("efi-a", ESP, efi),
        ("efi-b", ESP, efi),
        ("rootfs-a", LINUX, rootfs),
        ("rootfs-b", LINUX, rootfs),
    ], done.stdout
    parts = {part.name.rpartition(":")[2]: part for part in open_artefact(disk).children}
    for label, suffix in slots.items():
        content = (deploy / f"{image['IMAGE_LINK_NAME']}.{suffix}").read_bytes()
        blob = parts[label].blob
        assert blob is not None
        assert blob.read(0, len(content)) == content
    assert {parts[label].kind for label in ("efi-b", "rootfs-b")} == {"empty"}
    shutil.rmtree(place)
