"""What somebody asks for on a command line, turned into what a profile would say of it."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from everest_secure.pki import certificates, inventory, keys
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.profile import CertificateSpec, Usage, general_names
from everest_secure.pki.revocation import REASONS

MAX_COMMON_NAME = 64
"""RFC 5280, appendix A.1 (ub-common-name)."""
_E = TypeVar("_E", bound=StrEnum)


def spec(
    directory: Path,
    *,
    name: str,
    issuer: str,
    usage: str,
    common_name: str,
    days: int,
    key_type: str | None = None,
    path_length: int | None = None,
    dns_names: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> CertificateSpec:
    """Return what is wanted of a certificate; its key is of the issuer's type unless said otherwise. Raises PkiError for what no profile could say."""
    wanted = _one_of(Usage, usage, "usage")
    authority = wanted is Usage.AUTHORITY
    if path_length is not None and not authority:
        raise PkiError(f"a certificate for '{usage}' issues no others and has no path length; leave --path-length out")
    certificates.lifetime(days)
    if not 1 <= len(common_name) <= MAX_COMMON_NAME or not common_name.isprintable():
        raise PkiError(f"a common name has 1 to {MAX_COMMON_NAME} printable characters; correct --common-name")
    names = general_names(dns_names, addresses)
    if wanted is Usage.TLS_SERVER and not names:
        raise PkiError("a TLS server is found by the names in its certificate and this one has none; give it some with --dns or --ip")
    found = key_type or keys.describe(inventory.read(directory).authority(issuer).certificate.public_key())
    key = _one_of(KeyType, found, "key type")
    return CertificateSpec(name, common_name, wanted, key, days, issuer, (path_length or 0) if authority else None, names)


def reason(word: str) -> x509.ReasonFlags:
    """Return a reason for a revocation; raises PkiError for an unknown one."""
    if word not in REASONS:
        raise PkiError(f"there is no reason '{word}' for a revocation; use {', '.join(REASONS)}")
    return REASONS[word]


def _one_of(kind: type[_E], word: str, what: str) -> _E:
    try:
        return kind(word)
    except ValueError:
        raise PkiError(f"there is no {what} '{word}'; use {', '.join(kind)}") from None
