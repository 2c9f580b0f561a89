"""Every part of a bundle and of its chain, wrong in every way: refused with the reason, by both verifiers alike."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.bundle.device import load_device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.judge import Judgement, judge
from everest_secure.bundle.verdict import Why, Word
from everest_secure.errors import ArtefactError
from everest_secure.parse.chain import FaultKind
from everest_secure.pki.errors import PkiError
from everest_secure.run import Tools
from support import pki as support
from support.authority import Pair, issue, revocation_list
from support.forgery import Authorities, Parts, authorities, good_bundle, take_apart
from support.raucs import RAUCS, tools_of

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("rauc", "mksquashfs", "unsquashfs"))), reason="needs rauc and squashfs-tools")


@dataclass(frozen=True)
class Case:
    """What a forger has at hand."""

    pki: Authorities
    other: Authorities
    parts: Parts
    another: Parts
    """Of another bundle of the same signer."""
    tools: Tools
    """With the rauc that judges."""

    def signed(self, *signers: Pair, above: Sequence[Pair] | None = None, digest: str = "sha256") -> bytes:
        """The same bundle, signed by others."""
        return self.manifest(self.parts.manifest, *signers, above=above, digest=digest)

    def manifest(self, manifest: bytes, *signers: Pair, above: Sequence[Pair] | None = None, digest: str = "sha256") -> bytes:
        cms = self.pki.sign(manifest, *(signers or (self.pki.signer,)), above=above, digest=digest)
        return self.parts.with_cms(cms).join()

    def added(self, text: bytes) -> bytes:
        """The manifest says more and is signed."""
        return self.manifest(self.parts.manifest + b"\n" + text)

    def changed(self, old: bytes, new: bytes) -> bytes:
        """The manifest says something else and is signed."""
        assert self.parts.manifest.count(old) == 1
        return self.manifest(self.parts.manifest.replace(old, new))


@pytest.fixture(scope="session", params=RAUCS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    tools = tools_of(request.param)
    pki, other = authorities(tmp_path_factory.mktemp("pki")), authorities(tmp_path_factory.mktemp("other"))
    pki.keyring("own", pki.root.pem)
    first, second = good_bundle(pki, "first"), good_bundle(pki, "second", seed=20 * 1024)
    return Case(pki, other, take_apart(first), take_apart(second), tools)


def judged(case: Case, content: bytes, directory: Path, *, keyring: Path | None = None, **wishes: Any) -> Judgement:
    bundle = directory / "update.raucb"
    bundle.write_bytes(content)
    device = load_device(keyring or case.pki.directory / "own.keyring.pem", **wishes)
    return judge(bundle, device=device, now=support.now(), tools=case.tools, thorough=True)


def require_refused(found: Judgement, why: Word) -> None:
    assert found.difference == ""
    assert {reason.why for reason in found.independent.reasons} == {why}
    assert found.rauc is not None
    assert found.rauc.refusal


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
}

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


CHAINS: dict[str, tuple[Callable[[Case], bytes], Word]] = {
    "another authority": (lambda case: case.signed(case.other.signer, above=[case.other.intermediate]), FaultKind.UNTRUSTED),
    "an authority of the same name": (
        lambda case: case.signed(issue("Signer A", by=issue("Root A", authority=True)), above=[]),
        FaultKind.UNTRUSTED,
    ),
    "a self-signed signer": (lambda case: case.signed(issue("Signer A"), above=[]), FaultKind.UNTRUSTED),
    "no intermediate": (lambda case: case.signed(case.pki.signer, above=[]), FaultKind.UNTRUSTED),
    "an expired signer": (lambda case: case.signed(issue("old", by=case.pki.intermediate, age=60, days=30)), FaultKind.EXPIRED),
    "a signer of the future": (lambda case: case.signed(issue("next", by=case.pki.intermediate, age=-30)), FaultKind.NOT_YET_VALID),
    "an expired authority": (
        lambda case: case.signed(*below(case, age=60, days=30)[:1], above=below_authority(case, age=60, days=30)),
        FaultKind.EXPIRED,
    ),
    "a signer for mail": (lambda case: case.signed(issue("mail", by=case.pki.intermediate, code_signing=False)), FaultKind.PURPOSE),
    "a signer for TLS clients": (lambda case: case.signed(issue("tls", by=case.pki.intermediate, for_clients=True)), FaultKind.PURPOSE),
    "a signer that may not sign": (lambda case: case.signed(issue("mute", by=case.pki.intermediate, may_sign=False)), FaultKind.PURPOSE),
    "a signer below a signer": (
        lambda case: case.signed(issue("below", by=case.pki.signer), above=[case.pki.signer, case.pki.intermediate]),
        FaultKind.AUTHORITY,
    ),
    "two signers": (lambda case: case.signed(case.pki.signer, issue("second", by=case.pki.intermediate)), Why.SIGNATURE),
}


def below(case: Case, *, age: int, days: int) -> tuple[Pair, Pair]:
    authority = issue("Short-lived", by=case.pki.root, authority=True, age=age, days=days, key=case.other.intermediate.key)
    return issue("under it", by=authority), authority


def below_authority(case: Case, *, age: int, days: int) -> list[Pair]:
    return [below(case, age=age, days=days)[1]]


@pytest.mark.parametrize("name", CHAINS)
def test_a_bundle_of_a_signer_that_devices_do_not_trust_is_refused_by_both(case: Case, tmp_path: Path, name: str) -> None:
    make, why = CHAINS[name]
    require_refused(judged(case, make(case), tmp_path), why)


def lists(case: Case, name: str, *pems: str) -> Path:
    return case.pki.keyring(name, case.pki.root.pem, *pems)


def test_revocation_lists_in_order_are_no_reason_to_refuse(case: Case, tmp_path: Path) -> None:
    keyring = lists(case, "lists", revocation_list(case.pki.root), revocation_list(case.pki.intermediate))
    assert judged(case, case.parts.join(), tmp_path, keyring=keyring).accepted


def test_a_revoked_signer_is_refused_by_both(case: Case, tmp_path: Path) -> None:
    keyring = lists(case, "revoked", revocation_list(case.pki.root), revocation_list(case.pki.intermediate, case.pki.signer))
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), Why.REVOKED)


def test_a_revoked_authority_is_refused_by_both(case: Case, tmp_path: Path) -> None:
    keyring = lists(case, "revoked-ca", revocation_list(case.pki.root, case.pki.intermediate), revocation_list(case.pki.intermediate))
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), Why.REVOKED)


def test_a_list_that_is_missing_is_refused_by_both(case: Case, tmp_path: Path) -> None:
    keyring = lists(case, "one-list", revocation_list(case.pki.root))
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), FaultKind.REVOCATION_LIST)


def test_a_list_that_has_ended_is_refused_by_both(case: Case, tmp_path: Path) -> None:
    keyring = lists(case, "old-list", revocation_list(case.pki.root), revocation_list(case.pki.intermediate, age=60, days=30))
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), FaultKind.REVOCATION_LIST)


def part(**limits: Any) -> x509.IssuingDistributionPoint:
    """What a list says that is for some certificates alone."""
    whole = dict.fromkeys(("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False)
    return x509.IssuingDistributionPoint(**{"full_name": None, "relative_name": None, "only_some_reasons": None, **whole, **limits})


@pytest.mark.parametrize(
    "extension",
    [
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
        x509.DeltaCRLIndicator(1),
        part(only_contains_ca_certs=True),
        part(only_contains_attribute_certs=True),
        part(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})),
        part(full_name=[x509.UniformResourceIdentifier("http://example.com")]),
    ],
)
def test_a_list_that_is_not_of_all_certificates_or_not_understood_is_none_for_both(
    case: Case, tmp_path: Path, extension: x509.ExtensionType
) -> None:
    keyring = lists(case, "part", revocation_list(case.pki.root), revocation_list(case.pki.intermediate, more=(extension,)))
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), FaultKind.REVOCATION_LIST)


def test_a_list_of_an_authority_that_may_not_sign_lists_is_none_for_both(case: Case, tmp_path: Path) -> None:
    authority = issue("Mute", by=case.pki.root, authority=True, signs_lists=False)
    keyring = lists(case, "mute", revocation_list(case.pki.root), revocation_list(authority))
    content = case.signed(issue("below", by=authority), above=[authority])
    require_refused(judged(case, content, tmp_path, keyring=keyring), FaultKind.REVOCATION_LIST)


def test_a_list_of_somebody_else_with_the_same_name_is_none(case: Case, tmp_path: Path) -> None:
    forged = replace(case.pki.intermediate, key=case.other.intermediate.key)
    keyring = lists(case, "forged-list", revocation_list(case.pki.root), revocation_list(forged))
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), FaultKind.REVOCATION_LIST)


def test_an_intermediate_in_the_keyring_without_its_root_is_no_anchor_for_either(case: Case, tmp_path: Path) -> None:
    keyring = case.pki.keyring("intermediate", case.pki.intermediate.pem)
    require_refused(judged(case, case.parts.join(), tmp_path, keyring=keyring), FaultKind.UNTRUSTED)
    both = case.pki.keyring("both", case.pki.intermediate.pem, case.pki.root.pem)
    assert judged(case, case.signed(case.pki.signer, above=[]), tmp_path, keyring=both).accepted


def test_a_renewed_authority_counts_and_not_the_expired_one_beside_it(case: Case, tmp_path: Path) -> None:
    old = issue("Intermediate A", by=case.pki.root, authority=True, age=60, days=30, key=case.pki.intermediate.key)
    for above in ([old, case.pki.intermediate], [case.pki.intermediate, old]):
        assert judged(case, case.signed(case.pki.signer, above=above), tmp_path).accepted


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


@pytest.mark.parametrize("digest", ["sha1", "sha224"])
def test_a_weak_digest_is_refused_though_rauc_has_no_rule_for_it(case: Case, tmp_path: Path, digest: str) -> None:
    found = judged(case, case.signed(case.pki.signer, digest=digest), tmp_path)
    assert [reason.why for reason in found.independent.reasons] == [FaultKind.WEAK_DIGEST]
    assert found.difference == ""
    assert not found.accepted


def test_a_short_key_is_refused_though_rauc_has_no_rule_for_it(case: Case, tmp_path: Path) -> None:
    short = issue("short", by=case.pki.intermediate, key=rsa.generate_private_key(65537, 2048))
    found = judged(case, case.signed(short), tmp_path)
    assert [reason.why for reason in found.independent.reasons] == [FaultKind.WEAK_KEY]
    assert found.difference == ""
    assert judged(case, case.signed(short), tmp_path, rsa_bits=2048).accepted


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
