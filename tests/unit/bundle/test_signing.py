from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.signing import require_bundle_signing
from everest_secure.parse.chain import Chain, build_chain
from everest_secure.pki import certificates
from everest_secure.pki.keys import KeyType
from everest_secure.pki.store import Store
from everest_secure.run import Argument, HostTools
from support import pki as support


def one(pki: Store, name: str) -> x509.Certificate:
    return certificates.load_one(pki.certificate(name))


def chain_of(pki: Store, name: str) -> Chain:
    return build_chain(one(pki, name), intermediates=[one(pki, "intermediate")], anchors=[one(pki, "root")])


def require(pki: Store, name: str, *, min_rsa_bits: int = 4096, later: timedelta = timedelta(0)) -> None:
    judge(chain_of(pki, name), min_rsa_bits=min_rsa_bits, later=later)


def judge(chain: Chain, *, min_rsa_bits: int = 2048, later: timedelta = timedelta(0)) -> None:
    require_bundle_signing(chain, now=support.now() + later, min_rsa_bits=min_rsa_bits)


def test_a_chain_leads_from_the_signer_to_the_root(shared_pki: Store) -> None:
    assert chain_of(shared_pki, "signer") == Chain(
        tuple(one(shared_pki, name) for name in ("signer", "intermediate", "root")), anchored=True
    )


def test_the_order_of_what_is_offered_does_not_matter(shared_pki: Store) -> None:
    offered = [one(shared_pki, name) for name in ("secure-boot-db", "root", "intermediate")]
    assert build_chain(one(shared_pki, "signer"), intermediates=offered, anchors=[one(shared_pki, "root")]) == chain_of(
        shared_pki, "signer"
    )


def test_a_missing_intermediate_is_named(shared_pki: Store) -> None:
    with pytest.raises(BundleError, match=r"Update Intermediate CA.*neither in the keyring nor among the intermediates"):
        judge(build_chain(one(shared_pki, "signer"), intermediates=[], anchors=[one(shared_pki, "root")]))


def test_another_root_of_the_same_name_is_no_anchor(shared_pki: Store, tmp_path: Path) -> None:
    other = support.make(tmp_path / "other")
    with pytest.raises(BundleError, match="Update Root CA"):
        judge(build_chain(one(shared_pki, "signer"), intermediates=[one(shared_pki, "intermediate")], anchors=[one(other, "root")]))


def test_a_self_signed_certificate_outside_the_keyring_ends_the_search(shared_pki: Store) -> None:
    db = one(shared_pki, "secure-boot-db")
    with pytest.raises(BundleError, match="Secure Boot Signing"):
        judge(build_chain(db, intermediates=[db], anchors=[one(shared_pki, "root")]))


def test_a_bundle_signer_may_sign_bundles(shared_pki: Store) -> None:
    require(shared_pki, "signer")


def test_an_expired_signer_is_refused(pki: Store) -> None:
    support.add_signer(pki, "old", at=support.now() - timedelta(days=60))
    with pytest.raises(BundleError, match=r"CN=Signer old.* expired on"):
        require(pki, "old")


def test_an_expired_authority_is_refused_though_its_signer_is_not(pki: Store) -> None:
    with pytest.raises(BundleError, match="expired on"):
        require(pki, "signer", later=support.LONG_AGO)


def test_a_signer_of_the_future_is_refused(pki: Store) -> None:
    support.add_signer(pki, "next", at=support.now() + timedelta(days=60))
    with pytest.raises(BundleError, match="valid only from"):
        require(pki, "next")


@pytest.mark.parametrize("purposes", [[], [ExtendedKeyUsageOID.EMAIL_PROTECTION], [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]])
def test_a_certificate_that_is_not_for_code_signing_is_refused(pki: Store, purposes: list[x509.ObjectIdentifier]) -> None:
    support.add_odd_signer(pki, "odd", purposes=purposes)
    with pytest.raises(BundleError, match="not for code signing"):
        require(pki, "odd")


def test_a_code_signer_that_also_protects_mail_is_accepted(pki: Store) -> None:
    support.add_odd_signer(pki, "both", purposes=[ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION])
    require(pki, "both")


def test_a_signer_without_digital_signature_is_refused(pki: Store) -> None:
    support.add_odd_signer(pki, "odd", purposes=[ExtendedKeyUsageOID.CODE_SIGNING], digital_signature=False)
    with pytest.raises(BundleError, match="lacks digitalSignature"):
        require(pki, "odd")


def test_an_authority_signs_no_bundles(pki: Store) -> None:
    support.add_odd_signer(pki, "odd", purposes=[ExtendedKeyUsageOID.CODE_SIGNING], authority=True)
    with pytest.raises(BundleError, match="is an authority"):
        require(pki, "odd")


def test_a_short_rsa_key_is_refused_wherever_it_is_in_the_chain(pki: Store) -> None:
    support.add_signer(pki, "short", key=KeyType.RSA_2048)
    require(pki, "short", min_rsa_bits=2048)
    with pytest.raises(BundleError, match="has 2048 bits, at least 4096"):
        require(pki, "short")


def test_an_authority_below_its_issuers_path_length_is_refused(shared_pki: Store) -> None:
    too_long = tuple(one(shared_pki, name) for name in ("signer", "intermediate", "intermediate", "root"))
    with pytest.raises(BundleError, match="allows 0 authorities below it and the chain has 1"):
        judge(Chain(too_long, anchored=True))


def test_a_signer_in_the_place_of_an_authority_is_refused(shared_pki: Store) -> None:
    wrong = tuple(one(shared_pki, name) for name in ("signer", "signer"))
    with pytest.raises(BundleError, match="is no authority"):
        judge(Chain(wrong, anchored=True))


def test_a_certificate_signed_with_sha_1_is_refused(pki: Store, tmp_path: Path) -> None:
    extensions = tmp_path / "extensions"
    extensions.write_text("extendedKeyUsage=critical,codeSigning\nkeyUsage=critical,digitalSignature\n")
    request = HostTools().run(["openssl", "req", "-new", "-key", pki.key("signer"), "-subj", "/CN=Weak"])
    issuer: list[Argument] = [
        "-CA",
        pki.certificate("intermediate"),
        "-CAkey",
        pki.key("intermediate"),
        "-CAserial",
        tmp_path / "serial",
        "-CAcreateserial",
    ]
    argv: list[Argument] = [
        "openssl",
        "x509",
        "-req",
        "-sha1",
        "-days",
        "9",
        *issuer,
        "-extfile",
        extensions,
        "-out",
        pki.certificate("weak"),
    ]
    HostTools().run(argv, stdin=request)
    with pytest.raises(BundleError, match="'CN=Weak' is signed with SHA1; issue it again"):
        require(pki, "weak")
