"""The vectors of tests/vectors/certificates.yml, made into files at test time: stores, chains and keys that never lie in the repository.

A test lays one out and runs its program on it::

    made = Workshop(tmp_path).lay_out(vector)
    made.store    # the store as a directory, with modes, and with owners when the test is root
    made.offered  # the file to be installed; None for `check`
    made.key      # the key file to be installed with it, or None

Keys of certificates that say `key: tpm` are files as the TPM's provider writes them, without a TPM behind them; a test with a real TPM (or a
software one) gives `make_tpm_key`, and the certificates are then issued for its keys.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.described import KEYS, Key, issue
from support.described import Contents as Contents  # noqa: PLC0414 - whoever writes a vector imports it from here
from support.tss import tss_private_key

TABLE = Path(__file__).parents[1] / "vectors/certificates.yml"
MakeTpmKey = Callable[[Path], None]
"""Writes a new EC P-256 key of a TPM as `TSS2 PRIVATE KEY` to a path, and its public key in PEM to the path with `.pub` behind it."""


@cache
def table() -> Mapping[str, Any]:
    """Return the whole table."""
    found: Mapping[str, Any] = yaml.safe_load(TABLE.read_text())
    return found


@dataclass(frozen=True)
class Vector:
    """One row of the table."""

    name: str
    do: Literal["check", "check csms secc", "install ca", "install csms", "install secc"]
    verdict: Literal["accepted", "refused"]
    requirement: str
    reason: str = ""
    """A word of the table's reasons; empty when it is accepted."""
    kind: str = ""
    """Of the authority that is installed: v2g, csms, mf, mo."""
    offered: Contents | None = None
    key: Contents | None = None
    store: Contents | None = None


def vectors(*actions: str) -> tuple[Vector, ...]:
    """Return the vectors in order, all or those of some actions."""
    found = tuple(Vector(**row) for row in table()["vectors"])
    return tuple(vector for vector in found if vector.do in actions) if actions else found


def sentence(vector: Vector) -> str:
    """Name of the test."""
    return vector.name


@dataclass(frozen=True)
class Member:
    """A file, link or directory of a store; directories have no content."""

    path: str
    """Below the store, such as `ca/v2g/V2G_ROOT_CA.pem`."""
    mode: int
    owner: str
    """`everest` or `root`."""
    content: bytes | None = None
    link: str = ""
    """Path below the store that it leads to."""


@dataclass(frozen=True)
class LaidOut:
    """What a vector has become on the disk."""

    store: Path
    offered: Path | None
    key: Path | None


