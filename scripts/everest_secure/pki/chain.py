"""Whether a certificate signs update bundles that a device with a given keyring accepts.

The rules are those of RFC 5280 section 6.1 and of RAUC's `check-purpose=codesign` (its reference, section keyring): decided here, before
anything is signed, with a reason that a person understands.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.pki.certificates import label
from everest_secure.pki.errors import PkiError

ExtensionValue = TypeVar("ExtensionValue", bound=x509.ExtensionType)

MAX_CERTIFICATES = 64
"""Certificates offered as intermediates or anchors."""
WEAK_DIGESTS = (hashes.MD5, hashes.SHA1, hashes.SHA224)
MIN_CURVE_BITS = 256


def build(
    leaf: x509.Certificate, *, intermediates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return the chain from `leaf` to one of `anchors`, both included.

    Raises PkiError naming the missing issuer when there is none, or the certificate on the way that is signed with a broken digest.
    """
    if len(intermediates) > MAX_CERTIFICATES or len(anchors) > MAX_CERTIFICATES:
        raise PkiError(f"more than {MAX_CERTIFICATES} certificates were given to build a chain from; give only those that belong to it")
    chain = [leaf]
    while chain[-1] not in anchors:
        _require_strong_digest(chain[-1])
        above = _issuer(chain[-1], anchors) or _issuer(chain[-1], [c for c in intermediates if c not in chain])
        if above is None:
            raise PkiError(
                f"the certificate '{label(chain[-1])}' was issued by '{chain[-1].issuer.rfc4514_string()}', which is neither in the keyring "
                "nor among the intermediates; give the missing certificate or the right keyring"
            )
        chain.append(above)
    return tuple(chain)


def require_bundle_signing(chain: Sequence[x509.Certificate], *, now: datetime, min_rsa_bits: int) -> None:
    """Raise PkiError unless `chain`, leaf first and root last, may sign bundles at `now`.

    Looked at: validity and key size of each, the leaf's purpose, the authorities' right to sign and their path lengths.
    """
    for certificate in chain:
        _require_valid(certificate, now)
        _require_strong_key(certificate, min_rsa_bits)
    _require_signer(chain[0])
    for below, authority in enumerate(chain[1:]):
        _require_authority(authority, below)


def _issuer(certificate: x509.Certificate, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    for candidate in candidates:
        try:
            certificate.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return candidate
    return None


def _require_strong_digest(certificate: x509.Certificate) -> None:
    digest = certificate.signature_hash_algorithm
    if isinstance(digest, WEAK_DIGESTS):
        raise PkiError(f"the certificate '{label(certificate)}' is signed with {digest.name.upper()}; issue it again with SHA-256")


def _require_valid(certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise PkiError(
            f"the certificate '{label(certificate)}' expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; use a new one"
        )
    if now < certificate.not_valid_before_utc:
        raise PkiError(
            f"the certificate '{label(certificate)}' is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; check the clock"
        )


def _require_strong_key(certificate: x509.Certificate, min_rsa_bits: int) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < min_rsa_bits:
            raise PkiError(
                f"the RSA key of '{label(certificate)}' has {key.key_size} bits, at least {min_rsa_bits} are wanted; use a longer key"
            )
    elif not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size < MIN_CURVE_BITS:
        raise PkiError(f"the key of '{label(certificate)}' is neither RSA nor ECDSA of at least {MIN_CURVE_BITS} bits; use one that is")


def _require_signer(leaf: x509.Certificate) -> None:
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    usage = _extension(leaf, x509.KeyUsage)
    constraints = _extension(leaf, x509.BasicConstraints)
    if purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise PkiError(
            f"the certificate '{label(leaf)}' is not for code signing: RAUC with check-purpose=codesign wants the extended key usage codeSigning; "
            "use a bundle signer's certificate"
        )
    if usage is not None and not usage.digital_signature:
        raise PkiError(f"the key usage of '{label(leaf)}' lacks digitalSignature; use a bundle signer's certificate")
    if constraints is not None and constraints.ca:
        raise PkiError(f"the certificate '{label(leaf)}' is an authority; sign bundles with a certificate that it issued")


def _require_authority(authority: x509.Certificate, below: int) -> None:
    constraints = _extension(authority, x509.BasicConstraints)
    usage = _extension(authority, x509.KeyUsage)
    purposes = _extension(authority, x509.ExtendedKeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise PkiError(
            f"the certificate '{label(authority)}' may not issue certificates; check which intermediates and keyring belong together"
        )
    if constraints.path_length is not None and below > constraints.path_length:
        raise PkiError(
            f"the authority '{label(authority)}' allows {constraints.path_length} authorities below it and the chain has {below}; shorten the chain"
        )
    if purposes is not None and ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise PkiError(f"the authority '{label(authority)}' is limited to other purposes than code signing; use another")


def _extension(certificate: x509.Certificate, kind: type[ExtensionValue]) -> ExtensionValue | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension):
        raise PkiError(f"the extensions of '{label(certificate)}' cannot be read; issue it again") from None
