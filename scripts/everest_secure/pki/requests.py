"""Certificate signing requests (PKCS#10), which others made: nothing in one is believed but the public key."""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from everest_secure.parse.certificates import WEAK_DIGESTS
from everest_secure.parse.requests import load_request
from everest_secure.pki import keys
from everest_secure.pki.certificates import PURPOSES
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import read_bounded
from everest_secure.pki.keys import KeyType
from everest_secure.pki.profile import CertificateSpec

_UNREADABLE = (
    ValueError,
    TypeError,  # a common name that is a string of bits
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a damaged request, some of it only when a part is looked at."""


def approved_key(path: Path, *, spec: CertificateSpec) -> CertificatePublicKeyTypes:
    """Return the public key of the request in a file, PEM or DER; see `approved_key_of`."""
    return approved_key_of(read_bounded(path), str(path), spec=spec)


def approved_key_of(content: bytes, where: str, *, spec: CertificateSpec) -> CertificatePublicKeyTypes:
    """Return the public key of a request for the certificate that `spec` describes.

    Raises PkiError when it cannot be read, is not signed by its own key or over a weak digest, has a key of another type, or asks for
    anything that `spec` does not give: another common name, names nobody approved, an authority, other usages.
    """
    request = _load(content, where)
    _require_signature(request, where)
    found = keys.describe(request.public_key())
    if found not in list(KeyType) or found != spec.key:
        raise PkiError(
            f"{where} has a key of type {found} where {spec.key} is wanted; let it be made anew, or ask for that type with --key-type"
        )
    for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        if attribute.value != spec.common_name:
            raise PkiError(
                f"{where} asks for the common name '{attribute.value!s}' and not '{spec.common_name}'; approve it with --common-name"
            )
    _require_extensions(request, where, spec)
    return request.public_key()


def _load(content: bytes, where: str) -> x509.CertificateSigningRequest:
    try:
        request = load_request(content)
        _ = request.subject, request.extensions, request.public_key()
    except _UNREADABLE:
        raise PkiError(f"{where} is no certificate signing request that can be read; name a PKCS#10 file") from None
    return request


def _require_signature(request: x509.CertificateSigningRequest, where: str) -> None:
    try:
        digest = request.signature_hash_algorithm
    except UnsupportedAlgorithm:
        digest = None
    if digest is None or digest.name in WEAK_DIGESTS:
        raise PkiError(f"{where} is signed over {digest.name.upper() if digest else 'an unknown digest'}; let it be made anew with SHA-256")
    if not request.is_signature_valid:
        raise PkiError(f"{where} is not signed by the key in it, so that nobody has shown to hold that key; refuse it and ask for another")


def _require_extensions(request: x509.CertificateSigningRequest, where: str, spec: CertificateSpec) -> None:
    for extension in request.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            _require_names(list(value), where, spec.names)
        elif isinstance(value, x509.BasicConstraints) and value.ca:
            raise PkiError(f"{where} asks for an authority, which no request becomes; refuse it")
        elif isinstance(value, x509.ExtendedKeyUsage) and set(value) - {PURPOSES.get(spec.usage)}:
            raise PkiError(f"{where} asks for other extended key usages than '{spec.usage}' gives; refuse it or ask for another usage")


def _require_names(asked: Sequence[x509.GeneralName], where: str, approved: Sequence[x509.GeneralName]) -> None:
    extra = [str(name.value) for name in asked if name not in approved]
    if extra:
        raise PkiError(
            f"{where} asks for the names {', '.join(extra)}, which nobody approved; approve them with --dns and --ip, or refuse it"
        )
