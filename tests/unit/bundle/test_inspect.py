import hashlib
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.bundle import inspect
from everest_secure.bundle.errors import BundleError
from everest_secure.errors import ArtefactError
from everest_secure.pki.errors import PkiError
from everest_secure.run import Argument, HostTools
from support import pki as support
from support.bundle import Workshop, incompressible

TOOLS = HostTools()


def raw_bundle(workshop: Workshop, name: str, *, format_line: str = "format=verity\n") -> Path:
    """Sign with rauc alone, past every check of ours."""
    content = workshop.directory / f"content-{name}"
    content.mkdir()
    (content / "rootfs.img").write_bytes(incompressible(16 * 1024))
    (content / "manifest.raucm").write_text(
        f"[update]\ncompatible=x\nversion=1.0.0\n\n[bundle]\n{format_line}\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    output = workshop.directory / f"{name}.raucb"
    signer: list[Argument] = ["--key", workshop.pki.key(name), "--cert", workshop.pki.certificate(name)]
    TOOLS.run(["rauc", *signer, "--intermediate", workshop.pki.certificate("intermediate"), "bundle", content, output])
    return output


def test_a_good_bundle_verifies_with_the_keyring_of_its_authority(bundle: Path, workshop: Workshop) -> None:
    found = inspect.verify(bundle, keyring=workshop.pki.keyring, tools=TOOLS)
    image = (workshop.directory / "rootfs.squashfs").read_bytes()
    assert found.verified
    assert (found.images[0].sha256, found.images[0].size) == (hashlib.sha256(image).hexdigest(), len(image))


def test_info_reads_a_bundle_without_trusting_it(bundle: Path) -> None:
    found = inspect.info(bundle, tools=TOOLS)
    assert found.version == "1.2.3"
    assert not found.verified


def test_a_bundle_of_another_authority_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = support.make(tmp_path / "other")
    with pytest.raises(BundleError, match="unable to get local issuer certificate"):
        inspect.verify(bundle, keyring=other.keyring, tools=TOOLS)


def test_a_bundle_signed_for_mail_is_refused(workshop: Workshop) -> None:
    support.add_odd_signer(workshop.pki, "mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    with pytest.raises(BundleError, match="unsuitable certificate purpose"):
        inspect.verify(raw_bundle(workshop, "mail"), keyring=workshop.pki.keyring, tools=TOOLS)


def test_a_bundle_of_an_expired_signer_is_refused(workshop: Workshop) -> None:
    support.add_signer(workshop.pki, "old", at=support.now() - support.LONG_AGO)
    with pytest.raises(BundleError, match="certificate has expired"):
        inspect.verify(raw_bundle(workshop, "old"), keyring=workshop.pki.keyring, tools=TOOLS)


def test_a_plain_bundle_is_refused(workshop: Workshop) -> None:
    with pytest.raises(BundleError, match="'plain' not allowed"):
        inspect.verify(raw_bundle(workshop, "signer", format_line="format=plain\n"), keyring=workshop.pki.keyring, tools=TOOLS)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.97, 0.999])
def test_a_truncated_bundle_is_refused(bundle: Path, workshop: Workshop, part: float) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(len(content) * part)])
    with pytest.raises((BundleError, ArtefactError)):
        inspect.verify(bundle, keyring=workshop.pki.keyring, tools=TOOLS)


@pytest.mark.parametrize("at", [200, 5000, -20, -1000])
def test_a_flipped_bit_anywhere_is_refused(bundle: Path, workshop: Workshop, at: int) -> None:
    content = bytearray(bundle.read_bytes())
    content[at] ^= 1
    bundle.write_bytes(content)
    with pytest.raises((BundleError, ArtefactError)):
        inspect.verify(bundle, keyring=workshop.pki.keyring, tools=TOOLS)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100_000)])
def test_what_is_no_bundle_is_refused_in_one_sentence(tmp_path: Path, workshop: Workshop, content: bytes) -> None:
    path = tmp_path / "x.raucb"
    path.write_bytes(content)
    for keyring in (None, workshop.pki.keyring):
        with pytest.raises((BundleError, ArtefactError)) as refused:
            inspect.info(path, tools=TOOLS) if keyring is None else inspect.verify(path, keyring=keyring, tools=TOOLS)
        assert "\n" not in str(refused.value)


def test_a_keyring_without_certificates_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(PkiError):
            inspect.verify(bundle, keyring=tmp_path / name, tools=TOOLS)
