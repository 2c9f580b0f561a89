"""Where things lie in a PKI directory, and how one is made (docs/pki.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.pki import certificates, keys
from everest_secure.pki.certificates import Issuer
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import CERTIFICATE_MODE, KEY_MODE, new_directory, write_new
from everest_secure.pki.profile import Profile
from everest_secure.run import Tools

KEY_SUFFIX = ".key.pem"
CERTIFICATE_SUFFIX = ".cert.pem"
SIGNER = "signer"
"""Name of the bundle signer in the shipped profiles."""
SECURE_BOOT = "secure-boot-db"
"""Name of the signer of EFI programs and FITs in the shipped profiles."""


@dataclass(frozen=True, slots=True)
class Store:
    """Names of the files of a PKI directory."""

    directory: Path

    def key(self, name: str) -> Path:
        """Private key, PKCS#8 PEM, mode 0600."""
        return self.directory / f"{name}{KEY_SUFFIX}"

    def certificate(self, name: str) -> Path:
        """Certificate, PEM."""
        return self.directory / f"{name}{CERTIFICATE_SUFFIX}"

    def chain(self, name: str) -> Path:
        """Chain file: the authorities between a certificate and its root, nearest first, without both: what `rauc bundle --intermediate` wants."""
        return self.directory / f"{name}.chain.pem"

    @property
    def keyring(self) -> Path:
        """Roots that a device trusts for updates, and nothing else (RAUC-02)."""
        return self.directory / "keyring.pem"


def create(directory: Path, *, profile: Profile, tools: Tools, now: datetime, passphrase: str | None = None) -> Store:
    """Make all keys and certificates of `profile` in the new directory `directory`, mode 0700.

    It appears complete or not at all. Raises PkiError when it exists already, its parent does not, or a profile with encrypted keys comes
    without a passphrase; ToolError when `openssl` cannot encrypt.
    """
    if profile.encrypted_keys and passphrase is None:
        raise PkiError("this profile encrypts its keys; give a passphrase with --passphrase-env or --passphrase-fd, or at a terminal")
    with new_directory(directory) as staging:
        _fill(Store(staging), profile=profile, tools=tools, now=now, passphrase=passphrase if profile.encrypted_keys else None)
    return Store(directory)


def _fill(store: Store, *, profile: Profile, tools: Tools, now: datetime, passphrase: str | None) -> None:
    issued: dict[str, Issuer] = {}
    for spec in profile.certificates:
        key = keys.generate(spec.key)
        issuer = issued[spec.issuer] if spec.issuer else None
        certificate = certificates.issue(spec, profile=profile, key=key, issuer=issuer, now=now)
        issued[spec.name] = Issuer(certificate, key)
        pem = keys.to_pem(key) if passphrase is None else keys.to_encrypted_pem(key, passphrase=passphrase, tools=tools)
        write_new(store.key(spec.name), pem, mode=KEY_MODE)
        write_new(store.certificate(spec.name), certificates.to_pem(certificate), mode=CERTIFICATE_MODE)
        chain = _intermediates(spec.name, profile=profile, issued=issued)
        if chain:
            write_new(store.chain(spec.name), certificates.to_pem(*chain), mode=CERTIFICATE_MODE)
    anchors = [issued[name].certificate for name in profile.keyring]
    write_new(store.keyring, certificates.to_pem(*anchors), mode=CERTIFICATE_MODE)


def _intermediates(name: str, *, profile: Profile, issued: Mapping[str, Issuer]) -> list[x509.Certificate]:
    issuer_of = {spec.name: spec.issuer for spec in profile.certificates}
    chain = []
    above = issuer_of[name]
    while above is not None and issuer_of[above] is not None:
        chain.append(issued[above].certificate)
        above = issuer_of[above]
    return chain
