import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from everest_secure.pki import certificates, keys, lifecycle
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.profile import CertificateSpec, Usage, general_names
from everest_secure.pki.store import Store
from everest_secure.run import Argument, HostTools
from support import pki as support

SPEC = CertificateSpec(
    "cp001", "cp001", Usage.TLS_CLIENT, KeyType.ECDSA_P256, 100, "intermediate", names=general_names(["cp001.example"], ["192.0.2.7"])
)


def by_openssl(directory: Path, *options: Argument, subject: str = "/CN=cp001/O=Somebody") -> Path:
    """A request as a charger makes it: everest-tpm and EVerest have openssl do the same."""
    key, path = directory / "cp001.key", directory / "cp001.csr"
    made: list[Argument] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", path]
    HostTools().run(["openssl", "req", "-new", *made, "-subj", subject, *options])
    return path


def request(
    path: Path,
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
    digest: hashes.HashAlgorithm | None = None,
) -> Path:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cp001")]))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), digest or hashes.SHA256())  # type: ignore[arg-type] # SHA-1 is wanted
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return path


def certify(pki: Store, path: Path, spec: CertificateSpec = SPEC) -> x509.Certificate:
    return lifecycle.issue(pki.directory, spec, access=support.access(), now=support.now(), request=path)


@pytest.mark.parametrize("options", [(), ("-addext", "subjectAltName=DNS:cp001.example,IP:192.0.2.7"), ("-outform", "DER")])
def test_the_key_of_a_request_gets_what_was_approved_and_nothing_of_what_it_says(
    pki: Store, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = by_openssl(tmp_path, *options)
    made = certify(pki, path)
    assert made.public_key() == keys.load(tmp_path / "cp001.key").public_key()
    assert made.subject.rfc4514_string() == "CN=cp001,OU=DEVELOPMENT - NOT FOR RELEASE,O=everest-secure development"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == list(SPEC.names)
    assert support.verify(pki, "cp001", keyring=pki.keyring, purpose="sslclient") == ""
    assert not pki.key("cp001").exists()
    assert pki.chain("cp001").read_bytes() == pki.certificate("intermediate").read_bytes()


ECDSA = bytes.fromhex("300a 0608 2a8648ce3d040302")
"""AlgorithmIdentifier of ECDSA over SHA-256 (RFC 5758, 3.2)."""


def with_null(path: Path, null: bytes = b"\x05\x00") -> Path:
    """The same request as the TPM's provider before 1.3.1 makes it, in DER."""
    der = ssl.PEM_cert_to_DER_cert(path.read_text().replace("CERTIFICATE REQUEST", "CERTIFICATE"))
    inner, size = der[3:], der[2]
    assert (der[:2], size, inner.count(ECDSA)) == (b"\x30\x81", len(inner), 1)
    changed = inner.replace(ECDSA, b"\x30\x0c" + ECDSA[2:] + null)
    path.write_bytes(b"\x30\x81" + bytes([len(changed)]) + changed)
    return path


def test_a_request_of_the_tpm_s_provider_is_read_as_openssl_reads_it(pki: Store, tmp_path: Path) -> None:
    path = with_null(by_openssl(tmp_path))
    shown = HostTools().run(["openssl", "req", "-inform", "DER", "-in", path, "-noout", "-verify", "-text"])
    assert b"ecdsa-with-SHA256" in shown
    assert certify(pki, path).public_key() == keys.load(tmp_path / "cp001.key").public_key()


def test_anything_else_behind_the_identifier_is_refused(pki: Store, tmp_path: Path) -> None:
    with pytest.raises(PkiError, match="is no certificate signing request that can be read"):
        certify(pki, with_null(by_openssl(tmp_path), b"\x02\x00"))


def altered(path: Path) -> Path:
    """The same request for another key: whoever made it does not hold that key."""
    victim = ec.generate_private_key(ec.SECP256R1()).public_key()
    content = x509.load_pem_x509_csr(request(path).read_bytes())
    own, other = (
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for key in (content.public_key(), victim)
    )
    path.write_bytes(content.public_bytes(serialization.Encoding.DER).replace(own, other))
    return path


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (altered, "is not signed by the key in it"),
    (lambda path: request(path, key=rsa.generate_private_key(65537, 2048)), "has a key of type rsa-2048 where ecdsa-p256 is wanted"),
    (lambda path: request(path, key=ec.generate_private_key(ec.SECP384R1())), "has a key of type ecdsa-p384 where"),
    (lambda path: request(path, extensions=[x509.BasicConstraints(ca=True, path_length=None)]), "asks for an authority"),
    (
        lambda path: request(path, extensions=[x509.SubjectAlternativeName([x509.DNSName("cp001.example"), x509.DNSName("csms.example")])]),
        "asks for the names csms.example, which nobody approved",
    ),
    (
        lambda path: request(path, extensions=[x509.SubjectAlternativeName([x509.RFC822Name("a@b.example")])]),
        "asks for the names a@b.example",
    ),
    (
        lambda path: request(path, extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING])]),
        "asks for other extended key usages than 'tls-client' gives",
    ),
    (lambda path: by_openssl(path.parent, subject="/CN=cp002"), "asks for the common name 'cp002' and not 'cp001'"),
    (lambda path: by_openssl(path.parent, "-sha1"), "is signed over SHA1"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_a_request_that_is_not_in_order_is_refused_and_nothing_is_issued(
    pki: Store, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    before = sorted(path.name for path in pki.directory.iterdir())
    with pytest.raises(PkiError, match=words):
        certify(pki, make(tmp_path / "x.csr"))
    assert sorted(path.name for path in pki.directory.iterdir()) == before


def test_a_request_with_a_key_that_has_a_certificate_is_refused(pki: Store, tmp_path: Path) -> None:
    path = request(tmp_path / "x.csr", key=support.issuer(pki, "intermediate").key)
    with pytest.raises(PkiError, match="has the key of 'intermediate', which has a certificate already"):
        certify(pki, path)
    certify(pki, by_openssl(tmp_path))
    with pytest.raises(PkiError, match="has the key of 'cp001'"):
        certify(pki, tmp_path / "cp001.csr", replace(SPEC, name="again"))


@pytest.mark.parametrize(
    "content", [b"hello", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", b"\x30\x03\x02\x01\x01"]
)
def test_what_is_no_request_is_one_sentence(pki: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csr").write_bytes(content)
    with pytest.raises(PkiError, match="is no certificate signing request that can be read"):
        certify(pki, tmp_path / "x.csr")


@pytest.mark.parametrize(("good", "bad"), [(b"\x0c\x05cp001", b"\x03\x05cp001"), (b"\x82\x0dcp001.example", b"\x83\x0dcp001.example")])
def test_a_request_with_a_damaged_part_is_one_sentence(pki: Store, tmp_path: Path, good: bytes, bad: bytes) -> None:
    path = by_openssl(tmp_path, "-addext", "subjectAltName=DNS:cp001.example", "-outform", "DER")
    content = path.read_bytes()
    assert good in content
    path.write_bytes(content.replace(good, bad))
    with pytest.raises(PkiError, match="is no certificate signing request that can be read"):
        certify(pki, path)


def test_the_certificate_of_a_request_says_where_its_key_is_not(pki: Store, tmp_path: Path) -> None:
    certify(pki, by_openssl(tmp_path))
    assert certificates.load_one(pki.certificate("cp001"))
    with pytest.raises(PkiError, match="has a certificate 'cp001' already"):
        certify(pki, request(tmp_path / "other.csr"))
