"""What certificates may be used for, judged here and by `openssl verify -purpose`."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from everest_secure.parse.certificates import is_authority
from everest_secure.parse.chain import build_chain, chain_faults, code_signing_faults
from everest_secure.pki.certificates import load_one, purposes
from support.authority import Pair, issue
from support.pki import make, small
from support.reference import require
from support.rootfs import failing, good_root

ROOT = issue("Root", authority=True)
SUB = issue("Sub", by=ROOT, authority=True)
CLIENTS_ALONE = issue("For clients", by=ROOT, authority=True, purposes=(Use.CLIENT_AUTH,))
CODE_ALONE = issue("For code", by=ROOT, authority=True, purposes=(Use.CODE_SIGNING,))
CSMS_LEAF = "/etc/everest/certs/client/csms/CSMS_LEAF.pem"


def leaf(*uses: x509.ObjectIdentifier, by: Pair = ROOT, may_sign: bool = True) -> Pair:
    return issue("Charger 7", by=by, organization="Operator", purposes=uses, code_signing=False, may_sign=may_sign)


LEAVES = {
    "no purpose": leaf(),
    "clients": leaf(Use.CLIENT_AUTH),
    "servers": leaf(Use.SERVER_AUTH),
    "clients and servers": leaf(Use.CLIENT_AUTH, Use.SERVER_AUTH),
    "code": leaf(Use.CODE_SIGNING),
    "code and mail": leaf(Use.CODE_SIGNING, Use.EMAIL_PROTECTION),
    "anything": leaf(Use.ANY_EXTENDED_KEY_USAGE),
    "clients, and may not sign": leaf(Use.CLIENT_AUTH, may_sign=False),
    "code, and may not sign": leaf(Use.CODE_SIGNING, may_sign=False),
    "code, by an intermediate": leaf(Use.CODE_SIGNING, by=SUB),
    "code, by an authority for clients alone": leaf(Use.CODE_SIGNING, by=CLIENTS_ALONE),
    "code, by an authority for code alone": leaf(Use.CODE_SIGNING, by=CODE_ALONE),
    "an authority": SUB,
}
INTERMEDIATES = [SUB, CLIENTS_ALONE, CODE_ALONE]


def accepted(pair: Pair, purpose: str, place: Path) -> bool:
    """Whether OpenSSL accepts a certificate for a purpose; skips where it does not know that purpose."""
    require("openssl")
    for name, pairs in (("leaf", [pair]), ("untrusted", INTERMEDIATES), ("roots", [ROOT])):
        (place / name).write_text("".join(each.pem for each in pairs))
    command: list[str | Path] = ["openssl", "verify", "-purpose", purpose, "-no-CApath", "-no-CAstore", "-CAfile", place / "roots"]
    done = subprocess.run([*command, "-untrusted", place / "untrusted", place / "leaf"], capture_output=True, text=True, check=False)
    if "Invalid purpose" in done.stderr:
        pytest.skip(f"openssl knows no purpose {purpose}: it is older than 3.2")
    return done.returncode == 0


STRICTER = {"code, by an authority for clients alone"}
"""Signers whom OpenSSL's purpose accepts; RAUC's own, which is ours, wants code signing of every authority that is limited at all."""


@pytest.mark.parametrize("name", LEAVES)
def test_openssl_and_we_agree_on_who_may_sign_code(name: str, tmp_path: Path) -> None:
    chain = build_chain(LEAVES[name].certificate, intermediates=[each.certificate for each in INTERMEDIATES], anchors=[ROOT.certificate])
    faults = (*chain_faults(chain, at=datetime.now(UTC)), *code_signing_faults(chain))
    assert accepted(LEAVES[name], "codesign", tmp_path) is (not faults or name in STRICTER), faults


@pytest.mark.parametrize("name", LEAVES)
def test_openssl_and_we_agree_on_what_a_charger_may_show_its_csms(name: str, tmp_path: Path) -> None:
    found = failing(good_root().file(CSMS_LEAF, LEAVES[name].pem)).get("CERT-04", ())
    assert accepted(LEAVES[name], "sslclient", tmp_path) is not bool(found), found


@pytest.mark.parametrize(("purpose", "use"), [("sslserver", Use.SERVER_AUTH), ("sslclient", Use.CLIENT_AUTH)])
def test_openssl_accepts_certificates_of_our_pki_for_tls_and_for_their_end_alone(
    tmp_path: Path, purpose: str, use: x509.ObjectIdentifier
) -> None:
    require("openssl")
    pki = make(tmp_path / "pki", chosen=small("charger-test"))
    found = {name: load_one(pki.certificate(name)) for name in (spec.name for spec in small("charger-test").certificates)}
    leaves = {name: each for name, each in found.items() if not is_authority(each)}
    (tmp_path / "all.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in found.values()))
    command = ["openssl", "verify", "-purpose", purpose, "-no-CApath", "-no-CAstore", "-CAfile", str(tmp_path / "all.pem")]
    said = {
        name: subprocess.run([*command, str(pki.certificate(name))], capture_output=True, check=False).returncode == 0 for name in leaves
    }
    assert said == {name: use in purposes(each) for name, each in leaves.items()}
    assert {True, False} == set(said.values())
