import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.bundle import judge
from everest_secure.bundle.create import create, space_needed
from everest_secure.bundle.description import Hooks
from everest_secure.bundle.device import load_device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.bundle.judge import Judgement
from everest_secure.bundle.signing import Signer
from everest_secure.errors import ToolError, UserError
from everest_secure.pki import keys, store
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.run import HostTools
from support import pki as support
from support.bundle import FailingDisk, Workshop

pytestmark = pytest.mark.usefixtures("each_rauc")


def make(workshop: Workshop, **changed: Any) -> BundleInfo:
    device = load_device(changed.get("keyring", workshop.pki.keyring), rsa_bits=changed.get("min_rsa_bits", 4096))
    release = workshop.release(output=changed.get("output"), device=device, tools=changed.get("tools"))
    return create(changed.get("description", workshop.description()), release, changed.get("signer", workshop.signer()))


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def refused(workshop: Workshop, words: str, error: type[UserError] = UserError, **changed: Any) -> None:
    """Expect one sentence and no trace of the attempt."""
    before = names(workshop.directory)
    with pytest.raises(error, match=words):
        make(workshop, **changed)
    assert names(workshop.directory) == before


def test_a_good_bundle_says_what_its_description_does(workshop: Workshop) -> None:
    found = make(workshop)
    assert (found.compatible, found.version, found.build, found.description) == ("everest-secure-test", "1.2.3", "build 7", "A test")
    assert [(image.slot_class, image.name) for image in found.images] == [("rootfs", "rootfs.img")]
    assert found.verified
    assert names(workshop.directory) == {"pki", "rootfs.squashfs", "update.raucb"}


def test_the_image_that_went_in_is_unchanged_and_not_shared_with_the_bundle(workshop: Workshop) -> None:
    image = workshop.directory / "rootfs.squashfs"
    before = image.read_bytes()
    make(workshop)
    assert image.read_bytes() == before
    assert image.stat().st_nlink == 1


def test_a_true_rsa_4096_pki_with_encrypted_keys_signs(workshop: Workshop, tmp_path: Path) -> None:
    release = support.small("release", key=KeyType.RSA_4096)
    wanted = tuple(spec for spec in release.certificates if not spec.name.startswith("secure-boot"))
    passphrase = "correct horse battery"
    pki = store.create(
        tmp_path / "release", profile=replace(release, certificates=wanted), tools=HostTools(), now=support.now(), passphrase=passphrase
    )
    signer = Signer(pki.key("signer"), pki.certificate("signer"), (pki.chain("signer"),), passphrase)
    assert make(workshop, signer=signer, keyring=pki.keyring).verified
    assert passphrase not in repr(signer)


