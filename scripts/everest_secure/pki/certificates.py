"""Certificates: issued with the extensions that OpenSSL, RAUC and firmware require, and read."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from everest_secure.pki import marking
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import read_bounded
from everest_secure.pki.keys import PrivateKey, signature_hash
from everest_secure.pki.profile import CertificateSpec, Profile, Usage

BACKDATE = timedelta(days=1)
"""How far before now a certificate starts: clocks differ, and a charger without a battery-backed one boots in the past."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority ready to sign."""

    certificate: x509.Certificate
    key: PrivateKey


def issue(spec: CertificateSpec, *, profile: Profile, key: PrivateKey, issuer: Issuer | None, now: datetime) -> x509.Certificate:
    """Return the certificate for `key`, self-signed when `issuer` is None; it never outlasts its issuer.

    `now` has a time zone. The extensions are those of RFC 5280; what RAUC wants of a chain is in its reference under `check-purpose`.
    """
    subject = subject_name(spec.common_name, profile=profile)
    signing_key = issuer.key if issuer else key
    ends = now + timedelta(days=spec.validity_days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(ends, issuer.certificate.not_valid_after_utc) if issuer else ends)
        .add_extension(x509.BasicConstraints(ca=spec.usage is Usage.AUTHORITY, path_length=spec.path_length), critical=True)
        .add_extension(key_usage(spec.usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if spec.usage in (Usage.BUNDLE_SIGNING, Usage.SECURE_BOOT_SIGNING):
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=True)
    return builder.sign(signing_key, signature_hash(signing_key))


def subject_name(common_name: str, *, profile: Profile) -> x509.Name:
    """Return a subject: organization, the development mark when the profile wants it, and the common name."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organization)]
    if profile.development:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, marking.DEVELOPMENT))
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


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
