import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from everest_secure.pki import certificates, inventory, keys, lifecycle, revocation, status
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.lifecycle import KeyWish
from everest_secure.pki.marking import is_development
from everest_secure.pki.profile import CertificateSpec, Usage, general_names
from everest_secure.pki.store import Store
from support import pki as support

UNSPECIFIED = x509.ReasonFlags.unspecified
SIGNER = CertificateSpec("field", "Field Signer", Usage.BUNDLE_SIGNING, KeyType.ECDSA_P256, 100, "intermediate")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def issue(pki: Store, spec: CertificateSpec = SIGNER, **options: object) -> None:
    lifecycle.issue(pki.directory, spec, access=support.access(), now=support.now(), **options)  # type: ignore[arg-type]


def rotate(pki: Store, name: str, **options: str) -> str:
    return lifecycle.rotate(pki.directory, name, access=support.access(), now=support.now(), **options)  # type: ignore[arg-type]


def problems(pki: Store) -> tuple[str, ...]:
    return status.read(pki.directory, now=support.now()).problems


def log(pki: Store) -> list[dict[str, str]]:
    return [json.loads(line) for line in pki.log.read_text().splitlines()]


def test_a_certificate_is_issued_under_an_authority_with_its_organization_and_mark(pki: Store) -> None:
    issue(pki)
    made = certificates.load_one(pki.certificate("field"))
    assert made.subject.rfc4514_string() == "CN=Field Signer,OU=DEVELOPMENT - NOT FOR RELEASE,O=everest-secure development"
    assert support.verify(pki, "field", keyring=pki.keyring) == ""
    assert pki.chain("field").read_bytes() == pki.chain("signer").read_bytes()
    assert not keys.is_encrypted(pki.key("field").read_bytes())
    assert problems(pki) == ()


def test_what_is_issued_under_a_release_authority_is_no_development_and_its_key_is_encrypted(tmp_path: Path) -> None:
    pki = support.make(tmp_path / "pki", chosen=support.small("release"), passphrase=support.PASSPHRASE)
    issue(pki)
    assert not is_development(certificates.load_one(pki.certificate("field")))
    assert keys.load(pki.key("field"), passphrase=support.PASSPHRASE)
    issue(pki, replace(SIGNER, name="plain"), wish=KeyWish(encrypted=False))
    assert not keys.is_encrypted(pki.key("plain").read_bytes())


@pytest.mark.parametrize(
    ("usage", "purpose", "oid"),
    [(Usage.TLS_SERVER, "sslserver", ExtendedKeyUsageOID.SERVER_AUTH), (Usage.TLS_CLIENT, "sslclient", ExtendedKeyUsageOID.CLIENT_AUTH)],
)
def test_openssl_takes_a_tls_leaf_for_its_own_end_alone(pki: Store, usage: Usage, purpose: str, oid: ObjectIdentifier) -> None:
    issue(pki, replace(SIGNER, usage=usage, names=general_names(["cp.example"], ["192.0.2.1"])))
    assert support.verify(pki, "field", keyring=pki.keyring, purpose=purpose) == ""
    other = "sslclient" if purpose == "sslserver" else "sslserver"
    assert "purpose" in support.verify(pki, "field", keyring=pki.keyring, purpose=other)
    assert certificates.purposes(certificates.load_one(pki.certificate("field"))) == (oid,)


def test_an_authority_is_issued_where_there_is_room_for_it(pki: Store) -> None:
    issue(pki, CertificateSpec("region", "Region CA", Usage.AUTHORITY, KeyType.ECDSA_P256, 100, "root", path_length=1))
    issue(pki, replace(SIGNER, issuer="region"))
    assert support.verify(pki, "field", keyring=pki.keyring) == ""
    before = contents(pki.directory)
    for issuer, length in (("root", 2), ("intermediate", 0)):
        with pytest.raises(PkiError, match=f"'{issuer}' allows . authorities below it"):
            issue(pki, CertificateSpec("deep", "Deep CA", Usage.AUTHORITY, KeyType.ECDSA_P256, 100, issuer, path_length=length))
    assert contents(pki.directory) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "signer"}, "has a certificate 'signer' already"),
        ({"name": "../x"}, "is no name such as"),
        ({"issuer": "signer"}, "'signer' of .* is no authority"),
        ({"issuer": "nobody"}, "has no certificate 'nobody'; it has intermediate, root"),
    ],
)
def test_what_cannot_be_issued_leaves_everything_as_it_was(pki: Store, changes: dict[str, str], words: str) -> None:
    before = contents(pki.directory)
    with pytest.raises(PkiError, match=words):
        issue(pki, replace(SIGNER, **changes))  # type: ignore[arg-type] # names and issuers are text
    assert contents(pki.directory) == before