def test_an_existing_file_is_not_touched(workshop: Workshop) -> None:
    workshop.output.write_text("mine")
    refused(workshop, "exists already and is never overwritten", BundleError)
    assert workshop.output.read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_not_touched(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = judge.judge

    def slow(bundle: Path, **rest: Any) -> Judgement:
        workshop.output.write_text("theirs")
        return verify(bundle, **rest)

    monkeypatch.setattr(judge, "judge", slow)
    with pytest.raises(BundleError, match="appeared while the bundle was made"):
        make(workshop)
    assert workshop.output.read_text() == "theirs"
    assert names(workshop.directory) == {"pki", "rootfs.squashfs", "update.raucb"}


def test_a_rauc_that_fails_leaves_nothing_behind(workshop: Workshop) -> None:
    description = workshop.description()
    unknown = replace(description, images=(replace(description.images[0], name="rootfs.img", hooks=("no-such-hook",)),))
    hook = workshop.directory / "hook"
    hook.write_text("#!/bin/sh\n")
    refused(workshop, "'rauc' failed with exit code 1", ToolError, description=replace(unknown, hooks=Hooks(hook)))


def test_a_missing_rauc_leaves_nothing_behind(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(workshop.directory / "empty"))
    refused(workshop, "'rauc' is not installed", ToolError)


def test_a_bundle_that_does_not_verify_never_gets_its_name(workshop: Workshop) -> None:
    refused(workshop, "the payload is not the one that was signed", BundleError, tools=FailingDisk("bundle"))


def test_a_bundle_that_was_made_and_is_refused_is_called_by_the_name_that_it_would_have_got(workshop: Workshop) -> None:
    refused(workshop, f"^{workshop.output} is refused with the keyring", BundleError, tools=FailingDisk("bundle"))


def test_the_key_of_another_certificate_is_refused(workshop: Workshop) -> None:
    wrong = replace(workshop.signer(), key=workshop.pki.key("root"))
    refused(workshop, "does not belong to the certificate", BundleError, signer=wrong)


def test_an_expired_signer_is_refused(workshop: Workshop) -> None:
    support.add_signer(workshop.pki, "old", at=support.now() - timedelta(days=60))
    refused(workshop, "expired on", BundleError, signer=workshop.signer("old"))


def test_a_certificate_for_mail_is_refused(workshop: Workshop) -> None:
    support.add_odd_signer(workshop.pki, "mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    refused(workshop, "not for code signing", BundleError, signer=workshop.signer("mail"))


def test_a_signer_of_another_authority_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    other = support.make(tmp_path / "other")
    refused(workshop, "neither in the keyring nor among", BundleError, keyring=other.keyring)


def test_a_missing_intermediate_is_refused(workshop: Workshop) -> None:
    refused(workshop, "Update Intermediate CA", BundleError, signer=replace(workshop.signer(), intermediates=()))


def test_a_signer_with_a_short_key_is_refused(workshop: Workshop) -> None:
    support.add_signer(workshop.pki, "short", key=KeyType.RSA_2048)
    refused(workshop, "has 2048 bits", BundleError, signer=workshop.signer("short"))
    assert make(workshop, signer=workshop.signer("short"), min_rsa_bits=2048).verified


def test_an_encrypted_key_without_passphrase_is_refused(workshop: Workshop) -> None:
    key = workshop.directory / "pki" / "locked.key.pem"
    plain = keys.load(workshop.pki.key("signer"))
    key.write_bytes(keys.to_encrypted_pem(plain, passphrase="correct horse battery", tools=HostTools()))
    refused(workshop, "is encrypted", PkiError, signer=replace(workshop.signer(), key=key))


def test_a_version_that_no_device_can_compare_is_refused(workshop: Workshop) -> None:
    refused(workshop, "no semantic version", BundleError, description=workshop.description(version="2026-11"))


def test_too_little_disk_is_refused_before_anything_is_written(workshop: Workshop) -> None:
    image = workshop.directory / "rootfs.squashfs"
    with image.open("r+b") as file:
        file.truncate(shutil.disk_usage(workshop.directory).free)
    refused(workshop, "MB are free; free some space")


def test_an_image_on_another_file_system_needs_room_twice(tmp_path: Path) -> None:
    here = tmp_path / "x"
    here.write_bytes(bytes(1000))
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on a file system of its own")
    assert space_needed([here], beside=elsewhere) - space_needed([here], beside=tmp_path) == 1000


def test_a_missing_directory_is_named(workshop: Workshop) -> None:
    refused(workshop, r"/no does not exist; create it first", BundleError, output=workshop.directory / "no" / "x.raucb")


def test_a_hook_travels_executable_and_is_named_in_the_manifest(workshop: Workshop) -> None:
    hook = workshop.directory / "check.sh"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o600)
    found = make(workshop, description=replace(workshop.description(), hooks=Hooks(hook, install_check=True)))
    assert found.hooks == ("install-check",)
    assert hook.stat().st_mode & 0o777 == 0o600
    extracted = workshop.directory / "extracted"
    HostTools().run(["unsquashfs", "-no-progress", "-dest", extracted, workshop.output, "check.sh"])
    assert (extracted / "check.sh").stat().st_mode & 0o777 == 0o755


def test_a_bundle_is_made_through_linked_directories(workshop: Workshop) -> None:
    link = workshop.directory.parent / f"{workshop.directory.name}-link"
    link.symlink_to(workshop.directory)
    linked = Workshop(link, store.Store(link / "pki"))
    assert make(linked).verified
    assert workshop.output.is_file()
