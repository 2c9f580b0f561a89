"""The bundle task itself, run by BitBake's engine with the real rauc: from a file and from a token, and what it leaves behind (RAUC-03)."""

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.bundle.device import load_device
from everest_secure.bundle.judge import judge
from everest_secure.errors import UserError
from everest_secure.pki import certificates, lifecycle
from everest_secure.pki.store import Store
from everest_secure.reference.recipes.harness import read_recipe, run_task
from everest_secure.run import HostTools
from support.layer import LAYER
from support.pki import LONG_AGO, access, add_odd_signer, add_signer, make, now
from support.secrets import leaks
from support.softhsm import MODULE, PIN, SoftHsm

pytestmark = [pytest.mark.layer, pytest.mark.usefixtures("each_rauc")]

RECIPE = "everest-secure-bundle-development"
MANIFEST = "[update]\ncompatible=charger\nversion=1.0.0\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=rootfs.img\n"


@dataclass(frozen=True)
class Desk:
    """A work directory with what the task packs, a PKI, and a token that holds the signer's key as well."""

    work: Path
    pki: Store
    hsm: SoftHsm
    token: str
    """URI of the signer's key."""

    @property
    def made(self) -> Path:
        """The bundle."""
        return self.work / f"tmp/work/{RECIPE}/build/bundle.raucb"

    def settings(self, signer: str = "signer", **changes: str) -> dict[str, str]:
        """Settings of a build that signs with a file."""
        rauc = shutil.which("rauc")
        assert rauc is not None
        return {
            "STAGING_BINDIR_NATIVE": str(Path(rauc).parent),
            "EVEREST_BUNDLE_KEY": str(self.pki.key(signer)),
            "EVEREST_BUNDLE_CERT": str(self.pki.certificate(signer)),
            "EVEREST_BUNDLE_INTERMEDIATE": str(self.pki.chain("signer")),
            "EVEREST_RAUC_KEYRING_DEVELOPMENT": str(self.pki.keyring),
            **changes,
        }

    def from_token(self, **changes: str) -> dict[str, str]:
        """Settings of a build that signs with the token."""
        (engines,) = Path("/usr/lib").glob("*-linux-gnu/engines-3")
        return self.settings(
            **{
                "EVEREST_BUNDLE_KEY": self.token,
                "EVEREST_PKCS11_MODULE": str(MODULE),
                "EVEREST_PKCS11_ENGINES": str(engines),
                "EVEREST_PKCS11_ENVIRONMENT": f"SOFTHSM2_CONF={self.hsm.configuration}",
                **changes,
            }
        )

    def sign(self, settings: dict[str, str]) -> str:
        """Run do_bundle and return what rauc says of the bundle with the device's configuration."""
        run_task(RECIPE, "do_bundle", layer=LAYER, work=self.work, settings=settings)
        command = [
            "rauc",
            f"--conf={self.made.parent.parent}/verify-as-the-device.conf",
            f"--keyring={self.pki.keyring}",
            "info",
            "--output-format=shell",
            str(self.made),
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def refused(self, settings: dict[str, str]) -> str:
        """Run do_bundle, which must fail and leave nothing, and return its reason."""
        with pytest.raises(UserError) as refusal:
            run_task(RECIPE, "do_bundle", layer=LAYER, work=self.work, settings=settings)
        assert not self.made.exists()
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    def variable(self, name: str, settings: dict[str, str]) -> str:
        """Return a variable of the recipe."""
        return read_recipe(RECIPE, [name], layer=LAYER, work=self.work, settings=settings)[name]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    pki = make(tmp_path / "keys")
    content = tmp_path / f"work/tmp/work/{RECIPE}/bundle"
    content.mkdir(parents=True)
    (content / "manifest.raucm").write_text(MANIFEST)
    (content / "rootfs.img").write_bytes(random.Random(0).randbytes(20_000))  # rauc wants more than what a squashfs without data takes
    hsm = SoftHsm.made(tmp_path / "hsm")
    return Desk(tmp_path / "work", pki, hsm, hsm.add_key(pki.key("signer")))


def test_a_bundle_signed_with_a_file_is_one_that_the_device_takes_and_the_key_is_nowhere_else(desk: Desk) -> None:
    assert "RAUC_MF_COMPATIBLE='charger'" in desk.sign(desk.settings())
    assert leaks(desk.work, key=desk.pki.key("signer")) == []


def test_a_bundle_signed_in_a_token_is_one_that_the_device_takes_and_the_pin_is_nowhere_else(desk: Desk) -> None:
    assert "RAUC_MF_COMPATIBLE='charger'" in desk.sign(desk.from_token())
    assert (desk.made.parent.parent / "temp/log.do_bundle").exists(), "there is something to search"
    assert leaks(desk.work, key=desk.pki.key("signer"), texts=(PIN,)) == []


def test_what_is_searched_for_would_be_found(desk: Desk) -> None:
    key = desk.pki.key("signer")
    (desk.work / "copy").write_bytes(key.read_bytes())
    (desk.work / "log").write_text(f"PIN is {PIN}")
    assert leaks(desk.work, key=key, texts=(PIN,)) == [desk.work / "copy", desk.work / "log"]


def test_a_wrong_pin_leaves_no_bundle_and_is_said_without_the_pin(desk: Desk) -> None:
    desk.hsm.pin.write_text("11" + PIN)
    assert PIN not in desk.refused(desk.from_token())
    log = (desk.made.parent.parent / "temp/log.do_bundle").read_text()
    assert "PIN incorrect" in log
    assert PIN not in log


def test_all_authorities_of_a_file_travel_in_the_bundle(desk: Desk) -> None:
    """As after a new root took over: a device that knows the old one alone needs the intermediate and what the old root says of the new one."""

    def rotate(name: str, issuer: str | None = None) -> str:
        return lifecycle.rotate(desk.pki.directory, name, access=access(), now=now(), issuer=issuer)

    old = desk.pki.keyring.read_bytes()
    signer = rotate("signer", issuer=rotate("intermediate", issuer=rotate("root")))
    assert len(certificates.load_all(desk.pki.chain(signer))) == 2
    desk.sign(desk.settings(signer, EVEREST_BUNDLE_INTERMEDIATE=str(desk.pki.chain(signer))))
    for name, keyring in {"old": old, "new": desk.pki.certificate("root-2").read_bytes()}.items():
        (desk.work / name).write_bytes(keyring)
        verdict = judge(desk.made, device=load_device(desk.work / name), now=now(), tools=HostTools())
        assert (verdict.accepted, verdict.difference) == (True, "")


def test_without_its_intermediate_no_bundle_is_made(desk: Desk) -> None:
    assert "unable to get local issuer certificate" in desk.refused(desk.settings(EVEREST_BUNDLE_INTERMEDIATE=""))


def test_a_signer_for_something_else_makes_no_bundle(desk: Desk) -> None:
    add_odd_signer(desk.pki, "mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    assert "unsuitable certificate purpose" in desk.refused(desk.settings("mail"))


def test_an_expired_signer_makes_no_bundle(desk: Desk) -> None:
    add_signer(desk.pki, "old", at=now() - LONG_AGO)
    assert "certificate has expired" in desk.refused(desk.settings("old"))


def test_a_signer_of_another_authority_makes_no_bundle(desk: Desk, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    assert "unable to get local issuer certificate" in desk.refused(desk.settings(EVEREST_RAUC_KEYRING_DEVELOPMENT=str(other.keyring)))


def test_where_devices_look_at_revocation_lists_the_build_does_so_too(desk: Desk) -> None:
    assert "CRL" in desk.refused(desk.settings(EVEREST_CHECK_CRL="1"))


def test_a_key_in_a_token_is_no_file_that_bitbake_would_warn_of(desk: Desk) -> None:
    settings = desk.from_token()
    assert desk.variable("do_bundle[file-checksums]", settings) == ""
    assert "libp11-native" in desk.variable("DEPENDS", settings).split()
    assert "libp11-native" not in desk.variable("DEPENDS", desk.settings()).split()


def test_another_certificate_for_the_key_in_the_token_makes_the_bundle_anew(desk: Desk) -> None:
    add_signer(desk.pki, "other")
    first, again, other = (
        desk.variable("EVEREST_SIGNING_DIGEST", desk.from_token(EVEREST_BUNDLE_CERT=str(desk.pki.certificate(name))))
        for name in ("signer", "signer", "other")
    )
    assert first == again != other
