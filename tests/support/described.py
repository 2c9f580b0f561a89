"""Certificates and keys as the table of vectors describes them, made by the `cryptography` library and, where that refuses, by OpenSSL."""

import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Contents = Mapping[str, Any]
"""A mapping of the table."""
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

KEYS: Mapping[str, Callable[[], Key]] = {
    "ec-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-192": lambda: ec.generate_private_key(ec.SECP192R1()),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "tpm": lambda: ec.generate_private_key(ec.SECP256R1()),
}
_PURPOSES = {"client-auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server-auth": ExtendedKeyUsageOID.SERVER_AUTH}
_USAGES = {
    "digitalSignature": "digital_signature",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}
_NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def issue(name: str, wanted: Contents, *, public: Any, signer: Key, issuer: x509.Certificate | None) -> x509.Certificate:
    """Issue the certificate of a name for a public key, self-signed without `issuer`; `signer` is the key that signs it."""
    if wanted.get("digest") == "sha1":
        return _self_signed_with_sha1(signer, name)
    subject = _subject(name, wanted)
    start = datetime.now(UTC) - timedelta(days=wanted.get("age", 1))
    authority = wanted.get("authority", False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=wanted.get("days", 365)))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=wanted.get("path_length")), critical=True)
        .add_extension(_usage(wanted.get("usage", ["keyCertSign", "cRLSign"] if authority else ["digitalSignature"])), critical=True)
    )
    if "purposes" in wanted:
        builder = builder.add_extension(x509.ExtendedKeyUsage([_PURPOSES[each] for each in wanted["purposes"]]), critical=False)
    digest = hashes.SHA224() if wanted.get("digest") == "sha224" else hashes.SHA256()
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else digest)


def _subject(name: str, wanted: Contents) -> x509.Name:
    attributes = (
        (NameOID.COMMON_NAME, wanted.get("name", name)),
        (NameOID.ORGANIZATION_NAME, wanted.get("organization", "")),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, wanted.get("unit", "")),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes if value])


def _usage(names: list[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{**_NO_USAGE, **{_USAGES[name]: True for name in names}})


def _self_signed_with_sha1(key: Key, name: str) -> x509.Certificate:
    """The library signs nothing with SHA-1."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    command = ["openssl", "req", "-x509", "-new", "-sha1", "-key", "/dev/stdin", "-subj", f"/CN={name}", "-days", "364", *extensions]
    made = subprocess.run(command, input=pem, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    return x509.load_pem_x509_certificate(made.stdout)
