"""Whole life of a PKI whose keys are on tokens."""

import os
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography import x509

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.pki import certificates, inventory, keyring, lifecycle, revocation, status, store, uri
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.lifecycle import KeyWish
from everest_secure.pki.status import KeyPlace
from everest_secure.pki.store import Store
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri
from everest_secure.run import HostTools
from support import pki as support
from support import softhsm
from support.softhsm import MODULE, PIN, SoftHsm

RELEASE = TokenUri(token="release")
OFFLINE = TokenUri(token="offline")
PROFILE = """\
summary: A small PKI
organization: Test
development: false
encrypted_keys: true
keyring: [root]
certificates:
  root: {common_name: Root, usage: authority, path_length: 1, key: ecdsa-p384, validity_days: 100}
  signer: {common_name: Signer, usage: bundle-signing, key: rsa-2048, validity_days: 80, issuer: root}
"""


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    with softhsm.softhsm(tmp_path / "hsm") as made:
        made.add_token("offline")
        yield made


@pytest.fixture
def tokens(hsm: SoftHsm) -> Iterator[Tokens]:  # noqa: ARG001 - they are there while it lasts
    with Tokens(lambda _: PIN, MODULE) as made:
        yield made


@pytest.fixture
def held(hsm: SoftHsm, tmp_path: Path) -> Store:  # noqa: ARG001 - as above
    """A PKI with the root's key on one token and the others for updates on another."""
    places = {"root": OFFLINE, "intermediate": RELEASE, "signer": RELEASE}
    with Tokens(lambda _: PIN, MODULE) as tokens:
        return store.create(tmp_path / "pki", profile=support.small(), tools=HostTools(), now=support.now(), tokens=tokens, on_token=places)


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.RSA_2048])
def test_a_chain_whose_keys_are_all_on_tokens_is_what_openssl_accepts(tokens: Tokens, tmp_path: Path, key_type: KeyType) -> None:
    places = {spec.name: RELEASE for spec in support.small().certificates}
    made = store.create(
        tmp_path / "pki", profile=support.small(key=key_type), tools=HostTools(), now=support.now(), tokens=tokens, on_token=places
    )
    assert list(made.directory.glob("*.key.pem")) == []
    assert support.verify(made, "signer", keyring=made.keyring) == ""
    assert {entry.key for entry in status.read(made.directory, now=support.now()).certificates} == {key_type}


def test_status_says_which_token_holds_a_key_and_asks_for_no_pin(held: Store) -> None:
    found = {entry.name: entry for entry in status.read(held.directory, now=support.now()).certificates}
    assert {name: entry.key_place for name, entry in found.items() if name in ("root", "signer", "secure-boot-db")} == {
        "root": KeyPlace.TOKEN,
        "signer": KeyPlace.TOKEN,
        "secure-boot-db": KeyPlace.FILE,
    }
    named = uri.parse(found["root"].key_uri or "")
    assert (named.token, named.object) == ("offline", "root")
    assert all(PIN not in path.read_text() for path in held.directory.iterdir())


def test_all_that_happens_to_certificates_happens_with_keys_on_tokens(held: Store, tokens: Tokens, tmp_path: Path) -> None:
    access, now = support.access(tokens=tokens), support.now()
    lifecycle.renew(held.directory, "signer", access=access, now=now)
    assert lifecycle.rotate(held.directory, "signer", access=access, now=now, wish=KeyWish(RELEASE)) == "signer-2"
    revocation.revoke(held.directory, "signer", reason=x509.ReasonFlags.superseded, access=access, now=now)
    revocation.issue_list(held.directory, "root", access=access, now=now)
    lifecycle.rotate(held.directory, "root", access=access, now=now, wish=KeyWish(OFFLINE))
    revocation.issue_list(held.directory, "root-2", access=access, now=now)
    exported = tmp_path / "keyring.pem"
    keyring.export(held.directory, exported, roots=["root"], with_lists=True, now=now)
    assert support.verify(held, "signer", keyring=exported, crl=True) == "certificate revoked"
    assert support.verify(held, "signer-2", keyring=exported, crl=True) == ""
    assert status.read(held.directory, now=now).problems == ()


def test_a_key_moves_from_a_file_to_a_token_by_renewal_with_a_new_one(pki: Store, tokens: Tokens) -> None:
    before = pki.key("signer").read_bytes()
    lifecycle.renew(pki.directory, "signer", access=support.access(tokens=tokens), now=support.now(), new_key=KeyWish(RELEASE))
    found = {entry.name: entry for entry in status.read(pki.directory, now=support.now()).certificates}
    assert found["signer"].key_place is KeyPlace.TOKEN
    assert not pki.key("signer").exists()
    assert [path.read_bytes() for path in (pki.directory / "retired").glob("signer.*.key.pem")] == [before]
    assert support.verify(pki, "signer", keyring=pki.keyring) == ""
    lifecycle.renew(pki.directory, "signer", access=support.access(tokens=tokens), now=support.now(), new_key=KeyWish())
    assert not pki.key_uri("signer").exists()
    assert status.read(pki.directory, now=support.now()).problems == ()


