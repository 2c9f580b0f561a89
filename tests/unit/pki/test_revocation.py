import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from everest_secure.parse.revocation import parse_revocation_lists
from everest_secure.pki import certificates, inventory, keyring, lifecycle, revocation, status
from everest_secure.pki.errors import PkiError
from everest_secure.pki.store import Store
from everest_secure.run import HostTools
from support import pki as support

REVOKED = "certificate revoked"
UNSPECIFIED = x509.ReasonFlags.unspecified


def revoke(pki: Store, name: str, *, reason: x509.ReasonFlags = UNSPECIFIED, days: int | None = None) -> int:
    found = revocation.revoke(pki.directory, name, reason=reason, access=support.access(), now=support.now(), days=days)
    return len(found)


def lists(pki: Store, *authorities: str) -> None:
    for name in authorities:
        revocation.issue_list(pki.directory, name, access=support.access(), now=support.now())


def export(pki: Store, file: Path, *roots: str, with_lists: bool = True) -> Path:
    keyring.export(pki.directory, file, roots=roots, with_lists=with_lists, now=support.now())
    return file


def current(pki: Store, name: str) -> x509.CertificateRevocationList:
    return inventory.read(pki.directory).lists[name]


def test_openssl_refuses_a_revoked_signer_and_accepts_its_successor(pki: Store, tmp_path: Path) -> None:
    lifecycle.rotate(pki.directory, "signer", access=support.access(), now=support.now())
    assert revoke(pki, "signer", reason=x509.ReasonFlags.key_compromise) == 1
    lists(pki, "root")
    exported = export(pki, tmp_path / "keyring.pem")
    assert support.verify(pki, "signer", keyring=exported, crl=True) == REVOKED
    assert support.verify(pki, "signer-2", keyring=exported, crl=True) == ""
    assert support.verify(pki, "signer", keyring=exported) == ""
    shown = HostTools().run(["openssl", "crl", "-noout", "-text", "-in", pki.revocation_list("intermediate")]).decode()
    assert "Key Compromise" in shown
    assert "X509v3 CRL Number" in shown


def test_a_revoked_intermediate_takes_everything_below_it_along(pki: Store, tmp_path: Path) -> None:
    lists(pki, "intermediate")
    revoke(pki, "intermediate", reason=x509.ReasonFlags.ca_compromise)
    lifecycle.rotate(pki.directory, "intermediate", access=support.access(), now=support.now())
    lifecycle.rotate(pki.directory, "signer", access=support.access(), now=support.now(), issuer="intermediate-2")
    lists(pki, "intermediate-2")
    exported = export(pki, tmp_path / "keyring.pem")
    assert support.verify(pki, "signer", keyring=exported, crl=True) != ""
    assert support.verify(pki, "signer-2", keyring=exported, crl=True) == ""
    held = parse_revocation_lists(exported.read_bytes(), "keyring")
    assert len(held) == 2  # the revoked one's list is of no use any more


def test_what_was_renewed_is_revoked_with_what_it_is_now(pki: Store, tmp_path: Path) -> None:
    """A stolen key would go on with the certificate that it had before."""
    before = tmp_path / "before.pem"
    before.write_bytes(pki.certificate("signer").read_bytes())
    lifecycle.renew(pki.directory, "signer", access=support.access(), now=support.now())
    assert revoke(pki, "signer") == 2
    named = {each.serial_number for each in current(pki, "intermediate")}
    assert named == {certificates.load_one(path).serial_number for path in (before, pki.certificate("signer"))}


def test_lists_are_numbered_one_after_the_other_and_kept(pki: Store) -> None:
    support.add_signer(pki, "second")
    revoke(pki, "signer")
    first = pki.revocation_list("intermediate").read_bytes()
    revoke(pki, "second")
    lists(pki, "intermediate")
    assert revocation.number(current(pki, "intermediate")) == 3
    assert len(list(current(pki, "intermediate"))) == 2
    assert (pki.directory / "retired" / "intermediate.1.crl.pem").read_bytes() == first
    lines = [json.loads(line) for line in pki.log.read_text().splitlines()][6:]
    assert [(line["what"], line["name"], line.get("number")) for line in lines] == [
        ("revoke", "signer", None),
        ("crl", "intermediate", "1"),
        ("revoke", "second", None),
        ("crl", "intermediate", "2"),
        ("crl", "intermediate", "3"),
    ]


@pytest.mark.parametrize("lost", ["gone", "an older one"])
def test_without_the_last_list_no_other_follows_that_would_forget_what_it_said(pki: Store, lost: str) -> None:
    lists(pki, "intermediate")
    older = pki.revocation_list("intermediate").read_bytes()
    revoke(pki, "signer")
    pki.revocation_list("intermediate").unlink()
    if lost == "an older one":
        pki.revocation_list("intermediate").write_bytes(older)
    kept = pki.directory / "retired" / "intermediate.2.crl.pem"
    with pytest.raises(PkiError, match=rf"is not the last list of 'intermediate', which has number 2; restore it from {kept}"):
        lists(pki, "intermediate")
    assert "restore it from" in status.read(pki.directory, now=support.now()).problems[0]
    pki.revocation_list("intermediate").write_bytes(kept.read_bytes())
    lists(pki, "intermediate")
    assert (revocation.number(current(pki, "intermediate")), len(list(current(pki, "intermediate")))) == (3, 1)


def test_a_list_lasts_as_long_as_its_authority_or_as_it_is_told(pki: Store) -> None:
    lists(pki, "root")
    assert current(pki, "root").next_update_utc == certificates.load_one(pki.certificate("root")).not_valid_after_utc
    made = revocation.issue_list(pki.directory, "root", access=support.access(), now=support.now(), days=30)
    assert timedelta(days=29) < revocation.ends(made) - support.now() <= timedelta(days=30)
    assert made.last_update_utc < support.now() - timedelta(hours=23)  # a charger's clock may be late


