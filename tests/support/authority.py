"""Certificates made at test time, one call each."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def issue(
    name: str,
    *,
    by: Pair | None = None,
    authority: bool = False,
    unit: str = "",
    days: int = 365,
    age: int = 1,
    path_length: int | None = None,
    code_signing: bool = True,
    organization: str = "",
    for_clients: bool = False,
    may_sign: bool = True,
    signs_lists: bool = True,
    key: Key | None = None,
    digest: hashes.SHA256 | hashes.SHA512 | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    more: tuple[x509.ExtensionType, ...] = (),
    uncritical: tuple[x509.ExtensionType, ...] = (),
) -> Pair:
    """Issue a certificate, self-signed without `by`; `days` from `age` days ago, with `more` critical extensions and others that are not.

    `purposes` are those of the extended key usage; without them leaves have one for code or for clients, and authorities have none.
    """
    own = key or ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    if unit:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    subject = x509.Name(attributes)
    start = datetime.now(UTC) - timedelta(days=age)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=may_sign and not authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority and signs_lists,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if code_signing and not authority and not purposes:
        purposes = (ExtendedKeyUsageOID.CLIENT_AUTH if for_clients else ExtendedKeyUsageOID.CODE_SIGNING,)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
    for each in more:
        builder = builder.add_extension(each, critical=True)
    for each in uncritical:
        builder = builder.add_extension(each, critical=False)
    return Pair(builder.sign(by.key if by else own, digest or hashes.SHA256()), own)


def revocation_list(by: Pair, *revoked: Pair, days: int = 60, age: int = 1, more: tuple[x509.ExtensionType, ...] = ()) -> str:
    """Issue a revocation list in PEM that names some certificates; `days` from `age` days ago, with `more` critical extensions."""
    start = datetime.now(UTC) - timedelta(days=age)
    builder = x509.CertificateRevocationListBuilder().issuer_name(by.certificate.subject)
    builder = builder.last_update(start).next_update(start + timedelta(days=days))
    for each in more:
        builder = builder.add_extension(each, critical=True)
    for pair in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(pair.certificate.serial_number).revocation_date(start).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
