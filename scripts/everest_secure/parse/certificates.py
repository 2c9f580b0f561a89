"""X.509 certificates: read from PEM and DER, and what each says of itself (RFC 5280)."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from everest_secure.errors import ArtefactError

MAX_CERTIFICATES = 1000
WEAK_DIGESTS = ("md5", "sha1", "sha224")
_MARK = re.compile(rb"-----(BEGIN|END) (?:X509 |TRUSTED )?CERTIFICATE-----")
UNKNOWN = "an unknown algorithm"
"""What the digest under a signature is called when the library does not know it."""
_E = TypeVar("_E", bound=x509.ExtensionType)
Certificates = tuple[x509.Certificate, ...]


def parse_certificates(data: bytes, where: str) -> Certificates:
    """Read all certificates of a PEM file in order, or the one of a DER file; raises ArtefactError for a damaged one.

    Empty for a file that holds none.
    """
    try:
        if data[:1] == b"\x30":
            return (load_der(data),)
        blocks = list(islice(_pem_blocks(data), MAX_CERTIFICATES + 1))
        if len(blocks) > MAX_CERTIFICATES:
            raise ArtefactError(f"{where} holds more than {MAX_CERTIFICATES} certificates; it is no store of a charger")
        return tuple(_loaded(x509.load_pem_x509_certificate, block) for block in blocks)
    except ValueError:
        raise ArtefactError(f"{where} holds a certificate that cannot be read; replace the file") from None


def load_der(data: bytes) -> x509.Certificate:
    """Read one certificate in DER; raises ValueError for a damaged one, also where the library would only notice later."""
    return _loaded(x509.load_der_x509_certificate, data)


def _loaded(load: Callable[[bytes], x509.Certificate], data: bytes) -> x509.Certificate:
    """Return a certificate whose parts that are parsed on demand have been parsed; extensions say of themselves when they are damaged."""
    try:
        certificate = load(data)
        _ = certificate.subject, certificate.issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (x509.InvalidVersion, TypeError) as error:
        raise ValueError(error) from None
    public_key(certificate)
    weak_digest(certificate)
    return certificate


def _pem_blocks(data: bytes) -> Iterator[bytes]:
    """Yield each block from a beginning to the next end; in one pass, as a file may hold a million beginnings and no end."""
    begin = -1
    for mark in _MARK.finditer(data):
        if mark[1] == b"BEGIN" and begin < 0:
            begin = mark.start()
        elif mark[1] == b"END" and begin >= 0:
            yield data[begin : mark.end()]
            begin = -1


def subject(certificate: x509.Certificate) -> str:
    """Return the subject as RFC 4514 text."""
    return certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}"


def common_name(certificate: x509.Certificate) -> str | None:
    """Return the first common name of the subject; None when it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` made the certificate: names fit, its key verifies the signature, and the key identifier names no other."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return not _names_another(certificate, issuer)


def _names_another(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the authority key identifier is that of another certificate, which OpenSSL looks for then (crypto/x509/v3_purp.c, X509_check_akid).

    Extensions that cannot be read name nobody here; who looks at them says so.
    """
    try:
        wanted, own = extension(certificate, x509.AuthorityKeyIdentifier), extension(issuer, x509.SubjectKeyIdentifier)
    except ArtefactError:
        return False
    if wanted is None:
        return False
    names = [each.value for each in wanted.authority_cert_issuer or () if isinstance(each, x509.DirectoryName)]
    return (
        (wanted.key_identifier is not None and own is not None and wanted.key_identifier != own.digest)
        or (wanted.authority_cert_serial_number is not None and wanted.authority_cert_serial_number != issuer.serial_number)
        or (bool(names) and names[0] != issuer.issuer)
    )


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is self-issued and its own key verifies it."""
    return certificate.subject == certificate.issuer and issued_by(certificate, certificate)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue: basicConstraints says CA, and keyUsage, if there, allows to sign certificates."""
    constraints = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def all_extensions(certificate: x509.Certificate) -> x509.Extensions:
    """Return the extensions; raises ArtefactError when they cannot be read."""
    try:
        return certificate.extensions
    except (ValueError, x509.DuplicateExtension):
        raise ArtefactError(f"the extensions of '{subject(certificate)}' cannot be read; issue the certificate again") from None


def extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    """Return an extension, None when it is not there; raises ArtefactError when the extensions cannot be read."""
    try:
        return all_extensions(certificate).get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    """Return the public key; None for a kind that the library does not know."""
    try:
        return certificate.public_key()
    except UnsupportedAlgorithm:
        return None


def key_bits(certificate: x509.Certificate) -> tuple[str, int]:
    """Return kind and size of the public key: `RSA` 4096, `EC` 256; size 0 for kinds of one size and for an unknown one."""
    key = public_key(certificate)
    if key is None:
        return "of an unknown kind", 0
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.curve.key_size
    return type(key).__name__.removesuffix("PublicKey").lstrip("_"), 0


def weak_digest(certificate: x509.Certificate) -> str:
    """Return the name of the digest under its signature when that is too weak or unknown, else an empty text."""
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return UNKNOWN
    return digest.name.upper() if digest is not None and digest.name in WEAK_DIGESTS else ""
