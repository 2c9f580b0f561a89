import os
import shutil
from pathlib import Path

import pytest

from everest_secure.pki import keys
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.run import HostTools

PASSPHRASE = "pass phrase with ünïcode"


@pytest.mark.parametrize("key_type", list(KeyType))
def test_every_key_type_is_made_and_described_by_its_name(key_type: KeyType) -> None:
    assert keys.describe(keys.generate(key_type).public_key()) == key_type


@pytest.mark.parametrize(
    ("key_type", "digest"), [(KeyType.RSA_2048, "sha256"), (KeyType.ECDSA_P256, "sha256"), (KeyType.ECDSA_P384, "sha384")]
)
def test_a_digest_is_as_strong_as_its_key(key_type: KeyType, digest: str) -> None:
    assert keys.signature_hash(keys.generate(key_type)).name == digest


def test_an_encrypted_key_is_scrypt_and_aes_256_and_openssl_reads_it(tmp_path: Path) -> None:
    key = keys.generate(KeyType.ECDSA_P256)
    path = tmp_path / "key.pem"
    path.write_bytes(keys.to_encrypted_pem(key, passphrase=PASSPHRASE, tools=HostTools()))
    structure = HostTools().run(["openssl", "asn1parse", "-in", path])
    assert b":scrypt" in structure
    assert b":aes-256-cbc" in structure
    plain = HostTools().run(["openssl", "pkey", "-in", path, "-passin", "env:SECRET"], env={"SECRET": PASSPHRASE})
    assert plain == keys.to_pem(key)
    assert keys.load(path, passphrase=PASSPHRASE).public_key() == key.public_key()


def test_key_and_passphrase_are_on_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "argv"
    openssl = shutil.which("openssl")
    program = tmp_path / "openssl"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{log}\nexec {openssl} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    keys.to_encrypted_pem(keys.generate(KeyType.ECDSA_P256), passphrase=PASSPHRASE, tools=HostTools())
    arguments = log.read_text()
    assert "pkcs8" in arguments
    assert PASSPHRASE not in arguments
    assert "PRIVATE KEY" not in arguments


def test_an_encrypted_key_without_its_passphrase_says_how_to_give_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(keys.to_encrypted_pem(keys.generate(KeyType.ECDSA_P256), passphrase=PASSPHRASE, tools=HostTools()))
    with pytest.raises(PkiError, match="--passphrase-env or --passphrase-fd"):
        keys.load(path)


def test_a_passphrase_is_not_needed_for_a_key_that_is_not_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(keys.to_pem(keys.generate(KeyType.ECDSA_P256)))
    assert keys.load(path, passphrase=PASSPHRASE)


@pytest.mark.parametrize("content", [b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(PkiError, match="it is no PEM private key"):
        keys.load(path)


def test_an_ed25519_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    HostTools().run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path])
    with pytest.raises(PkiError, match="neither RSA nor ECDSA"):
        keys.load(path)
