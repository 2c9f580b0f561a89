"""Bundles that their recipients alone can read, and what is taken out of bundles."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.bundle import inspect
from everest_secure.bundle.create import create
from everest_secure.bundle.device import load_device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.extract import extract
from everest_secure.bundle.judge import Judgement, judge
from everest_secure.bundle.resign import Source, resign
from everest_secure.bundle.verdict import Why
from everest_secure.errors import ArtefactError, UserError
from everest_secure.run import HostTools
from support import pki as support
from support.bundle import FailingDisk, Workshop
from support.images import throw_away_signer
from support.raucs import version

pytestmark = pytest.mark.usefixtures("each_rauc")

TOOLS = HostTools()


@pytest.fixture
def recipient(tmp_path: Path) -> tuple[Path, Path]:
    """A device's key and certificate."""
    (tmp_path / "device").mkdir()
    key, certificate = throw_away_signer(tmp_path / "device")
    key.chmod(0o600)
    return key, certificate


@pytest.fixture
def crypt(workshop: Workshop, recipient: tuple[Path, Path]) -> Path:
    create(replace(workshop.description(), format="crypt"), workshop.release(recipients=(recipient[1],)), workshop.signer())
    return workshop.output


def judged(bundle: Path, keyring: Path, key: Path | None = None, *, thorough: bool = False) -> Judgement:
    return judge(bundle, device=load_device(keyring, decryption_key=key), now=support.now(), tools=TOOLS, thorough=thorough)


def test_a_recipient_verifies_it_with_both(crypt: Path, workshop: Workshop, recipient: tuple[Path, Path]) -> None:
    found = judged(crypt, workshop.pki.keyring, recipient[0], thorough=True)
    assert (found.accepted, found.difference) == (True, "")
    assert inspect.info(crypt, recipient=found.device.recipient).format == "crypt"


def test_without_a_key_nobody_judges_it(crypt: Path, workshop: Workshop) -> None:
    with pytest.raises(BundleError, match="give the key of one with --decryption-key"):
        judged(crypt, workshop.pki.keyring)
    with pytest.raises(BundleError, match="nobody but a recipient can read it"):
        inspect.info(crypt)


