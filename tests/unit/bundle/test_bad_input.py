"""Every part of a bundle, wrong in every way: refused with the reason, by both verifiers alike (test_bad_chain.py has who signed it)."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.bundle.device import load_device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.judge import judge
from everest_secure.bundle.verdict import Why, Word
from everest_secure.errors import ArtefactError
from everest_secure.pki.errors import PkiError
from support import pki as support
from support.authority import issue
from support.forgery import Authorities, Case, good_bundle, judged, require_refused
from support.raucs import version

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("rauc", "mksquashfs", "unsquashfs"))), reason="needs rauc and squashfs-tools")


def flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def length(case: Case, size: int) -> bytes:
    return replace(case.parts, length=size.to_bytes(8, "big")).join()


REGIONS: dict[str, tuple[Callable[[Case], bytes], Word]] = {
    "first byte of the payload": (lambda case: flipped(case.parts.join(), 0), Why.PAYLOAD),
    "an image": (lambda case: flipped(case.parts.join(), 5000), Why.PAYLOAD),
    "last byte of the payload": (lambda case: flipped(case.parts.join(), len(case.parts.data) - 1), Why.PAYLOAD),
    "root of the hash tree": (lambda case: flipped(case.parts.join(), len(case.parts.data)), Why.PAYLOAD),
    "last digest of the hash tree": (
        lambda case: flipped(case.parts.join(), len(case.parts.data) + len(case.parts.data) // 4096 * 32 - 1),
        Why.PAYLOAD,
    ),
    "padding of the hash tree": (lambda case: flipped(case.parts.join(), len(case.parts.data + case.parts.tree) - 1), Why.PAYLOAD),
    "manifest in the signature": (lambda case: case.parts.join().replace(b"version=2.0.0", b"version=3.0.0"), Why.SIGNATURE),
    "last byte of the signature": (lambda case: flipped(case.parts.join(), -9), Why.SIGNATURE),
    "first byte of the signature": (lambda case: flipped(case.parts.join(), len(case.parts.data + case.parts.tree)), Why.LAYOUT),
    "length of zero": (lambda case: length(case, 0), Why.LAYOUT),
    "length that is too short": (lambda case: length(case, len(case.parts.cms) - 1), Why.LAYOUT),
    "length that is too long": (lambda case: length(case, len(case.parts.cms) + 1), Why.LAYOUT),
    "length beyond the file": (lambda case: length(case, 1 << 40), Why.LAYOUT),
    "length of all bits": (lambda case: length(case, (1 << 64) - 1), Why.LAYOUT),
    "length in the other order": (lambda case: replace(case.parts, length=case.parts.length[::-1]).join(), Why.LAYOUT),
    "without its length": (lambda case: case.parts.join()[:-8], Why.LAYOUT),
    "without its signature": (lambda case: case.parts.data + case.parts.tree, Why.LAYOUT),
    "without its last byte": (lambda case: case.parts.join()[:-1], Why.LAYOUT),
    "without its first block": (lambda case: case.parts.join()[4096:], Why.PAYLOAD),
    "without its hash tree": (lambda case: replace(case.parts, tree=b"").join(), Why.PAYLOAD),
    "half of it": (lambda case: case.parts.join()[: len(case.parts.join()) // 2], Why.LAYOUT),
    "zeros behind it": (lambda case: case.parts.join() + bytes(4096), Why.LAYOUT),
    "a block more": (lambda case: bytes(4096) + case.parts.join(), Why.PAYLOAD),
    "zeros alone": (lambda _: bytes(100_000), Why.LAYOUT),
    "a few bytes": (lambda _: b"hello", Why.LAYOUT),
    "payload of another bundle": (lambda case: replace(case.parts, data=case.another.data, tree=case.another.tree).join(), Why.PAYLOAD),
    "hash tree of another bundle": (lambda case: replace(case.parts, tree=case.another.tree).join(), Why.PAYLOAD),
    "signature of another bundle": (lambda case: case.parts.with_cms(case.another.cms).join(), Why.PAYLOAD),
    "oversized signature": (
        lambda case: case.signed(
            case.pki.signer, above=[case.pki.intermediate, *(issue(f"{n}", organization="x" * 60) for n in range(150))]
        ),
        Why.LAYOUT,
    ),
    "plain format": (lambda case: good_plain(case.pki), Why.FORMAT),
    "format plain in a signed manifest": (lambda case: case.changed(b"format=verity", b"format=plain"), Why.FORMAT),
    "another root hash": (lambda case: case.manifest(other_hash(case.parts.manifest)), Why.PAYLOAD),
    "no root hash": (lambda case: case.changed(b"verity-hash=", b"verity-hash=zz"), Why.MANIFEST),
    "no compatible": (lambda case: case.changed(b"compatible=charger\n", b""), Why.MANIFEST),
    "no digest of an image": (lambda case: case.changed(b"sha256=", b"sha256=\n#"), Why.MANIFEST),
    "no size of the hash tree": (lambda case: case.changed(b"verity-size=", b"verity-size=0\n#"), Why.MANIFEST),
    "a manifest that is none": (lambda case: case.manifest(b"hello\n"), Why.MANIFEST),
    "a section that nobody knows": (lambda case: case.added(b"[image]\nfilename=rootfs.img\n"), Why.MANIFEST),
    "a key that nobody knows": (lambda case: case.changed(b"version=", b"forced=1\nversion="), Why.MANIFEST),
    "a key of an image that nobody knows": (lambda case: case.changed(b"filename=", b"forced=1\nfilename="), Why.MANIFEST),
    "a key of the format crypt": (lambda case: case.changed(b"format=verity", b"format=verity\ncrypt-key=00"), Why.MANIFEST),
    "a key twice": (lambda case: case.changed(b"version=2.0.0", b"version=2.0.0\nversion=3.0.0"), Why.MANIFEST),
    "a section twice with the same key": (lambda case: case.added(b"[update]\ncompatible=other\n"), Why.MANIFEST),
    "a hook that nobody knows": (lambda case: case.added(b"[hooks]\nfilename=rootfs.img\nhooks=install-check;after\n"), Why.MANIFEST),
    "a hook of an image that nobody knows": (lambda case: case.changed(b"filename=", b"hooks=after\nfilename="), Why.MANIFEST),
    "hooks without a file": (lambda case: case.added(b"[hooks]\nhooks=install-check\n"), Why.MANIFEST),
    "hooks of an image without a file": (lambda case: case.changed(b"filename=", b"hooks=install\nfilename="), Why.MANIFEST),
    "an image of a type that nobody knows": (lambda case: case.changed(b"filename=", b"type=zip\nfilename="), Why.MANIFEST),
    "an image without a type": (lambda case: case.changed(b"filename=", b"type=\nfilename="), Why.MANIFEST),
    "a file for a type that has none": (lambda case: case.changed(b"filename=", b"type=emptyfs\nfilename="), Why.MANIFEST),
    "an artifact with a type": (lambda case: case.changed(b"image.rootfs]", b"image.apps/one]\ntype=raw"), Why.MANIFEST),
    "a conversion that the bundle has not": (lambda case: case.changed(b"filename=", b"convert=tar-extract\nfilename="), Why.MANIFEST),
    "a conversion too much": (lambda case: case.changed(b"filename=", b"convert=a\nconverted=b;c\nfilename="), Why.MANIFEST),
    "a RAUC that cannot be asked for": (lambda case: case.changed(b"version=", b"min-rauc-version=1.13\nversion="), Why.MANIFEST),
    "a RAUC that there is not": (lambda case: case.changed(b"version=", b"min-rauc-version=99.1\nversion="), Why.MANIFEST),
    "a RAUC without a version": (lambda case: case.changed(b"version=", b"min-rauc-version=new\nversion="), Why.MANIFEST),
}

NEWER: dict[str, Callable[[Case], bytes]] = {
    "a file whose name says nothing": lambda case: case.changed(b"rootfs.img", b"rootfs.bin"),
    "a name that is empty, and a hook": lambda case: case.added(b"[image.mcu]\nfilename=\nhooks=install\n[hooks]\nfilename=rootfs.img\n"),
    "arguments without their handler": lambda case: case.added(b"[handler]\nargs=now\n"),
    "a section for others with two dots": lambda case: case.added(b"[meta.a.b]\nc=d\n"),
}
"""Manifests that a charger refuses, and an older RAUC of a build host takes."""

TYPED: dict[str, Callable[[Case], bytes]] = {
    "a file's type": lambda case: case.changed(b"filename=", b"type=raw\nfilename="),
    "a file system that is made": lambda case: case.added(b"[image.data]\ntype=emptyfs\n"),
    "a type of its hook's own": lambda case: case.added(b"[image.mcu]\ntype=stm32\nhooks=install\n[hooks]\nfilename=rootfs.img\n"),
    "a RAUC of which that is known": lambda case: case.changed(b"version=", b"min-rauc-version=1.15\nversion="),
}
"""Manifests that a charger takes, and no older RAUC."""

TAKEN = {
    "indented, with comments": b"# one\n  # two\n  [update]\n\tcompatible = charger\n[update]\nversion=2.0.0\n\n",
    "with ends of lines of DOS": b"[update]\r\ncompatible=charger\r\nversion=2.0.0\r\n\r\n",
    "with escapes": b"[update]\ncompatible=\\scharger\nversion=2.0.0\ndescription=a \\\\ b\n\n",
    "with what is for others": b"[update]\ncompatible=charger\nversion=2.0.0\n[meta.a-b_1]\nAny-thing_2=x\n",
    "with a hook": b"[update]\ncompatible=charger\nversion=2.0.0\n[hooks]\nfilename=rootfs.img\nhooks=install-check;\n",
}
"""Beginnings of manifests that RAUC reads as they are meant."""


@pytest.mark.parametrize("name", TAKEN)
def test_a_manifest_is_read_as_rauc_reads_it(case: Case, tmp_path: Path, name: str) -> None:
    """The compatible is compared as both have read it, escapes undone."""
    rest = case.parts.manifest[case.parts.manifest.index(b"[bundle]") :]
    content = case.manifest(TAKEN[name] + rest)
    wanted = " charger" if name == "with escapes" else "charger"
    found = judged(case, content, tmp_path, compatible=wanted, least_version="2.0.0")
    assert (found.difference, found.accepted) == ("", True), found
    found = judged(case, content, tmp_path, compatible="other", least_version="2.0.1")
    assert found.rauc is not None
    assert found.rauc.reasons == found.independent.reasons
    assert [reason.why for reason in found.rauc.reasons] == [Why.COMPATIBLE, Why.DOWNGRADE]


def test_a_zero_byte_in_a_manifest_is_refused_as_everybody_reads_another_text(case: Case, tmp_path: Path) -> None:
    content = case.changed(b"version=2.0.0", b"version=2.0.0\0-rc1")
    (tmp_path / "update.raucb").write_bytes(content)
    device = load_device(case.pki.directory / "own.keyring.pem")
    found = judge(tmp_path / "update.raucb", device=device, now=support.now(), tools=case.tools)
    assert ([reason.why for reason in found.independent.reasons], found.difference) == ([Why.MANIFEST], "")


def other_hash(manifest: bytes) -> bytes:
    at = manifest.index(b"verity-hash=") + len(b"verity-hash=")
    return manifest[:at] + b"00" * 32 + manifest[at + 64 :]


def good_plain(pki: Authorities) -> bytes:
    bundle = pki.directory / "plain.raucb"
    return (bundle if bundle.exists() else good_bundle(pki, "plain", form="plain")).read_bytes()


@pytest.mark.parametrize("name", REGIONS)
def test_a_bundle_with_one_part_altered_is_refused_by_both(case: Case, tmp_path: Path, name: str) -> None:
    make, why = REGIONS[name]
    require_refused(judged(case, make(case), tmp_path), why)


@pytest.mark.parametrize("name", NEWER)
def test_what_a_charger_refuses_is_refused_whichever_rauc_is_here(case: Case, tmp_path: Path, name: str) -> None:
    found = judged(case, NEWER[name](case), tmp_path)
    assert ({reason.why for reason in found.independent.reasons}, found.difference) == ({Why.NEWER}, "")
    assert found.rauc is not None
    assert found.rauc.refusal or version(case.tools) < (1, 15)


@pytest.mark.parametrize("name", TYPED)
def test_what_a_charger_takes_is_taken_by_both_and_no_rauc_before_takes_it(case: Case, tmp_path: Path, name: str) -> None:
    found = judged(case, TYPED[name](case), tmp_path)
    assert found.independent.reasons == ()
    assert found.accepted is (version(case.tools) >= (1, 15)), found


def test_the_good_bundle_is_accepted_by_both(case: Case, tmp_path: Path) -> None:
    found = judged(case, case.parts.join(), tmp_path)
    assert found.accepted
    assert found.rauc is not None
    assert found.rauc.payload


TYPE = 14
"""Last byte of the object identifier that says SignedData, a bit away from EnvelopedData."""


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_a_flipped_bit_anywhere_in_the_signature_is_refused(case: Case, tmp_path: Path, kind: str) -> None:
    """Where rauc accepts it, as in a version that nobody signed, the independent verifier does not and says so without calling it a difference."""
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else None
    whole = case.signed(issue("swept", by=case.pki.intermediate, key=key))
    bundle, device = tmp_path / "update.raucb", load_device(case.pki.directory / "own.keyring.pem", rsa_bits=2048)
    start = len(case.parts.data + case.parts.tree)
    for at in (start + TYPE, *range(start, len(whole) - 8, 11)):
        bundle.write_bytes(flipped(whole, at))
        if at == start + TYPE:
            with pytest.raises(BundleError, match="is encrypted"):
                judge(bundle, device=device, now=support.now(), tools=case.tools)
            continue
        found = judge(bundle, device=device, now=support.now(), tools=case.tools)
        assert (found.accepted, found.difference) == (False, ""), at


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"compatible": "other charger"}, Why.COMPATIBLE),
        ({"least_version": "2.0.1"}, Why.DOWNGRADE),
        ({"components": ["mcu"]}, Why.COMPONENT),
    ],
)
def test_the_policy_is_held_against_what_each_verifier_read(case: Case, tmp_path: Path, wishes: dict[str, Any], why: Word) -> None:
    found = judged(case, case.parts.join(), tmp_path, **wishes)
    assert found.rauc is not None
    assert [[reason.why for reason in each.reasons] for each in (found.independent, found.rauc)] == [[why], [why]]
    assert found.difference == ""
    assert not found.accepted


def test_a_version_that_cannot_be_compared_is_a_downgrade(case: Case, tmp_path: Path) -> None:
    found = judged(case, case.changed(b"version=2.0.0", b"version=yesterday"), tmp_path, least_version="1.0.0")
    assert [reason.why for reason in found.independent.reasons] == [Why.DOWNGRADE]


@pytest.mark.parametrize(
    "change", [(b"sha256=", b"sha256=" + b"0" * 64 + b"\n#"), (b"sha256=", b"sha256=zz"), (b"size=16384", b"size=16385")]
)
def test_an_image_that_is_not_the_one_of_the_manifest_is_refused(case: Case, tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    """A builder's mistake that rauc leaves to the device."""
    found = judged(case, case.changed(*change), tmp_path)
    assert [reason.why for reason in found.independent.reasons] == [Why.IMAGE]
    assert found.difference == ""


def test_an_image_name_that_leads_out_of_the_bundle_is_refused(case: Case, tmp_path: Path) -> None:
    found = judged(case, case.changed(b"filename=rootfs.img", b"filename=../rootfs.img"), tmp_path)
    assert [reason.why for reason in found.independent.reasons] == [Why.IMAGE]
    assert found.difference == ""


def test_a_keyring_without_certificates_is_an_error(case: Case, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(PkiError):
            judged(case, case.parts.join(), tmp_path, keyring=tmp_path / name)


def test_an_empty_file_is_an_error(case: Case, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is empty"):
        judged(case, b"", tmp_path)


def test_a_fifo_is_no_bundle(case: Case, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    device = load_device(case.pki.directory / "own.keyring.pem")
    with pytest.raises(ArtefactError, match="is not a file"):
        judge(tmp_path / "pipe", device=device, now=support.now(), tools=case.tools)
