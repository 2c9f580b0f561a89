"""Certificate revocation lists (RFC 5280, 5) and what OpenSSL asks of them when it checks the whole chain (X509_V_FLAG_CRL_CHECK_ALL)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from everest_secure.errors import ArtefactError
from everest_secure.parse.certificates import extension, public_key, subject
from everest_secure.parse.chain import Fault, FaultKind

MAX_LISTS = 100
_UNDERSTOOD = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.DELTA_CRL_INDICATOR})
_BEGIN, _END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
RevocationList = x509.CertificateRevocationList


def parse_revocation_lists(data: bytes, where: str) -> tuple[RevocationList, ...]:
    """Read all lists of a PEM file in order; raises ArtefactError for a damaged one and for more than a keyring holds."""
    pieces = data.split(_BEGIN, MAX_LISTS + 1)[1:]
    blocks = [_BEGIN + piece[: piece.index(_END)] + _END for piece in pieces if _END in piece]
    if len(blocks) > MAX_LISTS:
        raise ArtefactError(f"{where} holds more than {MAX_LISTS} revocation lists; it is no keyring of a charger")
    try:
        return tuple(_loaded(block) for block in blocks)
    except (ValueError, TypeError, x509.InvalidVersion):
        raise ArtefactError(f"{where} holds a revocation list that cannot be read; replace the file") from None


def _loaded(block: bytes) -> RevocationList:
    """Return a list whose parts that are parsed on demand have been parsed; raises ValueError for a damaged one."""
    found = x509.load_pem_x509_crl(block)
    _ = found.issuer, found.last_update_utc, found.next_update_utc
    for _ in found:
        pass
    return found


def is_of(revoked: RevocationList, authority: x509.Certificate) -> bool:
    """Whether a list was issued by an authority: the name fits and its key verifies the signature."""
    if revoked.issuer != authority.subject:
        return False
    try:
        return revoked.is_signature_valid(public_key(authority))  # type: ignore[arg-type]  # a key of another kind is a TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def list_faults(authority: x509.Certificate, lists: Sequence[RevocationList], *, at: datetime, days: int) -> Iterator[Fault]:
    """Yield why an authority has no list that OpenSSL accepts at a time with a zone, or only one that ends within `days`."""
    found = [each for each in lists if is_of(each, authority)]
    own = [each for each in found if _is_whole(each)]
    name, usage = subject(authority), extension(authority, x509.KeyUsage)
    current = [each for each in own if each.last_update_utc <= at and (each.next_update_utc is None or at <= each.next_update_utc)]
    if found and usage is not None and not usage.crl_sign:
        what, remedy = f"'{name}' may not sign revocation lists: its key usage lacks cRLSign", "let it be issued with that"
        yield Fault(FaultKind.REVOCATION_LIST, what, remedy)
    elif found and not own:
        what = f"the revocation list of '{name}' is for a part of its certificates, or has a critical extension that is not understood"
        yield Fault(FaultKind.REVOCATION_LIST, what, "issue one for all of them")
    elif not own:
        what, remedy = f"there is no revocation list of '{name}'", "put the lists of all authorities into the keyring"
        yield Fault(FaultKind.REVOCATION_LIST, what, remedy)
    elif not current:
        newest = max((each.next_update_utc for each in own if each.next_update_utc), default=None)
        until = f" (it ended on {newest:%Y-%m-%d})" if newest else ""
        what, remedy = f"no revocation list of '{name}' is valid now{until}", "issue a new list and ship it with the next image"
        yield Fault(FaultKind.REVOCATION_LIST, what, remedy)
    elif all(each.next_update_utc is not None and each.next_update_utc < at + timedelta(days=days) for each in current):
        ends = max(each.next_update_utc for each in current if each.next_update_utc)
        what = f"the revocation list of '{name}' ends on {ends:%Y-%m-%d}, in less than {days} days"
        yield Fault(FaultKind.REVOCATION_LIST, what, "issue a new list in time")


def _is_whole(revoked: RevocationList) -> bool:
    """Whether OpenSSL takes a list for one of all certificates (crypto/x509/x_crl.c): no delta, no part, nothing critical that it does not know."""
    try:
        extensions = tuple(revoked.extensions)
        entries = tuple(each for entry in revoked for each in entry.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    if any(each.critical and each.oid not in _UNDERSTOOD for each in extensions):
        return False
    if any(each.critical and each.oid != CRLEntryExtensionOID.CERTIFICATE_ISSUER for each in entries):
        return False
    return not any(isinstance(each.value, x509.DeltaCRLIndicator) or _is_part(each.value) for each in extensions)


def _is_part(value: x509.ExtensionType) -> bool:
    if not isinstance(value, x509.IssuingDistributionPoint):
        return False
    limits = (
        value.only_contains_ca_certs,
        value.only_contains_attribute_certs,
        value.only_some_reasons,
        value.full_name,
        value.relative_name,
    )
    return any(limits)


def is_revoked(certificate: x509.Certificate, authority: x509.Certificate, lists: Sequence[RevocationList]) -> bool:
    """Whether a list of its authority names a certificate."""
    return any(each.get_revoked_certificate_by_serial_number(certificate.serial_number) for each in lists if is_of(each, authority))