def test_the_key_of_another_is_refused_by_both(crypt: Path, workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    key, _ = throw_away_signer(tmp_path / "stranger")
    key.chmod(0o600)
    found = judged(crypt, workshop.pki.keyring, key)
    assert (found.accepted, found.difference) == (False, "")


@pytest.mark.parametrize("at", [0, 5000, -3000])
def test_a_flipped_bit_of_it_is_refused_by_both(crypt: Path, workshop: Workshop, recipient: tuple[Path, Path], at: int) -> None:
    raw = bytearray(crypt.read_bytes())
    raw[at] ^= 1
    crypt.write_bytes(raw)
    found = judged(crypt, workshop.pki.keyring, recipient[0], thorough=True)
    assert (found.accepted, found.difference) == (False, "")
    assert found.rauc is not None
    assert found.rauc.refusal


def test_it_wants_recipients_and_no_other_format_does(workshop: Workshop, recipient: tuple[Path, Path]) -> None:
    with pytest.raises(BundleError, match="name their certificates with --recipient"):
        create(replace(workshop.description(), format="crypt"), workshop.release(), workshop.signer())
    with pytest.raises(BundleError, match="leave --recipient out"):
        create(workshop.description(), workshop.release(recipients=(recipient[1],)), workshop.signer())
    assert not workshop.output.exists()


def test_so_many_recipients_that_devices_do_not_read_the_signature_are_refused(
    workshop: Workshop, recipient: tuple[Path, Path], tmp_path: Path
) -> None:
    many = tmp_path / "fleet.pem"
    many.write_text(recipient[1].read_text() * 200)
    description = replace(workshop.description(), format="crypt")
    with pytest.raises(
        BundleError, match=r"encrypted for 200 recipients, would be refused: the signature has [0-9]+ bytes, devices accept"
    ):
        create(description, workshop.release(recipients=(many,)), workshop.signer())
    assert not workshop.output.exists()
    larger = replace(workshop.device(decryption_key=recipient[0]), signature_bytes=200_000)
    if version(TOOLS) >= (1, 13):
        create(description, workshop.release(recipients=(many,), device=larger), workshop.signer())
        assert judge(workshop.output, device=larger, now=support.now(), tools=TOOLS).accepted


def test_it_is_signed_again_for_its_recipients(crypt: Path, workshop: Workshop, recipient: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    release = Workshop(tmp_path / "release", support.make(tmp_path / "release" / "pki"))
    source = Source(crypt, load_device(workshop.pki.keyring, decryption_key=recipient[0]))
    wanted = release.release(device=load_device(release.pki.keyring, decryption_key=recipient[0]), recipients=(recipient[1],))
    resign(source, wanted, release.signer())
    assert judged(release.output, release.pki.keyring, recipient[0], thorough=True).accepted


def test_a_key_of_the_build_reads_what_is_signed_again_for_devices_alone(
    crypt: Path, workshop: Workshop, recipient: tuple[Path, Path], tmp_path: Path
) -> None:
    """The devices' keys lie in their TPMs: the release host opens the build's bundle, and not the one that it makes."""
    for name in ("release", "charger"):
        (tmp_path / name).mkdir()
    release = Workshop(tmp_path / "release", support.make(tmp_path / "release" / "pki"))
    key, certificate = throw_away_signer(tmp_path / "charger")
    key.chmod(0o600)
    source = Source(crypt, load_device(workshop.pki.keyring, decryption_key=recipient[0]))
    wanted = release.release(device=load_device(release.pki.keyring, decryption_key=recipient[0]), recipients=(certificate,))
    resign(source, wanted, release.signer())
    assert judged(release.output, release.pki.keyring, key, thorough=True).accepted
    assert not judged(release.output, release.pki.keyring, recipient[0]).accepted


def test_what_was_verified_is_what_is_encrypted(workshop: Workshop, recipient: tuple[Path, Path]) -> None:
    """Nobody has the key here, so that the finished bundle cannot be verified; its payload is the one that was."""
    release = workshop.release(recipients=(recipient[1],), tools=FailingDisk("encrypt"))
    with pytest.raises(BundleError, match="rauc changed the payload"):
        create(replace(workshop.description(), format="crypt"), release, workshop.signer())
    assert not workshop.output.exists()


def test_a_crypt_bundle_that_nobody_encrypted_is_refused(crypt: Path, workshop: Workshop, recipient: tuple[Path, Path]) -> None:
    found = judged(crypt, workshop.pki.keyring, recipient[0]).independent
    assert found.envelope is not None
    whole = found.envelope.payload.read(0, found.envelope.payload.size)
    crypt.write_bytes(whole + found.cms + len(found.cms).to_bytes(8, "big"))
    assert [reason.why for reason in judged(crypt, workshop.pki.keyring).independent.reasons] == [Why.UNENCRYPTED]


def test_images_come_out_as_they_went_in(crypt: Path, workshop: Workshop, recipient: tuple[Path, Path]) -> None:
    (made,) = extract(judged(crypt, workshop.pki.keyring, recipient[0]), workshop.directory / "out")
    assert made.read_bytes() == (workshop.directory / "rootfs.squashfs").read_bytes()
    with pytest.raises(BundleError, match="exists already"):
        extract(judged(crypt, workshop.pki.keyring, recipient[0]), workshop.directory / "out")


def test_an_image_that_the_bundle_has_not_is_named(bundle: Path, workshop: Workshop) -> None:
    with pytest.raises(BundleError, match="has no image for 'mcu'; it has rootfs"):
        extract(judged(bundle, workshop.pki.keyring), workshop.directory / "out", slot_classes=["mcu"])


def test_nothing_comes_out_of_a_bundle_that_is_refused(bundle: Path, workshop: Workshop, tmp_path: Path) -> None:
    other = support.make(tmp_path / "other")
    with pytest.raises(BundleError, match="is refused with the keyring"):
        extract(judged(bundle, other.keyring), workshop.directory / "out")
    assert not (workshop.directory / "out").exists()


def test_an_image_that_is_not_the_one_that_was_signed_is_not_written(bundle: Path, workshop: Workshop) -> None:
    """Only the signature is verified first, so the digest of what is written decides."""
    raw = bytearray(bundle.read_bytes())
    raw[5000] ^= 1
    bundle.write_bytes(raw)
    found = judge(bundle, device=workshop.device(), now=support.now(), tools=None, payload=False)
    assert found.accepted
    with pytest.raises((BundleError, ArtefactError), match=r"not the one that was signed|corrupt"):
        extract(found, workshop.directory / "out")
    assert list((workshop.directory / "out").iterdir()) == []


def test_too_little_disk_is_said_before_anything_is_written(bundle: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(UserError, match="free some space"):
        extract(judged(bundle, workshop.pki.keyring), workshop.directory / "out")