def test_a_certificate_gets_a_new_key_on_the_token_that_holds_its_old_one(held: Store, tokens: Tokens) -> None:
    access = support.access(tokens=tokens)
    before = access.load(held, inventory.read(held.directory).entry("signer")).public_key()
    lifecycle.renew(held.directory, "signer", access=access, now=support.now(), new_key=KeyWish(RELEASE))
    after = access.load(held, inventory.read(held.directory).entry("signer")).public_key()
    assert before != after == certificates.load_one(held.certificate("signer")).public_key()
    retired = next((held.directory / "retired").glob("signer.*.key.uri"))
    assert tokens.find(uri.parse(retired.read_text().strip())).public_key() == before


def test_a_successor_does_not_get_a_key_that_another_has(held: Store, tokens: Tokens) -> None:
    for taken in ("signer", "intermediate"):
        wish = KeyWish(TokenUri(token="release", object=taken))
        with pytest.raises(PkiError, match=f"has the key of '{taken}', which has a certificate already"):
            lifecycle.rotate(held.directory, "signer", access=support.access(tokens=tokens), now=support.now(), wish=wish)


def test_a_key_that_is_on_the_token_already_is_used_when_the_uri_names_it(pki: Store, tokens: Tokens) -> None:
    named, key = tokens.generate(TokenUri(token="release", object="made by the officer"), KeyType.ECDSA_P256)
    assert lifecycle.rotate(pki.directory, "signer", access=support.access(tokens=tokens), now=support.now(), wish=KeyWish(named))
    assert certificates.load_one(pki.certificate("signer-2")).public_key() == key.public_key()
    with pytest.raises(PkiError, match="is ecdsa-p256 where rsa-4096 is wanted"):
        support.access(tokens=tokens).make("other", KeyType.RSA_4096, on_token=named)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("fault", "words"), [("wrong PIN", "the token 'release' refuses the PIN"), ("absent", "there is no token that fits")]
)
def test_without_its_token_an_authority_issues_nothing_and_nothing_changes(held: Store, hsm: SoftHsm, fault: str, words: str) -> None:
    before = files(held.directory)
    if fault == "absent":
        hsm.remove_token("release")
    with Tokens(lambda _: "000000" if fault == "wrong PIN" else PIN, MODULE) as tokens, pytest.raises(PkiError, match=words):
        lifecycle.rotate(held.directory, "signer", access=support.access(tokens=tokens), now=support.now())
    assert files(held.directory) == before


def test_the_keys_of_another_token_of_the_same_name_sign_nothing(held: Store, hsm: SoftHsm) -> None:
    before = files(held.directory)
    hsm.remove_token("release")
    hsm.add_token("release")
    pkcs11.unload(str(MODULE))  # the library looks for tokens when it is loaded
    with Tokens(lambda _: PIN, MODULE) as tokens:
        tokens.generate(TokenUri(token="release", object="intermediate"), KeyType.ECDSA_P256)
        held.key_uri("intermediate").write_text("pkcs11:token=release;object=intermediate\n")
        with pytest.raises(PkiError, match="what the token signed does not verify"):
            lifecycle.rotate(held.directory, "signer", access=support.access(tokens=tokens), now=support.now())
    assert files(held.directory).keys() == before.keys()


def test_the_commands_take_the_pin_from_a_variable_or_a_descriptor(
    hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del hsm
    (tmp_path / "small.yml").write_text(PROFILE)
    pki, module = str(tmp_path / "made"), ["--pkcs11-module", str(MODULE)]
    monkeypatch.setenv("TOKEN_PIN", PIN)
    on_token = ["--on-token", "root=pkcs11:token=offline", "--on-token", "signer=pkcs11:token=release"]
    assert main(["pki", "init", pki, "--profile", str(tmp_path / "small.yml"), *on_token, *module, "--pin-env", "TOKEN_PIN"]) == ExitCode.OK
    reader, writer = os.pipe()
    os.write(writer, f"{PIN}\n".encode())
    os.close(writer)
    rotate = ["pki", "rotate", pki, "signer", "--on-token", "pkcs11:token=release", *module, "--pin-fd", str(reader)]
    assert main(rotate) == ExitCode.OK
    os.close(reader)
    assert main(["pki", "status", pki]) == ExitCode.OK
    assert main(["pki", "status", pki, "--json"]) == ExitCode.OK
    written = capsys.readouterr()
    assert "token 'offline'" in written.out
    assert "\nkey of root: pkcs11:token=offline;object=root;id=" in written.out
    assert '"key_uri": "pkcs11:token=offline;object=root;id=' in written.out
    assert PIN not in written.out + written.err
    assert set(inventory.read(tmp_path / "made").entries) == {"root", "signer", "signer-2"}


def test_a_pin_in_a_uri_is_refused_and_not_shown(pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    secret = f"pkcs11:token=release?pin-value={PIN}"
    assert main(["pki", "rotate", str(pki.directory), "signer", "--on-token", secret]) == ExitCode.FAILED
    assert main(["pki", "rotate", str(pki.directory), "signer", "--key", f"intermediate={secret}"]) == ExitCode.FAILED
    written = capsys.readouterr()
    assert written.err.count("take it out and use --pin-env or --pin-fd") == 2
    assert PIN not in written.out + written.err
    assert not pki.certificate("signer-2").exists()
