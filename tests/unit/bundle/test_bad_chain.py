"""Signers, chains and revocation lists of a bundle, wrong in every way: refused with the reason, by both verifiers alike."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.bundle.verdict import Why, Word
from everest_secure.parse.chain import FaultKind
from support.authority import Pair, issue, revocation_list
from support.forgery import Case, judged, require_refused

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("rauc", "mksquashfs", "unsquashfs"))), reason="needs rauc and squashfs-tools")


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
