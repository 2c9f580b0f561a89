"""Certificates of those who may read an encrypted bundle."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


def recipient(output: Path, name: str, public_key: str = "") -> Path:
    """Write a certificate for a public RSA key in PEM, by default one whose private half nobody has; an authority of this moment signs it."""
    authority = rsa.generate_private_key(65537, 2048)
    key = serialization.load_pem_public_key(public_key.encode()) if public_key else rsa.generate_private_key(65537, 2048).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject, subject, key, x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=365)
    )
    output.write_bytes(builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return output