def test_status_watches_the_end_of_a_list(pki: Store) -> None:
    revocation.issue_list(pki.directory, "root", access=support.access(), now=support.now(), days=90)
    assert status.read(pki.directory, now=support.now()).warnings == ()
    soon = status.read(pki.directory, now=support.now() + timedelta(days=60))
    assert [warning.partition(" on ")[0] for warning in soon.warnings] == ["root: its revocation list ends"]
    late = status.read(pki.directory, now=support.now() + timedelta(days=91))
    assert [problem.partition(" on ")[0] for problem in late.problems] == ["root: its revocation list ended"]


def test_a_root_cannot_be_revoked_but_what_an_older_root_said_of_it_can(pki: Store, tmp_path: Path) -> None:
    before = pki.keyring.read_bytes()
    for name in ("root", "secure-boot-db"):
        with pytest.raises(PkiError, match="is its own issuer, whom no list can name; ship a keyring without it"):
            revoke(pki, name)
    lifecycle.rotate(pki.directory, "root", access=support.access(), now=support.now())
    lifecycle.rotate(pki.directory, "intermediate", access=support.access(), now=support.now(), issuer="root-2")
    lifecycle.rotate(pki.directory, "signer", access=support.access(), now=support.now(), issuer="intermediate-2")
    lists(pki, "root", "intermediate", "root-2", "intermediate-2")
    assert support.verify(pki, "signer-2", keyring=export(pki, tmp_path / "both.pem", "root"), crl=True) == ""
    assert revoke(pki, "root-2") == 1
    assert support.verify(pki, "signer-2", keyring=export(pki, tmp_path / "old.pem", "root"), crl=True) == REVOKED
    assert before == pki.certificate("root").read_bytes()


def test_nothing_is_revoked_twice(pki: Store) -> None:
    revoke(pki, "signer")
    before = pki.revocation_list("intermediate").read_bytes()
    with pytest.raises(PkiError, match="'signer' is revoked already or has expired"):
        revoke(pki, "signer")
    assert pki.revocation_list("intermediate").read_bytes() == before


def test_a_revocation_without_the_issuers_key_changes_nothing(pki: Store, tmp_path: Path) -> None:
    pki.key("intermediate").rename(tmp_path / "away.pem")
    before = {path.name: path.read_bytes() for path in pki.directory.iterdir() if path.is_file()}
    with pytest.raises(PkiError, match="--key intermediate=FILE"):
        revoke(pki, "signer")
    assert {path.name: path.read_bytes() for path in pki.directory.iterdir() if path.is_file()} == before


def test_a_keyring_holds_the_roots_of_the_directory_or_those_that_are_named(pki: Store, tmp_path: Path) -> None:
    lifecycle.rotate(pki.directory, "root", access=support.access(), now=support.now())
    both = export(pki, tmp_path / "both.pem", with_lists=False)
    assert certificates.load_all(both) == certificates.load_all(pki.keyring)
    new = export(pki, tmp_path / "new.pem", "root-2", with_lists=False)
    assert certificates.load_all(new) == (certificates.load_one(pki.certificate("root-2")),)
    assert new.stat().st_mode & 0o777 == 0o644


def test_a_keyring_with_lists_has_those_of_all_authorities_or_does_not_come_to_be(pki: Store, tmp_path: Path) -> None:
    lists(pki, "root")
    with pytest.raises(PkiError, match="'intermediate' has no revocation list, without which RAUC refuses"):
        export(pki, tmp_path / "keyring.pem")
    assert not (tmp_path / "keyring.pem").exists()
    assert support.verify(pki, "signer", keyring=pki.keyring, crl=True) == "unable to get certificate CRL"


def test_a_list_that_has_ended_is_not_exported(pki: Store, tmp_path: Path) -> None:
    revocation.issue_list(pki.directory, "root", access=support.access(), now=support.now() - timedelta(days=40), days=30)
    with pytest.raises(PkiError, match=r"the revocation list of 'root' ended on .*; make a new one with 'everest-secure pki crl'"):
        export(pki, tmp_path / "keyring.pem")


@pytest.mark.parametrize(
    ("root", "words"), [("intermediate", "has an issuer and is no root"), ("signer", "is no authority"), ("nobody", "has no certificate")]
)
def test_a_keyring_holds_roots_only(pki: Store, tmp_path: Path, root: str, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        export(pki, tmp_path / "keyring.pem", root, with_lists=False)


def test_an_existing_file_is_not_overwritten_by_a_keyring(pki: Store, tmp_path: Path) -> None:
    (tmp_path / "keyring.pem").write_text("mine")
    with pytest.raises(PkiError, match="exists already and is never overwritten"):
        export(pki, tmp_path / "keyring.pem", with_lists=False)
    assert (tmp_path / "keyring.pem").read_text() == "mine"


def test_a_root_whose_certificate_is_away_is_not_left_out_of_a_keyring(pki: Store, tmp_path: Path) -> None:
    """Devices would trust one root fewer than those before them, or none."""
    lifecycle.rotate(pki.directory, "root", access=support.access(), now=support.now())
    pki.certificate("root").rename(tmp_path / "away.pem")
    with pytest.raises(PkiError, match="'Update Root CA', whose certificate is not in"):
        export(pki, tmp_path / "keyring.pem", with_lists=False)
    assert not (tmp_path / "keyring.pem").exists()
    assert export(pki, tmp_path / "keyring.pem", "root-2", with_lists=False).is_file()
