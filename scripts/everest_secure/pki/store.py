"""Where things lie in a PKI directory, and how one is made (docs/pki.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.pki import certificates, log
from everest_secure.pki.access import Access
from everest_secure.pki.certificates import Issuer
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import CERTIFICATE_MODE, new_directory, write_new
from everest_secure.pki.profile import Profile
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri
from everest_secure.run import Tools

KEY_SUFFIX = ".key.pem"
CERTIFICATE_SUFFIX = ".cert.pem"
CROSS_SUFFIX = ".cross.pem"
LIST_SUFFIX = ".crl.pem"
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
        """Chain file: the authorities between a certificate and its root, nearest first, without both.

        Behind a root that took over from another stands its certificate by that one. `rauc bundle --intermediate` reads the first certificate of a
        file and not the next.
        """
        return self.directory / f"{name}.chain.pem"

    def key_uri(self, name: str) -> Path:
        """Text file with the PKCS#11 URI of a private key on a token, in the place of `key`."""
        return self.directory / f"{name}.key.uri"

    def cross(self, name: str) -> Path:
        """Certificate that the older root issued for a root that takes over from it, PEM."""
        return self.directory / f"{name}{CROSS_SUFFIX}"

    def revocation_list(self, name: str) -> Path:
        """Revocation list of an authority that is current, PEM."""
        return self.directory / f"{name}{LIST_SUFFIX}"

    @property
    def log(self) -> Path:
        """What was issued and revoked, when and by whom: a JSON object a line."""
        return self.directory / "log.jsonl"

    @property
    def keyring(self) -> Path:
        """Roots that a device trusts for updates, and nothing else (RAUC-02)."""
        return self.directory / "keyring.pem"


def create(
    directory: Path,
    *,
    profile: Profile,
    tools: Tools,
    now: datetime,
    passphrase: str | None = None,
    tokens: Tokens | None = None,
    on_token: Mapping[str, TokenUri] | None = None,
) -> Store:
    """Make all keys and certificates of `profile` in the new directory `directory`, mode 0700.

    Keys named in `on_token` are made on these tokens, or are those that the URIs name. The directory appears complete or not at all; a key that
    was made on a token stays there. Raises PkiError when it exists already, its parent does not, a profile with encrypted keys comes
    without a passphrase, or a token does not do its part; ToolError when `openssl` cannot encrypt.
    """
    wanted = on_token or {}
    for name in wanted.keys() - {spec.name for spec in profile.certificates}:
        raise PkiError(f"the profile has no certificate '{name}' whose key could be on a token; correct the name")
    in_files = [spec for spec in profile.certificates if spec.name not in wanted and profile.encrypted_keys and spec.encrypted_key]
    if in_files and passphrase is None:
        raise PkiError("this profile encrypts its keys; give a passphrase with --passphrase-env or --passphrase-fd, or at a terminal")
    access = Access(tools, tokens or Tokens(_no_pin), lambda _purpose, _new: passphrase or "")
    with new_directory(directory) as staging:
        _fill(Store(staging), profile=profile, access=access, now=now, on_token=wanted)
    return Store(directory)


def _no_pin(label: str) -> str:
    raise PkiError(f"nothing gives the PIN of the token '{label}'; use --pin-env or --pin-fd")


def _fill(store: Store, *, profile: Profile, access: Access, now: datetime, on_token: Mapping[str, TokenUri]) -> None:
    issued: dict[str, Issuer] = {}
    for spec in profile.certificates:
        encrypted = profile.encrypted_keys and spec.encrypted_key
        made = access.make(spec.name, spec.key, on_token=on_token.get(spec.name), encrypted=encrypted)
        issuer = issued[spec.issuer] if spec.issuer else None
        certificate = certificates.issue(spec, profile=profile, key=made.key, issuer=issuer, now=now)
        issued[spec.name] = Issuer(certificate, made.key)
        write_new(made.path(store, spec.name), made.content, mode=made.mode)
        write_new(store.certificate(spec.name), certificates.to_pem(certificate), mode=CERTIFICATE_MODE)
        chain = _intermediates(spec.name, profile=profile, issued=issued)
        if chain:
            write_new(store.chain(spec.name), certificates.to_pem(*chain), mode=CERTIFICATE_MODE)
    if profile.keyring:
        anchors = [issued[name].certificate for name in profile.keyring]
        write_new(store.keyring, certificates.to_pem(*anchors), mode=CERTIFICATE_MODE)
    lines = [log.certificate_line("init", name, each.certificate, now=now) for name, each in issued.items()]
    write_new(store.log, log.to_bytes(lines), mode=log.LOG_MODE)


def _intermediates(name: str, *, profile: Profile, issued: Mapping[str, Issuer]) -> list[x509.Certificate]:
    issuer_of = {spec.name: spec.issuer for spec in profile.certificates}
    chain = []
    above = issuer_of[name]
    while above is not None and issuer_of[above] is not None:
        chain.append(issued[above].certificate)
        above = issuer_of[above]
    return chain
