"""CMS SignedData (RFC 5652), as RAUC bundles carry it."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto import cms as asn1
from asn1crypto import core
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from everest_secure.errors import ArtefactError
from everest_secure.parse.certificates import extension, load_der, public_key

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
"""Digests that are strong enough; any other is refused."""
_WEAK = ("md2", "md5", "sha1", "sha224")
_ISSUER_AND_SERIAL, _KEY_IDENTIFIER = "v1", "v3"
"""SignerInfo's version by how it names its signer (RFC 5652, 5.3)."""


class WeakDigestError(ArtefactError):
    """A signature is over a digest that OpenSSL takes and we do not."""


class EncodingError(ArtefactError):
    """A field that the signature does not cover is not what RFC 5652 wants; OpenSSL overlooks it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signer whose signature over content and signed attributes has been verified."""

    signer: x509.Certificate
    digest: str
    """Digest algorithm: `sha256`."""


@dataclass(frozen=True, slots=True)
class SignedData:
    """A verified SignedData; no word yet on whether its signers are trusted."""

    content: bytes | None
    """Embedded content; None when the signature is detached."""
    signatures: tuple[Signature, ...]
    certificates: tuple[x509.Certificate, ...]
    """All certificates that came along."""


def verify_signed_data(der: bytes, where: str, *, detached: bytes | None = None, canonical: bool = False) -> SignedData:
    """Parse and verify every signature of a DER SignedData.

    `detached` is the content when it is not embedded. Raises ArtefactError when it is no SignedData, has no signer, or a signature does not hold, and
    as one of its kinds WeakDigestError for a weak digest, and with `canonical` EncodingError for bytes that nobody signed and that could be others.
    """
    try:
        signed, certificates, content, infos = _parse(der)
        data = content if content is not None else detached
        if data is None:
            raise ArtefactError(f"{where} has a detached signature and its content is not at hand; give both")
        if signed != "signed_data" or not infos:
            raise ArtefactError(f"{where} is not signed: its CMS is '{signed}' with {len(infos)} signers; sign it")
        signatures = tuple(_verify(info, certificates, data, where) for info in infos)
        if canonical:
            _require_canonical(der, infos, where)
        return SignedData(content, signatures, certificates)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):  # what is parsed lazily shows its damage anywhere
        raise ArtefactError(f"{where} holds no CMS signature that can be read; sign it again") from None


def _parse(der: bytes) -> tuple[str, tuple[x509.Certificate, ...], bytes | None, Sequence[asn1.SignerInfo]]:
    info = asn1.ContentInfo.load(der, strict=True)
    kind = str(info["content_type"].native)
    if kind != "signed_data":
        return kind, (), b"", []
    signed = info["content"]
    chosen = [choice.chosen for choice in signed["certificates"] or [] if choice.name == "certificate"]
    content = _content(signed["encap_content_info"]["content"])
    infos = list(signed["signer_infos"])
    digests = {each["algorithm"].native for each in signed["digest_algorithms"]}
    for each in infos:
        for field in ("version", "sid", "digest_algorithm", "signed_attrs", "signature", "unsigned_attrs"):
            each[field].native  # noqa: B018 - parses lazily, so that damage shows here
        if each["digest_algorithm"]["algorithm"].native not in digests:
            raise ValueError(digests)  # OpenSSL has made no such digest then
    for certificate in chosen:
        if certificate["signature_value"].contents[:1] != b"\0":
            raise ValueError(certificate)  # a signature is a whole number of bytes
    return kind, tuple(load_der(each.dump()) for each in chosen), content, infos


def _require_canonical(der: bytes, infos: Sequence[asn1.SignerInfo], where: str) -> None:
    """Raise EncodingError where one could change bytes of a signature that still verifies: versions, types, the name of the algorithm."""
    signed = asn1.ContentInfo.load(der, strict=True)["content"]
    kind = signed["encap_content_info"]["content_type"].native
    sound = signed["version"].native == (_ISSUER_AND_SERIAL if kind == "data" else _KEY_IDENTIFIER)
    for info in infos:
        named = _ISSUER_AND_SERIAL if info["sid"].name == "issuer_and_serial_number" else _KEY_IDENTIFIER
        types = [each["values"].native for each in info["signed_attrs"] if each["type"].native == "content_type"]
        sound = sound and info["version"].native == named and all(each == [kind] for each in types) and _names_algorithm(info)
    if not sound:
        raise EncodingError(f"{where} has a signature that is not encoded as RFC 5652 wants it, though it verifies; sign it again")


