"""X.509 certificates: reading PEM and DER, building and judging chains (RFC 5280)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.errors import ArtefactError

MAX_CERTIFICATES = 1000
MAX_CHAIN = 10
WEAK_HASHES = ("md5", "sha1")
_PEM = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL)
_E = TypeVar("_E", bound=x509.ExtensionType)
Certificates = tuple[x509.Certificate, ...]


def parse_certificates(data: bytes, where: str) -> Certificates:
    """Read all certificates of a PEM file in order, or the one of a DER file; raises ArtefactError for a damaged one.

    Empty for a file that holds none.
    """
    try:
        if data[:1] == b"\x30":
            return (x509.load_der_x509_certificate(data),)
        blocks = _PEM.findall(data)
        if len(blocks) > MAX_CERTIFICATES:
            raise ArtefactError(f"{where} holds more than {MAX_CERTIFICATES} certificates; it is no store of a charger")
        return tuple(x509.load_pem_x509_certificate(block) for block in blocks)
    except ValueError:
        raise ArtefactError(f"{where} holds a certificate that cannot be read; replace the file") from None


def subject(certificate: x509.Certificate) -> str:
    """Return the subject as RFC 4514 text."""
    return certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}"


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` made the certificate: names fit and its key verifies the signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is self-issued and its own key verifies it."""
    return certificate.subject == certificate.issuer and issued_by(certificate, certificate)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue: basicConstraints says CA, and keyUsage, if there, allows to sign certificates."""
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def key_bits(certificate: x509.Certificate) -> tuple[str, int]:
    """Return kind and size of the public key: `RSA` 4096, `EC` 256; size 0 for kinds of one size."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.curve.key_size
    return type(key).__name__.removesuffix("PublicKey").lstrip("_"), 0


def signature_hash(certificate: x509.Certificate) -> HashAlgorithm | None:
    """Return the hash of its signature; None where the algorithm has its own (Ed25519)."""
    return certificate.signature_hash_algorithm


@dataclass(frozen=True, slots=True)
class Chain:
    """A leaf up to its root or as far as issuers were found."""

    certificates: Certificates
    """Leaf first."""
    anchored: bool
    """Whether the last one is a trust anchor."""


def build_chain(leaf: x509.Certificate, *, intermediates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> Chain:
    """Follow issuers from the leaf to an anchor; signatures are verified at every step."""
    chain = [leaf]
    while len(chain) < MAX_CHAIN:
        if chain[-1] in anchors:
            return Chain(tuple(chain), anchored=True)
        candidates = [*anchors, *(each for each in intermediates if each not in chain)]
        issuer = next((each for each in candidates if each != chain[-1] and issued_by(chain[-1], each)), None)
        if issuer is None:
            break
        chain.append(issuer)
    return Chain(tuple(chain), anchored=False)


def chain_faults(chain: Chain, *, at: datetime) -> list[str]:
    """Return what is wrong with a chain, one sentence each: validity, authority, path length, weak signatures, missing anchor."""
    faults = []
    if not chain.anchored:
        faults.append(f"the chain ends at '{subject(chain.certificates[-1])}' without reaching a trust anchor")
    for depth, certificate in enumerate(chain.certificates):
        name = subject(certificate)
        if at < certificate.not_valid_before_utc:
            faults.append(f"'{name}' is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")
        if at > certificate.not_valid_after_utc:
            faults.append(f"'{name}' expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        weak = signature_hash(certificate)
        if weak is not None and weak.name in WEAK_HASHES and not is_root(certificate):
            faults.append(f"'{name}' is signed with {weak.name.upper()}")
        if depth and not is_authority(certificate):
            faults.append(f"'{name}' issued a certificate but is no authority")
        constraints = _extension(certificate, x509.BasicConstraints) if depth else None
        if constraints and constraints.path_length is not None and depth - 1 > constraints.path_length:
            faults.append(f"'{name}' allows {constraints.path_length} authorities below it, and there are {depth - 1}")
    return faults


def code_signing_faults(chain: Chain) -> list[str]:
    """Return why RAUC's purpose `codesign` refuses the chain: EKU of the leaf, its key usage, and the EKU of authorities that have one."""
    leaf, *authorities = chain.certificates
    faults = []
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        faults.append(f"'{subject(leaf)}' is not for code signing: its extended key usage lacks codeSigning")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        faults.append(f"'{subject(leaf)}' may not sign: its key usage lacks digitalSignature")
    for authority in authorities:
        extended = _extension(authority, x509.ExtendedKeyUsage)
        if extended is not None and ExtendedKeyUsageOID.CODE_SIGNING not in extended:
            faults.append(f"the authority '{subject(authority)}' is limited to usages without codeSigning")
    return faults