def test_an_authority_whose_key_is_away_is_told_and_used_from_where_it_is(pki: Store, tmp_path: Path) -> None:
    stick = tmp_path / "stick.pem"
    pki.key("intermediate").rename(stick)
    before = contents(pki.directory)
    with pytest.raises(PkiError, match=r"'intermediate' is not in .*; say where it is with --key intermediate=FILE"):
        issue(pki)
    for wrong in (pki.key("root"), tmp_path / "no.pem"):
        with pytest.raises(PkiError, match=r"does not belong to the certificate of 'intermediate'|cannot be read"):
            lifecycle.issue(pki.directory, SIGNER, access=support.access(intermediate=str(wrong)), now=support.now())
    assert contents(pki.directory) == before
    lifecycle.issue(pki.directory, SIGNER, access=support.access(intermediate=str(stick)), now=support.now())
    assert support.verify(pki, "field", keyring=pki.keyring) == ""


def test_a_renewed_certificate_has_its_key_and_subject_and_a_new_validity(pki: Store) -> None:
    old, key = certificates.load_one(pki.certificate("signer")), pki.key("signer").read_bytes()
    later = support.now() + timedelta(days=300)
    lifecycle.renew(pki.directory, "signer", access=support.access(), now=later)
    new = certificates.load_one(pki.certificate("signer"))
    assert (new.subject, new.public_key(), new.issuer) == (old.subject, old.public_key(), old.issuer)
    assert [each.value for each in new.extensions] == [each.value for each in old.extensions]
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc - old.not_valid_after_utc > timedelta(days=299)
    assert pki.key("signer").read_bytes() == key
    assert inventory.read(pki.directory).retired["signer"] == (old,)
    assert problems(pki) == ()


def test_a_certificate_renewed_with_a_new_key_keeps_its_name_and_its_old_key_is_kept(pki: Store) -> None:
    old, key = certificates.load_one(pki.certificate("signer")), pki.key("signer").read_bytes()
    lifecycle.renew(pki.directory, "signer", access=support.access(), now=support.now(), new_key=KeyWish())
    new = certificates.load_one(pki.certificate("signer"))
    assert keys.load(pki.key("signer")).public_key() == new.public_key() != old.public_key()
    retired = pki.directory / "retired" / f"signer.{old.serial_number:x}.key.pem"
    assert retired.read_bytes() == key
    assert retired.stat().st_mode & 0o777 == 0o600
    assert support.verify(pki, "signer", keyring=pki.keyring) == ""
    assert problems(pki) == ()


def test_below_a_renewed_authority_all_goes_on_and_chains_hold_the_new_certificate(pki: Store) -> None:
    lifecycle.renew(pki.directory, "intermediate", access=support.access(), now=support.now(), days=2000)
    assert pki.chain("signer").read_bytes() == pki.certificate("intermediate").read_bytes()
    assert support.verify(pki, "signer", keyring=pki.keyring) == ""
    assert problems(pki) == ()


def test_a_renewed_root_takes_the_place_of_the_old_one_in_the_keyring(pki: Store) -> None:
    before = pki.keyring.read_bytes()
    old = pki.directory / "old.pem"
    old.write_bytes(before)
    lifecycle.renew(pki.directory, "root", access=support.access(), now=support.now(), days=3000)
    assert pki.keyring.read_bytes() == pki.certificate("root").read_bytes() != before
    for keyring in (old, pki.keyring):
        assert support.verify(pki, "signer", keyring=keyring) == ""


def test_an_authority_does_not_get_a_new_key_by_renewal(pki: Store) -> None:
    with pytest.raises(PkiError, match=r"'intermediate' is an authority, .* use 'everest-secure pki rotate'"):
        lifecycle.renew(pki.directory, "intermediate", access=support.access(), now=support.now(), new_key=KeyWish())


def test_a_rotated_signer_stands_beside_the_old_one_and_both_are_valid(pki: Store) -> None:
    before = contents(pki.directory)
    assert rotate(pki, "signer") == "signer-2"
    assert rotate(pki, "signer-2") == "signer-3"
    assert certificates.label(certificates.load_one(pki.certificate("signer-3"))) == "Bundle Signer 3"
    for name in ("signer", "signer-2", "signer-3"):
        assert support.verify(pki, name, keyring=pki.keyring) == ""
    after = contents(pki.directory)
    assert {name: after[name] for name in before if name != "log.jsonl"} == {k: v for k, v in before.items() if k != "log.jsonl"}
    assert problems(pki) == ()


def test_a_rotated_tls_leaf_keeps_the_name_by_which_its_peers_know_it(pki: Store) -> None:
    issue(pki, replace(SIGNER, usage=Usage.TLS_CLIENT, common_name="cp001"))
    rotate(pki, "field")
    assert certificates.label(certificates.load_one(pki.certificate("field-2"))) == "cp001"


