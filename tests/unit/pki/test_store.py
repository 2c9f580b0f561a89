import os
import stat
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.pki import certificates, keys, profile, store
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.store import Store
from everest_secure.run import Argument, HostTools
from support import pki as support


def contents(directory: Path) -> dict[str, tuple[bytes, int, int]]:
    return {p.name: (p.read_bytes(), stat.S_IMODE(p.stat().st_mode), p.stat().st_mtime_ns) for p in directory.iterdir()}


def test_keys_are_private_to_their_owner_even_with_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        pki = support.make(tmp_path / "pki")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in pki.directory.iterdir()}
    assert stat.S_IMODE(pki.directory.stat().st_mode) == 0o700
    assert {mode for name, mode in modes.items() if name.endswith(".key.pem")} == {0o600}
    assert {mode for name, mode in modes.items() if not name.endswith(".key.pem")} == {0o644}


def test_a_closed_umask_leaves_certificates_readable(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        pki = support.make(tmp_path / "pki")
    finally:
        os.umask(before)
    assert stat.S_IMODE(pki.keyring.stat().st_mode) == 0o644


def test_a_second_init_is_refused_and_changes_no_byte(pki: Store) -> None:
    before = contents(pki.directory)
    with pytest.raises(PkiError, match="exists already and is never overwritten"):
        support.make(pki.directory)
    assert contents(pki.directory) == before
    assert [path.name for path in pki.directory.parent.iterdir()] == ["pki"]


@pytest.mark.parametrize("kind", ["empty directory", "file", "dangling link"])
def test_whatever_has_the_name_already_is_refused(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "pki"
    if kind == "empty directory":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(PkiError, match="exists already"):
        support.make(target)
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match=r"/no does not exist; create it first"):
        support.make(tmp_path / "no" / "pki")


def test_a_failure_on_the_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ToolError, match="'openssl' is not installed"):
        support.make(tmp_path / "pki", chosen=support.small("release"), passphrase=support.PASSPHRASE)
    assert list(tmp_path.iterdir()) == []


def test_release_keys_open_only_with_the_passphrase(shared_release: Store) -> None:
    key_files = sorted(shared_release.directory.glob("*.key.pem"))
    assert len(key_files) == 6
    assert all(path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----") for path in key_files)
    signer = keys.load(shared_release.key("signer"), passphrase=support.PASSPHRASE)
    assert signer.public_key() == certificates.load_one(shared_release.certificate("signer")).public_key()
    with pytest.raises(PkiError, match="passphrase is wrong"):
        keys.load(shared_release.key("signer"), passphrase=support.PASSPHRASE + "x")


def test_a_profile_that_encrypts_its_keys_needs_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match="give a passphrase"):
        support.make(tmp_path / "pki", chosen=support.small("release"))
    assert list(tmp_path.iterdir()) == []


def test_the_keyring_holds_the_root_alone(shared_pki: Store) -> None:
    assert certificates.load_all(shared_pki.keyring) == certificates.load_all(shared_pki.certificate("root"))


def test_the_chain_file_holds_the_intermediate_alone(shared_pki: Store) -> None:
    assert certificates.load_all(shared_pki.chain("signer")) == certificates.load_all(shared_pki.certificate("intermediate"))
    assert not shared_pki.chain("intermediate").exists()
    assert not shared_pki.chain("secure-boot-db").exists()


def test_openssl_accepts_the_chain_of_the_shipped_profile_with_true_rsa_4096_keys(tmp_path: Path) -> None:
    pki = store.create(tmp_path / "pki", profile=profile.load("development"), tools=HostTools(), now=support.now())
    for name in ("root", "intermediate", "signer", "secure-boot-pk", "secure-boot-kek", "secure-boot-db"):
        certificate = certificates.load_one(pki.certificate(name))
        assert keys.describe(certificate.public_key()) == KeyType.RSA_4096
        assert keys.load(pki.key(name)).public_key() == certificate.public_key()
        assert certificate.signature_hash_algorithm is not None
        assert certificate.signature_hash_algorithm.name == "sha256"
    verify: list[Argument] = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "any",
        "-CAfile",
        pki.keyring,
        "-untrusted",
        pki.chain("signer"),
    ]
    assert b": OK" in HostTools().run([*verify, pki.certificate("signer")])
