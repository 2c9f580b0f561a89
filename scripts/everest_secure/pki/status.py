"""What a PKI directory holds and whether it is in order, read from its files alone: no key is opened, no token asked."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from everest_secure.pki import access, certificates, inventory, keys
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import KEY_MODE, read_bounded
from everest_secure.pki.inventory import Entry, Inventory
from everest_secure.pki.marking import is_development
from everest_secure.pki.revocation import last_number, number
from everest_secure.pki.store import KEY_SUFFIX

EXPIRES_SOON = timedelta(days=60)
"""Time to renew a certificate and to get what it signs into the field."""


class KeyPlace(StrEnum):
    """Where the private key of a certificate is."""

    FILE = "file"
    ENCRYPTED_FILE = "encrypted file"
    TOKEN = "token"  # noqa: S105 - a place, no secret
    ELSEWHERE = "not here"
    """Off line, with whoever made the request, or lost."""


@dataclass(frozen=True, slots=True)
class ListStatus:
    """The revocation list of an authority."""

    number: int
    revoked: int
    """How many certificates are on it."""
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate of a PKI directory."""

    name: str
    """Name of its files."""
    subject: str
    """Common name."""
    issuer: str | None
    """Name of the certificate here that issued it; None when self-signed or its issuer is not here."""
    cross_issuer: str | None
    """Name of the older root that issued another certificate for this one's key."""
    key: str
    """Algorithm and size: `rsa-4096`."""
    key_place: KeyPlace
    key_uri: str | None
    """PKCS#11 URI of a key on a token; no PIN is in it."""
    development: bool
    revoked: bool
    expires: datetime
    expires_soon: bool
    revocation_list: ListStatus | None
    problems: tuple[str, ...]
    """What is not in order, a sentence each."""
    warnings: tuple[str, ...]
    """What will not be in order soon."""


@dataclass(frozen=True, slots=True)
class PkiStatus:
    """A whole PKI directory."""

    certificates: tuple[CertificateStatus, ...]
    """Each issuer before what it issued."""
    problems: tuple[str, ...]
    """Everything that is not in order, a sentence each that names the certificate."""
    warnings: tuple[str, ...]


def read(directory: Path, *, now: datetime, soon: timedelta = EXPIRES_SOON) -> PkiStatus:
    """Return what a PKI directory holds; `now` has a time zone, what ends within `soon` is a warning.

    Raises PkiError when it is no directory, holds no certificate, or one of them cannot be read.
    """
    found = inventory.read(directory)
    order = _issuers_first({name: entry.issuer for name, entry in found.entries.items()})
    listed = tuple(_status(found.entries[name], found, now=now, soon=soon) for name in order)
    problems = [f"{entry.name}: {problem}" for entry in listed for problem in entry.problems]
    problems += _stray_keys(found)
    if stat.S_IMODE(directory.stat().st_mode) & 0o077:
        problems.insert(0, f"{directory} is open to other users; chmod it to 0700")
    return PkiStatus(listed, tuple(problems), tuple(f"{entry.name}: {warning}" for entry in listed for warning in entry.warnings))


def _status(entry: Entry, found: Inventory, *, now: datetime, soon: timedelta) -> CertificateStatus:
    place, uri, problems = _key(entry, found)
    certificate, warnings = entry.certificate, list[str]()
    expires, current = certificate.not_valid_after_utc, found.lists.get(entry.name)
    revoked = found.is_revoked(entry)
    ending = [(expires, "it", "expired", "expires")]
    if entry.cross is not None:
        ending.append((entry.cross.not_valid_after_utc, f"its certificate by '{entry.cross_issuer}'", "expired", "expires"))
    if current is not None and current.next_update_utc is not None:
        ending.append((current.next_update_utc, "its revocation list", "ended", "ends"))
    for end, what, past, future in ending:
        if now > end:
            problems.append(f"{what} {past} on {end:%Y-%m-%d}")
        elif end - now < soon and not revoked:
            warnings.append(f"{what} {future} on {end:%Y-%m-%d}")
    if entry.is_authority:
        problems += _lost_list(entry, found)
    if entry.issuer is None and not entry.is_self_signed:
        problems.append("the certificate of its issuer is not here")
    return CertificateStatus(
        name=entry.name,
        subject=certificates.label(certificate),
        issuer=entry.issuer,
        cross_issuer=entry.cross_issuer,
        key=keys.describe(certificate.public_key()),
        key_place=place,
        key_uri=uri,
        development=is_development(certificate),
        revoked=revoked,
        expires=expires,
        expires_soon=expires - now < soon,
        revocation_list=ListStatus(number(current), len(list(current)), current.next_update_utc) if current is not None else None,
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def _lost_list(entry: Entry, found: Inventory) -> Iterator[str]:
    try:
        last_number(found, entry.name)
    except PkiError as error:
        yield str(error)


def _key(entry: Entry, found: Inventory) -> tuple[KeyPlace, str | None, list[str]]:
    path, uri = found.store.key(entry.name), found.store.key_uri(entry.name)
    try:
        mode = stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return _token(uri)
    problems = ["it has two keys, one in a file and one on a token; move away the one that is not its own"] if uri.is_file() else []
    problems += [] if mode == KEY_MODE else [f"its key has mode {mode:04o}; chmod it to {KEY_MODE:04o}"]
    if keys.is_encrypted(read_bounded(path)):
        return KeyPlace.ENCRYPTED_FILE, None, problems
    problems += _foreign(entry.certificate, path)
    return KeyPlace.FILE, None, problems


def _token(path: Path) -> tuple[KeyPlace, str | None, list[str]]:
    if not path.is_file():
        return KeyPlace.ELSEWHERE, None, []
    try:
        return KeyPlace.TOKEN, access.read_uri(path), []
    except PkiError as error:
        return KeyPlace.TOKEN, None, [f"{path} does not say where its key is: {error}"]


def _foreign(certificate: x509.Certificate, path: Path) -> Iterator[str]:
    try:
        if keys.load(path).public_key() != certificate.public_key():
            yield "its key does not belong to it"
    except PkiError as error:
        yield str(error)


def _stray_keys(found: Inventory) -> Iterator[str]:
    for path in sorted(found.store.directory.glob(f"*{KEY_SUFFIX}")):
        if path.name.removesuffix(KEY_SUFFIX) not in found.entries:
            yield f"{path} belongs to no certificate here; restore its certificate, or move the key away"


def _issuers_first(issuers: Mapping[str, str | None]) -> list[str]:
    ordered: list[str] = []
    todo = sorted((name for name, issuer in issuers.items() if issuer is None), reverse=True)
    while todo:
        name = todo.pop()
        ordered.append(name)
        todo += sorted((below for below, issuer in issuers.items() if issuer == name), reverse=True)
    return ordered + sorted(set(issuers) - set(ordered))