def _names_algorithm(info: asn1.SignerInfo) -> bool:
    """Whether the signature's algorithm is of a known kind and of the digest that was made."""
    algorithm = info["signature_algorithm"]
    name = algorithm["algorithm"].native
    try:
        if name == "rsassa_pkcs1v15":
            return algorithm["parameters"].native is None
        return name == "rsassa_pss" or bool(algorithm.hash_algo == info["digest_algorithm"]["algorithm"].native)
    except (ValueError, TypeError):
        return False


def _content(value: core.Asn1Value) -> bytes | None:
    """Return what is signed: the octets of an OCTET STRING, of anything else those behind its tag and length (PKCS #7, section 7)."""
    return bytes(value.parse().contents) if isinstance(value, core.Any) else value.native


def _verify(info: asn1.SignerInfo, certificates: tuple[x509.Certificate, ...], content: bytes, where: str) -> Signature:
    signer = _signer(info, certificates, where)
    name = str(info["digest_algorithm"]["algorithm"].native)
    algorithm = _HASHES.get(name)
    if algorithm is None and name not in _WEAK:
        raise ArtefactError(f"{where} is signed with an unknown digest; sign it with SHA-256")
    if algorithm is None:
        raise WeakDigestError(f"{where} is signed with the digest {name.upper()}; sign it with SHA-256 or stronger")
    digest = hashes.Hash(algorithm)
    digest.update(content)
    computed = digest.finalize()
    attributes = {attribute["type"].native: attribute["values"] for attribute in info["signed_attrs"]}
    if attributes:
        if (
            len(attributes) != len(info["signed_attrs"])
            or len(attributes.get("message_digest", ())) != 1
            or "content_type" not in attributes
        ):
            raise ArtefactError(f"{where} has signed attributes that RFC 5652 does not allow; sign it again")
        if not hmac.compare_digest(attributes["message_digest"][0].native, computed):
            raise ArtefactError(f"{where} was altered after it was signed: the digest of its content differs; fetch or sign it again")
        # The signature is over the attributes as a SET, not under the context tag that they are stored with (RFC 5652, 5.4).
        message = b"\x31" + info["signed_attrs"].dump(force=False)[1:]
    else:
        message = content
    try:
        _check(signer, info["signature"].native, message, algorithm, info)
    except (InvalidSignature, ValueError, TypeError):
        raise ArtefactError(f"{where} has a signature that its signer's certificate does not verify; sign it again") from None
    return Signature(signer, name)


def _signer(info: asn1.SignerInfo, certificates: tuple[x509.Certificate, ...], where: str) -> x509.Certificate:
    identifier = info["sid"]
    for certificate in certificates:
        if identifier.name == "subject_key_identifier":
            key = extension(certificate, x509.SubjectKeyIdentifier)
            if key is not None and key.digest == identifier.chosen.native:
                return certificate
        else:
            wanted = identifier.chosen
            same_issuer = wanted["issuer"].dump() == certificate.issuer.public_bytes()
            if same_issuer and wanted["serial_number"].native == certificate.serial_number:
                return certificate
    raise ArtefactError(f"{where} does not carry its signer's certificate; sign it again with the certificate included")


def _check(signer: x509.Certificate, signature: bytes, message: bytes, algorithm: hashes.HashAlgorithm, info: asn1.SignerInfo) -> None:
    key = public_key(signer)
    if isinstance(key, rsa.RSAPublicKey) and info["signature_algorithm"].signature_algo == "rsassa_pss":
        parameters = info["signature_algorithm"]["parameters"]
        salt = int(parameters["salt_length"].native)
        key.verify(signature, message, padding.PSS(padding.MGF1(algorithm), salt), algorithm)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(algorithm))
    else:
        raise InvalidSignature
