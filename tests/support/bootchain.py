"""An image whose slots, kernel images and EFI partition are made by the layer's classes, with the tools that BitBake would run."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import run
from support.layer import Bench
from support.reference import REPOSITORY, require

STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
EPOCH = 1_700_000_000
RECIPE = """
SUMMARY = "An image as OE-Core's image class would drive ours"
inherit everest-secure-uki everest-secure-disk

IMAGE_ROOTFS = "${TEST_ROOT}"
DEPLOY_DIR_IMAGE = "${TEST_DEPLOY}"
IMGDEPLOYDIR = "${WORKDIR}/deploy"
IMAGE_NAME = "charger-1"
IMAGE_LINK_NAME = "charger"
KERNEL_IMAGETYPE = "bzImage"
type = "${EVEREST_ROOT_FSTYPE}"

do_rootfs() {
    :
}
do_rootfs[cleandirs] = "${IMGDEPLOYDIR}"

do_image_squashfs_zst() {
    cd ${IMGDEPLOYDIR}
    export SOURCE_DATE_EPOCH=${REPRODUCIBLE_TIMESTAMP_ROOTFS}
    mksquashfs ${IMAGE_ROOTFS} ${IMAGE_NAME}.squashfs-zst -noappend -quiet -comp zstd ${EXTRA_IMAGECMD:squashfs-zst}
    ${CONVERSION_CMD:verity}
}

do_image_erofs_lz4hc() {
    cd ${IMGDEPLOYDIR}
    mkfs.erofs -zlz4hc ${EXTRA_IMAGECMD:erofs-lz4hc} ${IMAGE_NAME}.erofs-lz4hc ${IMAGE_ROOTFS}
    ${CONVERSION_CMD:verity}
}

do_image_efi() {
    ${IMAGE_CMD:efi}
}

addtask rootfs
python () {
    bb.build.addtask("do_image_" + d.getVar("EVEREST_ROOT_FSTYPE").replace("-", "_"), None, "do_rootfs", d)
}
addtask image_efi after do_uki before do_install
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the image is made of, in a directory of the test's."""

    root: Path
    deploy: Path
    key: Path
    certificate: Path
    layer: Path

    def settings(self) -> dict[str, str]:
        """Return what a local.conf would set."""
        return {
            "TEST_ROOT": str(self.root),
            "TEST_DEPLOY": str(self.deploy),
            "REPRODUCIBLE_TIMESTAMP_ROOTFS": str(EPOCH),
            "UKIFY_CMD": f"{sys.executable} {ukify()} build",
            "EVEREST_SECURE_BOOT": "1",
            "EVEREST_SECURE_BOOT_KEY": str(self.key),
            "EVEREST_SECURE_BOOT_CERT": str(self.certificate),
            "EVEREST_EFI_SIZE": "40",
            "EVEREST_ROOTFS_SIZE": "2",
        }


@dataclass(frozen=True, slots=True)
class Made:
    """What the classes left."""

    images: Path
    ukis: Mapping[str, Path]
    root_type: str = "squashfs-zst"
    """Image type of the root."""

    @property
    def slot(self) -> Path:
        """The root with its hash tree."""
        return self.images / f"charger-1.{self.root_type}.verity"

    @property
    def efi(self) -> Path:
        """The file system of the EFI partition."""
        return self.images / "charger-1.efi"

    @property
    def root(self) -> Mapping[str, str]:
        """Root hash and hash offset as later tasks read them."""
        found: dict[str, str] = json.loads((self.images / "charger.verity.json").read_text())
        return found


def ukify() -> Path:
    """Return ukify, this machine's own or that of the tools root; skips the test without one."""
    own = shutil.which("ukify")
    found = [Path(own)] if own else sorted(REPOSITORY.glob("build/cache/tools-*/usr/bin/ukify"))
    if not found:
        pytest.skip("ukify is not installed, and there is no tools root, which 'make demo' makes")
    return found[0]


def parts(place: Path) -> Parts:
    """Make a small root, a kernel, an initramfs, a key and a layer with the image's recipe; skips the test where a tool is missing."""
    require("mksquashfs", "mkfs.erofs", "veritysetup", "mkfs.vfat", "mcopy", "osslsigncode", "sbverify", "openssl")
    if not STUB.is_file():
        pytest.skip("systemd-boot-efi is not installed")
    made = Parts(place / "rootfs", place / "deploy", place / "db.key", place / "db.crt", place / "layer")
    for name, content in {
        "usr/lib/os-release": b'ID="everest-secure"\n',
        "usr/bin/manager": os.urandom(70_000),
        "var/log/x": b"",
        "boot/k": b"",
    }.items():
        (made.root / name).parent.mkdir(parents=True, exist_ok=True)
        (made.root / name).write_bytes(content)
    made.deploy.mkdir()
    shutil.copy(STUB, made.deploy)
    # Any EFI program serves as a kernel that is not started.
    shutil.copy(STUB, made.deploy / "bzImage")
    (made.deploy / "everest-secure-initramfs-qemux86-64.cpio.zst").write_bytes(b"initramfs" * 1000)
    options = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db", "-days", "2"]
    run(["openssl", "req", "-x509", *options, "-keyout", made.key, "-out", made.certificate])
    (made.layer / "conf").mkdir(parents=True)
    (made.layer / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bb"\nBBFILE_COLLECTIONS += "test"\n')
    (made.layer / "charger_1.0.bb").write_text(RECIPE)
    return made


def make(layer: Bench, image: Parts, **settings: str) -> Made:
    """Run the image's tasks; raises RecipeError."""
    wanted = ("IMGDEPLOYDIR", "UKI_DIR", "EVEREST_ROOT_FSTYPE")
    built = layer.build("charger", {**image.settings(), **settings}, variables=wanted, extra_layers=(image.layer,))
    images, ukis = (Path(built.variables[name]) for name in wanted[:2])
    return Made(images, {slot: ukis / f"everest-{slot}.efi" for slot in ("a", "b")}, built.variables["EVEREST_ROOT_FSTYPE"])
