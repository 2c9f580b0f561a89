"""Real BitBake runs meta-rauc's own bundle task under the layer's class, with the machine's rauc: when it signs again, and what it leaves behind (RAUC-03)."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.pki.store import Store
from support.pki import add_signer
from support.secrets import contents, leaks
from support.softhsm import MODULE, PIN, SoftHsm
from support.yocto import QUICK, Checkout

pytestmark = pytest.mark.yocto

TOP = "kas/qemux86-64.yml"
RECIPE = r"""
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"
inherit everest-secure-bundle

# Something small in the place of an image
RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs[type] = "file"
RAUC_SLOT_rootfs[file] = "rootfs.img"
RAUC_SLOT_rootfs[depends] = "${PN}:do_fetch"
STAGING_BINDIR_NATIVE = "/usr/bin"
do_configure[prefuncs] =+ "stage"

python stage() {
    import os
    import random

    with open(d.expand("${WORKDIR}/rootfs.img"), "wb") as file:
        file.write(random.Random(0).randbytes(20000))
    bill = d.expand("${DEPLOY_DIR_IMAGE}/${EVEREST_BUNDLE_IMAGE}${IMAGE_MACHINE_SUFFIX}${IMAGE_NAME_SUFFIX}.spdx.json")
    os.makedirs(os.path.dirname(bill), exist_ok=True)
    open(bill, "w").close()
}
"""
THERE = """
ASSUME_PROVIDED += "virtual/fakeroot-native patch-replacement-native quilt-native rauc-native squashfs-tools-native libp11-native"
"""
"""The machine's programs stand in the place of those that take an hour to compile."""


@dataclass(frozen=True)
class Built:
    """What some runs of `bitbake -c bundle` left."""

    key: Path
    """The signer's key, of the first run."""
    build: Path
    """The build directory."""
    said: tuple[str, ...]
    """What BitBake said, by run: from a file twice, with another signer in the same files, with the first again, its variables, and from a token."""
    signed: tuple[int, ...]
    """How often the file's task had run after each of the first four."""


@pytest.fixture(scope="module")
def built(checkout: Checkout) -> Built:
    top = checkout.user.directory
    pki, desk = Store(checkout.keys), top / "desk"
    desk.mkdir()
    add_signer(pki, "other")
    first = [pki.key("signer"), pki.certificate("signer")]
    other = [pki.key("other"), pki.certificate("other")]
    hsm = SoftHsm.made(top / "hsm")
    token = hsm.add_key(first[0])
    (engines,) = Path("/usr/lib").glob("*-linux-gnu/engines-3")
    files = f'EVEREST_BUNDLE_KEY = "{desk}/key.pem"\nEVEREST_BUNDLE_CERT = "{desk}/cert.pem"\n'
    tokens = (
        f'EVEREST_BUNDLE_KEY = "{token}"\nEVEREST_BUNDLE_CERT = "{first[1]}"\nEVEREST_PKCS11_MODULE = "{MODULE}"\n'
        f'EVEREST_PKCS11_ENGINES = "{engines}"\nEVEREST_PKCS11_ENVIRONMENT = "SOFTHSM2_CONF={hsm.configuration}"\n'
    )
    layer = checkout.layer("signing", {"signed-with-a-file": RECIPE + files, "signed-in-a-token": RECIPE + tokens})
    said, signed = [], []

    def run(command: str) -> None:
        done = checkout.shell(TOP, command, layers=[layer], lines=QUICK + THERE)
        assert done.returncode == 0, done.stdout
        said.append(done.stdout)

    for signer in (first, first, other, first):
        for source, name in zip(signer, ("key.pem", "cert.pem"), strict=True):
            shutil.copyfile(source, desk / name)
        for directory in (desk, top / "hsm", checkout.keys):
            checkout.user.own(directory)
        run("bitbake -c bundle signed-with-a-file")
        signed.append(len(list(top.glob("build/tmp/work/*/signed-with-a-file/*/temp/log.do_bundle.[0-9]*"))))
    run("bitbake -e signed-in-a-token")
    run("bitbake -c bundle signed-in-a-token")
    return Built(first[0], top / "build", tuple(said), tuple(signed))


def test_a_changed_signer_in_the_same_files_signs_again_and_an_unchanged_one_does_not(built: Built) -> None:
    assert built.signed == (1, 1, 2, 3)


def test_there_is_no_warning_about_a_key(built: Built) -> None:
    assert [
        line for said in built.said for line in said.splitlines() if re.match("(WARNING|ERROR)", line) and re.search("pkcs11|sign", line)
    ] == []


def test_pin_and_key_are_in_no_log_no_script_no_signature_data_and_no_variable(built: Built) -> None:
    texts = {file.name: content for file, content in contents(built.build)}
    assert any(name.startswith("run.do_bundle") and b"signed-in-a-token" in content for name, content in texts.items()), "there are scripts"
    assert any("do_bundle.sigdata" in name and b"EVEREST_SIGNING_DIGEST" in content for name, content in texts.items()), (
        "signature data is read"
    )
    assert leaks(built.build, key=built.key, texts=(PIN,)) == []
    assert not [said for said in built.said if PIN in said]
