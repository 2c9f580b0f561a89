"""Certificates: issued with the extensions that OpenSSL, RAUC and firmware require, and read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from everest_secure.pki import marking
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import read_bounded
from everest_secure.pki.keys import PrivateKey, signature_hash
from everest_secure.pki.profile import CertificateSpec, Profile, Usage

BACKDATE = timedelta(days=1)
"""How far before now a certificate starts: clocks differ, and a charger without a battery-backed one boots in the past."""
MAX_DAYS = 14610
"""As in conf/pki/profile.schema.json."""
PURPOSES = {
    Usage.BUNDLE_SIGNING: ExtendedKeyUsageOID.CODE_SIGNING,
    Usage.SECURE_BOOT_SIGNING: ExtendedKeyUsageOID.CODE_SIGNING,
    Usage.TLS_SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Usage.TLS_CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}
"""The one extended key usage of each usage that has any."""
TLS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_IDENTIFIERS = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority ready to sign."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class Content:
    """What a certificate says of its subject, whoever issues it and for how long."""

    subject: x509.Name
    public_key: CertificatePublicKeyTypes
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]
    """All but the key identifiers, which follow from the keys."""


def issue(spec: CertificateSpec, *, profile: Profile, key: PrivateKey, issuer: Issuer | None, now: datetime) -> x509.Certificate:
    """Return the certificate for `key` that a profile asks for, self-signed when `issuer` is None; see `sign`."""
    content = Content(subject_of(spec, profile=profile), key.public_key(), tuple(extensions(spec)))
    return sign(content, by=issuer or key, lifetime=timedelta(days=spec.validity_days), now=now)


def sign(content: Content, *, by: Issuer | PrivateKey, lifetime: timedelta, now: datetime) -> x509.Certificate:
    """Issue a certificate by an authority, which it never outlasts, or by its own key.

    `now` has a time zone. The extensions are those of RFC 5280; what RAUC wants of a chain is in its reference under `check-purpose`.
    """
    key = by.key if isinstance(by, Issuer) else by
    ends = now + lifetime
    builder = (
        x509.CertificateBuilder()
        .subject_name(content.subject)
        .issuer_name(by.certificate.subject if isinstance(by, Issuer) else content.subject)
        .public_key(content.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(ends, by.certificate.not_valid_after_utc) if isinstance(by, Issuer) else ends)
    )
    for extension in content.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return (
        builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(content.public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, signature_hash(key))
    )


def content_of(certificate: x509.Certificate, *, public_key: CertificatePublicKeyTypes | None = None) -> Content:
    """Return what a certificate says, for its own key or for a new one, to be issued again."""
    kept = (each for each in certificate.extensions if not isinstance(each.value, _IDENTIFIERS))
    return Content(certificate.subject, public_key or certificate.public_key(), tuple(kept))


def lifetime(days: int) -> timedelta:
    """Return a validity in days; raises PkiError for what no profile could ask for."""
    if not 1 <= days <= MAX_DAYS:
        raise PkiError(f"a certificate or list is valid for 1 to {MAX_DAYS} days and not for {days}; correct --days")
    return timedelta(days=days)


def lifetime_of(certificate: x509.Certificate) -> timedelta:
    """Return how long a certificate was meant to live from its issue on."""
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc - BACKDATE


def with_path_length(content: Content, path_length: int | None) -> Content:
    """Return the content of an authority that allows another number of authorities below it."""
    constraints = _extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    others = (each for each in content.extensions if not isinstance(each.value, x509.BasicConstraints))
    return replace(content, extensions=(constraints, *others))


def subject_of(spec: CertificateSpec, *, profile: Profile) -> x509.Name:
    """Return the subject of a certificate of a profile."""
    units = [marking.DEVELOPMENT] if profile.development else []
    return name(spec.common_name, organization=profile.organization, units=units, domain_component=spec.domain_component)


def name(common_name: str, *, organization: str, units: Sequence[str] = (), domain_component: str | None = None) -> x509.Name:
    """Return a subject: organization, the development mark where there is one, common name, and the role that ISO 15118 asks for."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    if domain_component is not None:
        attributes.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, domain_component))
    return x509.Name(attributes)


def extensions(spec: CertificateSpec) -> Iterator[x509.Extension[x509.ExtensionType]]:
    """Yield what the usage of a certificate asks for: basic constraints, key usage, purpose, names."""
    yield _extension(x509.BasicConstraints(ca=spec.usage is Usage.AUTHORITY, path_length=spec.path_length), critical=True)
    yield _extension(key_usage(spec.usage), critical=True)
    purpose = PURPOSES.get(spec.usage)
    if purpose is not None:
        yield _extension(x509.ExtendedKeyUsage([purpose]), critical=purpose not in TLS)
    if spec.names:
        yield _extension(x509.SubjectAlternativeName(spec.names), critical=False)


def _extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def purposes(certificate: x509.Certificate) -> tuple[ObjectIdentifier, ...]:
    """Return the extended key usages of a certificate; empty when it has none."""
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return ()


def key_usage(usage: Usage) -> x509.KeyUsage:
    """Return what a key may do: an authority signs certificates and CRLs and nothing else, all others sign data and nothing else."""
    authority = usage is Usage.AUTHORITY
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def to_pem(*certificates: x509.Certificate) -> bytes:
    """Return certificates as PEM, one after the other."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def list_pem(*lists: x509.CertificateRevocationList) -> bytes:
    """Return revocation lists as PEM, one after the other."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in lists)


def load_all(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file in their order; raises PkiError when it cannot be read or holds none."""
    try:
        return tuple(x509.load_pem_x509_certificates(read_bounded(path)))
    except ValueError:
        raise PkiError(f"{path} holds no PEM certificate that can be read; name a certificate file") from None


def load_one(path: Path) -> x509.Certificate:
    """Return the only certificate of a PEM file; raises PkiError when there is none or more than one."""
    found = load_all(path)
    if len(found) != 1:
        raise PkiError(f"{path} holds {len(found)} certificates where one is wanted; give the others as intermediates")
    return found[0]


def label(certificate: x509.Certificate) -> str:
    """Return what to call a certificate in a message: its common name, or its whole subject."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()
