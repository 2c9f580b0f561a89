"""Rotation and revocation as docs/pki.md describes them, judged by the real `rauc` of devices with the keyrings that are in the field then."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from everest_secure.bundle import rauc
from everest_secure.errors import ToolError
from everest_secure.pki import certificates, keyring, lifecycle, revocation
from everest_secure.pki.keys import KeyType
from everest_secure.pki.lifecycle import KeyWish
from everest_secure.pki.store import Store
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri
from everest_secure.run import Argument, HostTools
from support import pki as support
from support import softhsm
from support.bundle import incompressible
from support.softhsm import MODULE, PIN, SoftHsm

pytestmark = pytest.mark.usefixtures("each_rauc")

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Field:
    """A PKI, the bundles that its signers made, and the keyrings of devices."""

    directory: Path
    pki: Store

    def bundle(self, signer: str, *, trusted: Path, key: str | None = None, env: dict[str, str] | None = None) -> Path:
        """Sign a bundle as the release host does, which verifies it with one of the keyrings."""
        content, made = self.directory / f"content-{signer}", self.directory / f"{signer}.raucb"
        content.mkdir()
        (content / "rootfs.img").write_bytes(incompressible(160 * 1024))
        (content / "manifest.raucm").write_text(
            "[update]\ncompatible=test\nversion=1.0.0\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=rootfs.img\n"
        )
        argv: list[Argument] = ["rauc", "--conf", self._conf(crl=False), "--cert", self.pki.certificate(signer)]
        argv += ["--key", key or self.pki.key(signer)]
        for number, certificate in enumerate(certificates.load_all(self.pki.chain(signer))):
            file = self.directory / f"{signer}.{number}.pem"  # rauc reads one certificate of a file and not the next
            file.write_bytes(certificates.to_pem(certificate))
            argv += ["--intermediate", file]
        HostTools().run([*argv, "bundle", "--signing-keyring", trusted, content, made], env=env)
        return made

    def keyring(self, name: str, *roots: str, lists: bool = True) -> Path:
        """Write the keyring of the next image."""
        file = self.directory / f"{name}.pem"
        keyring.export(self.pki.directory, file, roots=roots, with_lists=lists, now=support.now())
        return file

    def verdict(self, bundle: Path, trusted: Path, *, crl: bool = True) -> str:
        """What a device with this keyring says, whose RAUC checks revocation lists or does not."""
        try:
            rauc.info(bundle, configuration=self._conf(crl=crl), keyring=trusted, tools=HostTools())
        except ToolError as error:
            return str(error).rpartition("failed: ")[2].partition("Verify error: ")[2] or str(error)
        return ACCEPTED

    def _conf(self, *, crl: bool) -> Path:
        path = self.directory / f"crl-{crl}.conf"
        path.write_text(f"{rauc.CONFIGURATION}check-crl={'true' if crl else 'false'}\n")
        return path

    def rotate(self, name: str, issuer: str | None = None) -> str:
        return lifecycle.rotate(self.pki.directory, name, access=support.access(), now=support.now(), issuer=issuer)

    def lists(self, *authorities: str) -> None:
        for name in authorities:
            revocation.issue_list(self.pki.directory, name, access=support.access(), now=support.now())

    def revoke(self, name: str, reason: x509.ReasonFlags) -> None:
        revocation.revoke(self.pki.directory, name, reason=reason, access=support.access(), now=support.now())


@pytest.fixture
def field(pki: Store, tmp_path: Path) -> Field:
    for program in ("rauc", "mksquashfs"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}")
    return Field(tmp_path, pki)


def test_a_stolen_signer_is_rotated_and_revoked(field: Field) -> None:
    field.lists("root", "intermediate")
    shipped = field.keyring("shipped")
    stolen = field.bundle("signer", trusted=shipped)
    assert field.verdict(stolen, shipped) == ACCEPTED

    assert field.rotate("signer") == "signer-2"
    field.revoke("signer", x509.ReasonFlags.key_compromise)
    following = field.keyring("following")
    update = field.bundle("signer-2", trusted=shipped)

    assert field.verdict(update, shipped) == ACCEPTED  # the update that brings the list is taken by a device that has not got it
    assert field.verdict(stolen, shipped) == ACCEPTED  # which is why it has to be taken soon
    assert field.verdict(update, following) == ACCEPTED
    assert "revoked" in field.verdict(stolen, following)


def succession(field: Field) -> None:
    """A new root, and below it what signs bundles."""
    assert field.rotate("root") == "root-2"
    field.rotate("intermediate", issuer="root-2")
    field.rotate("signer", issuer="intermediate-2")


def refused(field: Field, keyrings: dict[str, Path], bundles: dict[str, Path], *, crl: bool) -> dict[tuple[str, str], str]:
    verdicts = {(device, made): field.verdict(bundles[made], keyrings[device], crl=crl) for device in keyrings for made in bundles}
    return {pair: verdict for pair, verdict in verdicts.items() if verdict != ACCEPTED}


def test_a_root_is_replaced_without_losing_a_device(field: Field) -> None:
    shipped = field.keyring("shipped", lists=False)
    succession(field)
    keyrings = {"shipped": shipped, "both": field.keyring("both", lists=False), "later": field.keyring("later", "root-2", lists=False)}
    bundles = {"old": field.bundle("signer", trusted=shipped), "new": field.bundle("signer-2", trusted=shipped)}
    assert list(refused(field, keyrings, bundles, crl=False)) == [("later", "old")]


def test_where_devices_check_lists_those_of_new_authorities_come_a_release_before_them(field: Field) -> None:
    field.lists("root", "intermediate")
    shipped = field.keyring("shipped")
    succession(field)
    field.lists("root-2", "intermediate-2")
    keyrings = {"shipped": shipped, "both": field.keyring("both"), "later": field.keyring("later", "root-2")}
    bundles = {"old": field.bundle("signer", trusted=shipped), "new": field.bundle("signer-2", trusted=shipped)}
    found = refused(field, keyrings, bundles, crl=True)
    assert list(found) == [("shipped", "new"), ("later", "old")]
    assert "unable to get certificate CRL" in found["shipped", "new"]


def test_a_device_whose_keyring_lacks_a_list_takes_nothing(field: Field) -> None:
    made = field.bundle("signer", trusted=field.pki.keyring)
    assert "CRL" in field.verdict(made, field.pki.keyring)


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    if not list(Path("/usr/lib").glob("*/engines-3/pkcs11.so")):
        pytest.skip("needs OpenSSL's PKCS#11 engine (libengine-pkcs11-openssl), through which rauc reaches a token")
    with softhsm.softhsm(tmp_path / "hsm") as made:
        yield made


@pytest.mark.parametrize("key_type", [KeyType.RSA_4096, KeyType.ECDSA_P256])
def test_rauc_signs_with_the_uri_that_the_directory_names(field: Field, hsm: SoftHsm, key_type: KeyType) -> None:
    with Tokens(lambda _: PIN, MODULE) as tokens:
        support.add_signer(field.pki, "model", key=key_type)
        wish = KeyWish(TokenUri(token="release"))
        made = lifecycle.rotate(field.pki.directory, "model", access=support.access(tokens=tokens), now=support.now(), wish=wish)
    env = {**hsm.environment, "RAUC_PKCS11_MODULE": str(MODULE), "RAUC_PKCS11_PIN": PIN}
    bundle = field.bundle(made, trusted=field.pki.keyring, key=field.pki.key_uri(made).read_text().strip(), env={**os.environ, **env})
    field.lists("root", "intermediate")
    assert field.verdict(bundle, field.keyring("with-lists")) == ACCEPTED
