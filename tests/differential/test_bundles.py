"""Bundles, judged here with the keyring of a device and by `rauc info` with the same keyring."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure import checks
from everest_secure.checks.core import Bundle, Outcome, registered, run_check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.policy.parameters import ExpiryDays
from support.authority import issue, revocation_list
from support.bundle import incompressible
from support.images import tool
from support.reference import require
from support.rootfs import good_root, production

pytestmark = pytest.mark.usefixtures("each_rauc")

ROOT = issue("Release root", authority=True)
SUB = issue("Signing", by=ROOT, authority=True, path_length=0)
OTHER = issue("Release root", authority=True)
MAIL = issue("Mail", by=ROOT, authority=True, path_length=0, purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,))
OLD = issue("Old", by=ROOT, authority=True, days=1, age=9)
SIGNERS = {
    "good": issue("Signer", by=ROOT),
    "for clients": issue("Signer", by=ROOT, for_clients=True),
    "other authority": issue("Signer", by=OTHER),
    "without its intermediate": issue("Signer", by=SUB),
    "authority itself": SUB,
    "expired": issue("Signer", by=ROOT, days=1, age=9),
    "not valid yet": issue("Signer", by=ROOT, age=-9),
    "for code and mail": issue("Signer", by=ROOT, purposes=(ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION)),
    "for mail alone": issue("Signer", by=ROOT, purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)),
    "for anything": issue("Signer", by=ROOT, purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
    "without a purpose": issue("Signer", by=ROOT, code_signing=False),
    "may not sign": issue("Signer", by=ROOT, may_sign=False),
    "with its intermediate": issue("Signer", by=SUB),
    "by an intermediate for mail": issue("Signer", by=MAIL),
    "by an expired intermediate": issue("Signer", by=OLD),
    "itself": issue("Signer"),
}
INTERMEDIATES = {"with its intermediate": SUB, "by an intermediate for mail": MAIL, "by an expired intermediate": OLD}
GOOD = ("good", "for code and mail", "with its intermediate")
ALTERED = {"signature": -300, "end": -1}
CONF = "[system]\ncompatible=x\nbootloader=noop\nbundle-formats=verity\n[keyring]\npath={}\ncheck-purpose=codesign\n"
LISTED = CONF + "check-crl=true\n"
LATER = revocation_list(ROOT, age=-9)
KEYRINGS = {
    "the root": ROOT.pem,
    "another root of the same name": OTHER.pem,
    "the intermediate alone": SUB.pem,
    "intermediate and root": SUB.pem + ROOT.pem,
    "the signer alone": SIGNERS["good"].pem,
    "an expired root": issue("Release root", authority=True, days=1, age=9, key=ROOT.key).pem,
    "a root without code signing": issue("Release root", authority=True, key=ROOT.key, purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)).pem,
}  # fmt: skip
LISTS = {
    "no list": "",
    "a list of the root that names nobody": revocation_list(ROOT),
    "lists of both authorities": revocation_list(ROOT) + revocation_list(SUB),
    "the signer is revoked": revocation_list(ROOT) + revocation_list(SUB, SIGNERS["with its intermediate"]),
    "another signer is revoked": revocation_list(ROOT) + revocation_list(SUB, SIGNERS["good"]),
    "the intermediate is revoked": revocation_list(ROOT, SUB) + revocation_list(SUB),
    "a list has ended": revocation_list(ROOT) + revocation_list(SUB, days=1, age=9),
    "a list begins later": LATER + revocation_list(SUB),
    "a list by somebody else of that name": revocation_list(OTHER) + revocation_list(SUB),
}
CHECKS = ("signature_chain_and_payload_hold_with_the_keyring_of_the_image", "signers_last_and_none_is_revoked")


def make(place: Path, signer: str) -> Path:
    """Make a bundle with rauc, which does not ask the keyring of whom it signs for."""
    (place / "content").mkdir()
    (place / "content/rootfs.img").write_bytes(incompressible(64 * 1024))
    (place / "content/manifest.raucm").write_text(
        "[update]\ncompatible=x\nversion=1.0.0\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    (place / "cert.pem").write_text(SIGNERS[signer].pem)
    (place / "key.pem").write_text(SIGNERS[signer].key_pem)
    command: list[str | Path] = ["rauc", "bundle", f"--cert={place / 'cert.pem'}", f"--key={place / 'key.pem'}"]
    if signer in INTERMEDIATES:
        (place / "intermediate.pem").write_text(INTERMEDIATES[signer].pem)
        command.append(f"--intermediate={place / 'intermediate.pem'}")
    tool(*command, place / "content", place / "x.raucb")
    return place / "x.raucb"


def ours(bundle: Path, *, keyring: str = ROOT.pem, conf: str = CONF) -> bool:
    """Whether no check of the signature has a finding; how long certificates and lists will last is not asked, as rauc does not."""
    checks.load()
    path = "/etc/rauc/keyring.pem"
    root = good_root().file(path, keyring).file("/etc/rauc/system.conf", conf.format(path)).root
    try:
        subject = Bundle(open_artefact(bundle), (root,))
    except ArtefactError:
        return False
    policy = replace(production(), signature_key_bits=2048, update_expiry_days=ExpiryDays(authority=0, signer=0, revocation_list=0))
    entries = [each for each in registered() if each.function.__name__ in CHECKS]
    assert len(entries) == len(CHECKS)
    return all(run_check(entry, subject, "b", policy).outcome is Outcome.PASS for entry in entries)


def theirs(bundle: Path, place: Path, *, keyring: str = ROOT.pem, conf: str = CONF) -> bool:
    (place / "root.pem").write_text(keyring)
    (place / "system.conf").write_text(conf.format(place / "root.pem"))
    command = ["rauc", f"--conf={place / 'system.conf'}", "info", str(bundle)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("signer", SIGNERS)
def test_rauc_and_we_agree_on_a_signer(signer: str, tmp_path: Path) -> None:
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, signer)
    verdict = theirs(bundle, tmp_path)
    assert verdict is (signer in GOOD)
    assert ours(bundle) is verdict


@pytest.mark.parametrize("keyring", KEYRINGS)
@pytest.mark.parametrize("signer", ["good", "with its intermediate"])
def test_rauc_and_we_agree_on_a_keyring(signer: str, keyring: str, tmp_path: Path) -> None:
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, signer)
    assert ours(bundle, keyring=KEYRINGS[keyring]) is theirs(bundle, tmp_path, keyring=KEYRINGS[keyring])


def test_a_list_that_the_device_is_not_told_to_ask_counts_here(tmp_path: Path) -> None:
    """Stricter than rauc: who ships a list means it."""
    require("rauc", "mksquashfs")
    bundle, keyring = make(tmp_path, "with its intermediate"), ROOT.pem + revocation_list(ROOT, SUB)
    assert (ours(bundle, keyring=keyring), theirs(bundle, tmp_path, keyring=keyring)) == (False, True)


def test_two_roots_of_one_name_are_refused_in_the_keyring_because_rauc_may_take_the_wrong_one(tmp_path: Path) -> None:
    """OpenSSL finds issuers by name where certificates do not say whose key they are signed with, and never takes a second one."""
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, "good")
    assert {theirs(bundle, tmp_path, keyring=keyring) for keyring in (ROOT.pem + OTHER.pem, OTHER.pem + ROOT.pem)} >= {False}
    checks.load()
    root = good_root().file("/etc/rauc/keyring.pem", OTHER.pem + ROOT.pem).root
    (entry,) = [each for each in registered() if each.function.__name__ == "keyring_holds_one_update_authority"]
    assert "holds 2 certificates" in str(run_check(entry, root, "x", production()).findings)


@pytest.mark.parametrize("lists", LISTS)
def test_rauc_and_we_agree_on_revocation_lists(lists: str, tmp_path: Path) -> None:
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, "with its intermediate")
    keyring = ROOT.pem + LISTS[lists]
    verdict = theirs(bundle, tmp_path, keyring=keyring, conf=LISTED)
    assert verdict is (lists in ("lists of both authorities", "another signer is revoked"))
    assert ours(bundle, keyring=keyring, conf=LISTED) is verdict


@pytest.mark.parametrize("part", ["signature", "end", "cut"])
def test_rauc_and_we_agree_on_what_was_altered(part: str, tmp_path: Path) -> None:
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, "good")
    raw = bytearray(bundle.read_bytes())
    if part == "cut":
        raw = raw[:-4096]
    else:
        raw[ALTERED[part]] ^= 1
    bundle.write_bytes(raw)
    assert (ours(bundle), theirs(bundle, tmp_path)) == (False, False)