def test_a_rotated_root_is_trusted_by_devices_with_the_old_keyring_and_with_the_new(pki: Store, tmp_path: Path) -> None:
    old, new = tmp_path / "old.pem", tmp_path / "new.pem"
    old.write_bytes(pki.keyring.read_bytes())
    assert [rotate(pki, "root"), rotate(pki, "intermediate", issuer="root-2"), rotate(pki, "signer", issuer="intermediate-2")] == [
        "root-2",
        "intermediate-2",
        "signer-2",
    ]
    new.write_bytes(pki.certificate("root-2").read_bytes())
    assert certificates.load_all(pki.keyring) == (
        certificates.load_one(pki.certificate("root")),
        certificates.load_one(pki.certificate("root-2")),
    )
    verdicts = {
        (keyring.stem, name): support.verify(pki, name, keyring=keyring)
        for keyring in (old, pki.keyring, new)
        for name in ("signer", "signer-2")
    }
    refused = {pair: why for pair, why in verdicts.items() if why}
    assert refused == {("new", "signer"): "unable to get local issuer certificate"}
    assert problems(pki) == ()


def test_a_root_without_room_above_its_intermediate_is_rotated_under_its_own_name(tmp_path: Path) -> None:
    """RFC 5280 does not count a certificate whose issuer has the same name."""
    shipped = support.small()
    narrow = tuple(replace(spec, path_length=1) if spec.name == "root" else spec for spec in shipped.certificates)
    pki = support.make(tmp_path / "pki", chosen=replace(shipped, certificates=narrow))
    old = tmp_path / "old.pem"
    old.write_bytes(pki.keyring.read_bytes())
    rotate(pki, "root")
    rotate(pki, "intermediate", issuer="root-2")
    rotate(pki, "signer", issuer="intermediate-2")
    assert certificates.load_one(pki.certificate("root-2")).subject == certificates.load_one(pki.certificate("root")).subject
    for keyring in (old, pki.keyring, pki.certificate("root-2")):
        assert support.verify(pki, "signer-2", keyring=keyring) == ""
    assert support.verify(pki, "signer", keyring=pki.keyring) == ""
    assert {
        name: entry.issuer for name, entry in inventory.read(pki.directory).entries.items() if name.startswith(("root", "i", "signer"))
    } == {
        "root": None,
        "root-2": None,
        "intermediate": "root",
        "intermediate-2": "root-2",
        "signer": "intermediate",
        "signer-2": "intermediate-2",
    }


def test_a_rotated_secure_boot_key_is_self_signed_like_the_old_one(pki: Store) -> None:
    assert rotate(pki, "secure-boot-db") == "secure-boot-db-2"
    made = inventory.read(pki.directory).entry("secure-boot-db-2")
    assert made.is_self_signed
    assert not pki.cross("secure-boot-db-2").exists()
    assert len(certificates.load_all(pki.keyring)) == 1


def test_every_certificate_stands_in_the_log_and_nothing_in_it_changes(pki: Store) -> None:
    first = pki.log.read_bytes()
    issue(pki)
    lifecycle.renew(pki.directory, "field", access=support.access(), now=support.now())
    rotate(pki, "root")
    assert pki.log.read_bytes().startswith(first)
    assert [(line["what"], line["name"]) for line in log(pki)[6:]] == [
        ("issue", "field"),
        ("renew", "field"),
        ("rotate", "root-2"),
        ("cross-sign", "root-2"),
    ]
    made = certificates.load_one(pki.certificate("field"))
    line = log(pki)[7]
    assert (line["serial"], line["subject"]) == (f"{made.serial_number:x}", made.subject.rfc4514_string())
    assert "PRIVATE" not in pki.log.read_text()


def test_an_authority_that_has_expired_or_is_revoked_issues_nothing(pki: Store) -> None:
    before = contents(pki.directory)
    late = support.now() + timedelta(days=1500)  # the intermediate lives 1461 days, the root 1826
    for attempt in (
        lambda: lifecycle.issue(pki.directory, SIGNER, access=support.access(), now=late),
        lambda: lifecycle.rotate(pki.directory, "signer", access=support.access(), now=late),
        lambda: revocation.issue_list(pki.directory, "intermediate", access=support.access(), now=late),
    ):
        with pytest.raises(PkiError, match="'intermediate' has expired"):
            attempt()
    assert contents(pki.directory) == before
    lifecycle.renew(pki.directory, "intermediate", access=support.access(), now=late)
    lifecycle.rotate(pki.directory, "signer", access=support.access(), now=late)
    with pytest.raises(PkiError, match="'root' has expired"):
        lifecycle.rotate(pki.directory, "root", access=support.access(), now=late + timedelta(days=400))


def test_what_is_revoked_is_not_renewed_and_issues_nothing(pki: Store) -> None:
    for name in ("signer", "intermediate"):
        revocation.revoke(pki.directory, name, reason=UNSPECIFIED, access=support.access(), now=support.now())
        with pytest.raises(PkiError, match=f"'{name}' is revoked, and would be again"):
            lifecycle.renew(pki.directory, name, access=support.access(), now=support.now())
    with pytest.raises(PkiError, match="the authority 'intermediate' is revoked; name another with --issuer"):
        issue(pki)
    rotate(pki, "intermediate")
    rotate(pki, "signer", issuer="intermediate-2")
    assert support.verify(pki, "signer-2", keyring=pki.keyring) == ""
