from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from everest_secure.pki import keys, uri
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri
from everest_secure.run import Argument, HostTools
from support import softhsm
from support.softhsm import MODULE, PIN, SoftHsm

RELEASE = TokenUri(token="release", object="signer")


@pytest.fixture
def tokens(hsm: SoftHsm) -> Iterator[Tokens]:  # noqa: ARG001 - they are there while it lasts
    with Tokens(lambda _: PIN, MODULE) as made:
        yield made


def signature(key: keys.PrivateKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data, ec.ECDSA(keys.signature_hash(key)))


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.ECDSA_P384])
def test_a_key_made_on_a_token_is_found_by_its_uri_and_openssl_accepts_its_signature(
    tokens: Tokens, tmp_path: Path, key_type: KeyType
) -> None:
    named, made = tokens.generate(RELEASE, key_type)
    assert keys.describe(made.public_key()) == key_type
    found = tokens.find(uri.parse(str(named)))
    assert found.public_key() == made.public_key()
    (tmp_path / "data").write_bytes(b"hello")
    (tmp_path / "signature").write_bytes(signature(found, b"hello"))
    (tmp_path / "public").write_bytes(keys.public_pem(made.public_key()))
    digest = f"-{keys.signature_hash(made).name}"
    verify: list[Argument] = [
        "openssl",
        "dgst",
        digest,
        "-verify",
        tmp_path / "public",
        "-signature",
        tmp_path / "signature",
        tmp_path / "data",
    ]
    assert b"Verified OK" in HostTools().run(verify)


def test_a_key_never_leaves_its_token(tokens: Tokens) -> None:
    _, made = tokens.generate(RELEASE, KeyType.ECDSA_P256)
    with pytest.raises(PkiError, match="never leaves it"):
        keys.to_pem(made)


def test_a_second_key_of_the_same_label_is_refused(tokens: Tokens) -> None:
    _, made = tokens.generate(RELEASE, KeyType.ECDSA_P256)
    with pytest.raises(PkiError, match="holds a key 'signer' already, which is never overwritten"):
        tokens.generate(RELEASE, KeyType.ECDSA_P256)
    assert tokens.find(RELEASE).public_key() == made.public_key()


def test_a_key_that_is_not_the_one_of_the_certificate_is_noticed_when_it_signs(tokens: Tokens) -> None:
    tokens.generate(RELEASE, KeyType.ECDSA_P256)
    key = tokens.find(RELEASE, public=keys.generate(KeyType.ECDSA_P256).public_key())
    with pytest.raises(PkiError, match="does not verify with the public key"):
        signature(key, b"hello")


def test_an_absent_token_is_one_sentence(tokens: Tokens) -> None:
    with pytest.raises(PkiError, match=r"there is no token that fits 'pkcs11:token=elsewhere' in .*; connect it"):
        tokens.find(TokenUri(token="elsewhere", object="signer"))


def test_a_key_that_is_not_on_the_token_is_one_sentence(tokens: Tokens) -> None:
    with pytest.raises(PkiError, match="object=signer;type=private' names no private key on its token"):
        tokens.find(RELEASE)


def test_two_tokens_of_one_label_are_told_apart_by_their_serial(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.add_token("release")
    with pytest.raises(PkiError, match="more than one token fits"):
        tokens.find(RELEASE)
    serials = {each.serial.decode() for each in pkcs11.lib(str(MODULE)).get_tokens(token_label="release")}
    assert len(serials) == 2
    for serial in serials:
        tokens.generate(TokenUri(token="release", serial=serial, object="signer"), KeyType.ECDSA_P256)


@pytest.mark.usefixtures("hsm")
def test_a_wrong_pin_is_refused_and_not_repeated() -> None:
    with Tokens(lambda _: "999999", MODULE) as tokens, pytest.raises(PkiError, match="the token 'release' refuses the PIN") as refused:
        tokens.find(RELEASE)
    assert "999999" not in str(refused.value)


@pytest.mark.usefixtures("hsm")
def test_a_token_that_locks_its_pin_says_so_before_and_when_it_does(tmp_path: Path) -> None:
    module = softhsm.locking_module(tmp_path)
    said = []
    pins = iter(("999999", "999999", "999999", PIN))
    for _ in range(4):
        with Tokens(lambda _: next(pins), module) as tokens, pytest.raises(PkiError) as refused:
            tokens.find(RELEASE)
        said.append(str(refused.value))
    pkcs11.unload(str(module))
    assert said == [
        "the token 'release' refuses the PIN; check it before you try again",
        "the token 'release' refuses the PIN, and one more wrong one locks it; check it before you try again",
        "the token 'release' refuses the PIN and has locked it; let its security officer set a new one",
        "the PIN of the token 'release' is locked; let its security officer set a new one",
    ]


def test_a_token_that_goes_away_is_one_sentence(hsm: SoftHsm, tokens: Tokens) -> None:
    _, made = tokens.generate(RELEASE, KeyType.ECDSA_P256)
    hsm.remove_token("release")
    with pytest.raises(PkiError, match="the token did not do what it was asked"):
        signature(made, b"hello")


@pytest.mark.usefixtures("hsm")
def test_the_pin_of_a_token_is_asked_for_once() -> None:
    asked: list[str] = []

    def read_pin(label: str) -> str:
        asked.append(label)
        return PIN

    with Tokens(read_pin, MODULE) as tokens:
        tokens.generate(RELEASE, KeyType.ECDSA_P256)
        tokens.find(RELEASE)
    assert asked == ["release"]


@pytest.mark.usefixtures("hsm")
def test_without_a_library_the_option_is_named() -> None:
    with Tokens(lambda _: PIN) as tokens:
        with pytest.raises(PkiError, match="name it with --pkcs11-module"):
            tokens.find(RELEASE)
        assert tokens.generate(TokenUri(token="release", object="signer", module_path=str(MODULE)), KeyType.ECDSA_P256)


@pytest.mark.parametrize(("library", "words"), [("missing.so", "does not exist"), ("text.so", "cannot be used")])
def test_what_is_no_library_is_one_sentence(tmp_path: Path, library: str, words: str) -> None:
    (tmp_path / "text.so").write_text("no library")
    with Tokens(lambda _: PIN, tmp_path / library) as tokens, pytest.raises(PkiError, match=words):
        tokens.find(RELEASE)
