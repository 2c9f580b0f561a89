"""What a PKI directory holds and whether it is in order, read from its files alone."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from everest_secure.parse.certificates import issued_by
from everest_secure.pki import certificates, keys
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import KEY_MODE, read_bounded
from everest_secure.pki.marking import is_development
from everest_secure.pki.store import CERTIFICATE_SUFFIX, Store

EXPIRES_SOON = timedelta(days=60)
"""Time to renew a certificate and to get what it signs into the field."""


class KeyPlace(StrEnum):
    """Where the private key of a certificate is."""

    FILE = "file"
    ENCRYPTED_FILE = "encrypted file"
    ELSEWHERE = "not here"
    """Off line, on a token, or lost."""


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate of a PKI directory."""

    name: str
    """Name of its files."""
    subject: str
    """Common name."""
    issuer: str | None
    """Name of the certificate here that issued it; None when self-signed or its issuer is not here."""
    key: str
    """Algorithm and size: `rsa-4096`."""
    key_place: KeyPlace
    development: bool
    expires: datetime
    expires_soon: bool
    problems: tuple[str, ...]
    """What is not in order, a sentence each."""


@dataclass(frozen=True, slots=True)
class PkiStatus:
    """A whole PKI directory."""

    certificates: tuple[CertificateStatus, ...]
    """Each issuer before what it issued."""
    problems: tuple[str, ...]
    """Everything that is not in order, a sentence each that names the certificate."""


def read(directory: Path, *, now: datetime) -> PkiStatus:
    """Return what a PKI directory holds; `now` has a time zone.

    Raises PkiError when it is no directory, holds no certificate, or one of them cannot be read.
    """
    if not directory.is_dir():
        raise PkiError(f"{directory} is no directory; name one that 'everest-secure pki init' made")
    files = sorted(directory.glob(f"*{CERTIFICATE_SUFFIX}"))
    if not files:
        raise PkiError(f"{directory} holds no *{CERTIFICATE_SUFFIX}; name a directory that 'everest-secure pki init' made")
    found = {path.name.removesuffix(CERTIFICATE_SUFFIX): certificates.load_one(path) for path in files}
    issuers = {name: _issuer(name, found) for name in found}
    store = Store(directory)
    listed = tuple(_status(name, found[name], issuers[name], store=store, now=now) for name in _issuers_first(issuers))
    problems = [f"{entry.name}: {problem}" for entry in listed for problem in entry.problems]
    if stat.S_IMODE(directory.stat().st_mode) & 0o077:
        problems.insert(0, f"{directory} is open to other users; chmod it to 0700")
    return PkiStatus(listed, tuple(problems))


def _status(name: str, certificate: x509.Certificate, issuer: str | None, *, store: Store, now: datetime) -> CertificateStatus:
    place, problems = _key(certificate, store.key(name))
    expires = certificate.not_valid_after_utc
    if now > expires:
        problems.append(f"it expired on {expires:%Y-%m-%d}")
    if issuer is None and certificate.issuer != certificate.subject:
        problems.append("the certificate of its issuer is not here")
    return CertificateStatus(
        name=name,
        subject=certificates.label(certificate),
        issuer=issuer,
        key=keys.describe(certificate.public_key()),
        key_place=place,
        development=is_development(certificate),
        expires=expires,
        expires_soon=expires - now < EXPIRES_SOON,
        problems=tuple(problems),
    )


def _key(certificate: x509.Certificate, path: Path) -> tuple[KeyPlace, list[str]]:
    try:
        mode = stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return KeyPlace.ELSEWHERE, []
    problems = [] if mode == KEY_MODE else [f"its key has mode {mode:04o}; chmod it to {KEY_MODE:04o}"]
    if keys.is_encrypted(read_bounded(path)):
        return KeyPlace.ENCRYPTED_FILE, problems
    try:
        if keys.load(path).public_key() != certificate.public_key():
            problems.append("its key does not belong to it")
    except PkiError as error:
        problems.append(str(error))
    return KeyPlace.FILE, problems


def _issuer(name: str, found: Mapping[str, x509.Certificate]) -> str | None:
    for other, candidate in found.items():
        if other != name and issued_by(found[name], candidate):
            return other
    return None


def _issuers_first(issuers: Mapping[str, str | None]) -> list[str]:
    ordered: list[str] = []
    todo = sorted((name for name, issuer in issuers.items() if issuer is None), reverse=True)
    while todo:
        name = todo.pop()
        ordered.append(name)
        todo += sorted((below for below, issuer in issuers.items() if issuer == name), reverse=True)
    return ordered + sorted(set(issuers) - set(ordered))