class Workshop:
    """Makes what vectors name, each certificate and key once, so that all vectors of a test session can share one."""

    def __init__(self, directory: Path, make_tpm_key: MakeTpmKey | None = None) -> None:
        self._directory = directory
        self._make_tpm_key = make_tpm_key
        self._keys: dict[str, tuple[Key | None, Any]] = {}
        self._certificates: dict[str, x509.Certificate] = {}

    def lay_out(self, vector: Vector) -> LaidOut:
        """Write store, offered file and key below a new directory."""
        self._directory.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f"{vector.name.replace(' ', '-')}.", dir=self._directory))
        offered, key = place / "offered.pem", place / "offered.key"
        if vector.offered is not None:
            offered.write_bytes(self._content(vector.offered))
        if vector.key is not None:
            key.write_bytes(self._key_file(vector.key))
            key.chmod(0o600)
        store = place / "store"
        write(self.members(vector), store)
        return LaidOut(store, offered if vector.offered is not None else None, key if vector.key is not None else None)

    def members(self, vector: Vector) -> tuple[Member, ...]:
        """Return what the vector's store holds, directories before what is in them."""
        wanted = {path: dict(contents) for path, contents in table()["store"].items()}
        for path, contents in (vector.store or {}).items():
            described = wanted.get(path, {}) if contents.keys() <= {"mode", "owner"} else {}
            wanted[path] = {**described, **contents}
        return tuple(self._member(path, contents) for path, contents in sorted(wanted.items()) if not contents.get("absent"))

    def chain(self, *names: str) -> bytes:
        """Return certificates in PEM, in order."""
        return b"".join(self.certificate(name).public_bytes(serialization.Encoding.PEM) for name in names)

    def certificate(self, name: str) -> x509.Certificate:
        """Return the certificate of a name of the table."""
        if name not in self._certificates:
            self._certificates[name] = self._issue(name, table()["certificates"][name])
        return self._certificates[name]

    def key_pem(self, name: str, form: str = "pkcs8") -> bytes:
        """Return the private key of a certificate: of the TPM, or in one of the forms that software keys have."""
        private, _ = self._key(name)
        if table()["certificates"][name].get("key") == "tpm":
            return self._tpm_file(name).read_bytes()
        assert private is not None
        layout = serialization.PrivateFormat.TraditionalOpenSSL if form == "sec1" else serialization.PrivateFormat.PKCS8
        hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if form == "encrypted":
            hidden = serialization.BestAvailableEncryption(b"a passphrase that nobody is asked for")
        return private.private_bytes(serialization.Encoding.PEM, layout, hidden)

    def _member(self, path: str, contents: Contents) -> Member:
        is_directory = not contents.keys() & {"certificates", "der", "text", "key", "link"}
        mode = int(contents.get("mode", "0700" if is_directory else "0600"), 8)
        content = None if is_directory else self._content(contents)
        return Member(path, mode, contents.get("owner", "everest"), content, contents.get("link", ""))

    def _content(self, contents: Contents) -> bytes:
        if "certificates" in contents:
            return self.chain(*contents["certificates"])
        if "der" in contents:
            return self.certificate(contents["der"]).public_bytes(serialization.Encoding.DER)
        if "key" in contents:
            return self.key_pem(contents["key"])
        return str(contents.get("text", "")).encode()

    def _key_file(self, contents: Contents) -> bytes:
        return self.key_pem(contents["of"], contents.get("form", "pkcs8")) if "of" in contents else str(contents["text"]).encode()

    def _key(self, name: str) -> tuple[Key | None, Any]:
        """Return the private key, which is None where a TPM has it, and the public key."""
        if name not in self._keys:
            kind = table()["certificates"][name].get("key", "ec-256")
            if kind == "tpm" and self._make_tpm_key is not None:
                file = self._tpm_file(name)
                self._make_tpm_key(file)
                self._keys[name] = None, serialization.load_pem_public_key(file.with_name(f"{file.name}.pub").read_bytes())
            else:
                private = KEYS[kind]()
                if kind == "tpm":
                    assert isinstance(private, ec.EllipticCurvePrivateKey)
                    self._tpm_file(name).write_text(tss_private_key(private.public_key()))
                self._keys[name] = private, private.public_key()
        return self._keys[name]

    def _tpm_file(self, name: str) -> Path:
        place = self._directory / "tpm-keys"
        place.mkdir(parents=True, exist_ok=True)
        return place / name

    def _issue(self, name: str, wanted: Contents) -> x509.Certificate:
        issuer = self.certificate(wanted["by"]) if "by" in wanted else None
        signer, _ = self._key(wanted.get("by", name))
        assert signer is not None, f"{name}: a key in a TPM issues no certificates here"
        return issue(name, wanted, public=self._key(name)[1], signer=signer, issuer=issuer)


def write(members: tuple[Member, ...], store: Path) -> None:
    """Write a store as a directory; owners are set when the test is root, and are the test's user otherwise."""
    store.mkdir()
    store.chmod(0o700)
    _own(store, "everest")
    for member in members:
        path = store / member.path
        if member.content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.link:
                path.symlink_to(os.path.relpath(store / member.link, path.parent))
            else:
                path.write_bytes(member.content)
        if not member.link:
            path.chmod(member.mode)
        _own(path, member.owner)
    for directory in {store / parent for member in members for parent in Path(member.path).parents} - {store / m.path for m in members}:
        directory.chmod(0o700)
        _own(directory, "everest")


def _own(path: Path, owner: str) -> None:
    if os.geteuid() == 0:
        number = table()["policy"]["uid"] if owner == "everest" else 0
        os.chown(path, number, number, follow_symlinks=False)
