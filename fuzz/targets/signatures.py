"""Certificates, keys and signatures in ASN.1."""

from base64 import b64decode, encodebytes
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.image.enveloped import DecryptionKey, decrypt
from everest_secure.image.posix_acl import acl_from_text
from everest_secure.parse import certificates as certs
from everest_secure.parse.chain import build_chain, chain_faults, code_signing_faults, key_faults
from everest_secure.parse.cms import verify_signed_data
from everest_secure.parse.name_constraints import name_faults
from everest_secure.parse.private_keys import find_keys
from everest_secure.parse.revocation import list_faults, parse_revocation_lists
from everest_secure.parse.rpm_database import DATABASES, read_rpm_database
from everest_secure.parse.tss_key import public_key_of_tss
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.profile import CertificateSpec, Usage, general_names
from everest_secure.pki.requests import approved_key_of
from fuzz.target import target
from support.authority import issue, revocation_list
from support.images import throw_away_signer, tool
from support.rootfs import RootFs
from support.tss import tss_private_key


def _certificates(_work: Path) -> Iterator[bytes]:
    root = issue("root", authority=True)
    leaf = issue("leaf", by=root, organization="o", unit="u")
    yield (leaf.pem + root.pem).encode()
    trees: list[x509.GeneralName] = [
        x509.DNSName("example.org"),
        x509.IPAddress(ip_network("10.0.0.0/8")),
        x509.DirectoryName(root.certificate.subject),
    ]
    names: list[x509.GeneralName] = [
        x509.DNSName("a.example.org"),
        x509.IPAddress(ip_address("10.0.0.1")),
        x509.DirectoryName(leaf.certificate.subject),
    ]
    bound = issue("bound", by=root, authority=True, more=(x509.NameConstraints(trees, trees[:1]),))
    yield (issue("a.example.org", by=bound, more=(x509.SubjectAlternativeName(names),)).pem + bound.pem + root.pem).encode()
    yield leaf.certificate.public_bytes(Encoding.DER)
    yield root.certificate.public_bytes(Encoding.DER)


@target(seeds=_certificates)
def certificates(data: bytes) -> None:
    """Certificates, and all that a check asks of them."""
    found = certs.parse_certificates(data, "input")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    list(name_faults(found))
    for each in found:
        certs.subject(each)
        certs.is_authority(each)
        certs.is_root(each)
        certs.key_bits(each)
        certs.weak_digest(each)
        chain = build_chain(each, intermediates=found, anchors=found)
        list(chain_faults(chain, at=now))
        list(code_signing_faults(chain))
        list(key_faults(chain, rsa_bits=2048))


def _requests(work: Path) -> Iterator[bytes]:
    names = "subjectAltName=DNS:cp001.example,IP:192.0.2.7"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", work / "key", "-out", work / "csr")
    for form in ("PEM", "DER"):
        tool("openssl", "req", "-new", *made, "-subj", "/CN=cp001", "-addext", names, "-outform", form)
        yield (work / "csr").read_bytes()


@target(seeds=_requests)
def requests(data: bytes) -> None:
    """Certificate signing requests."""
    names = general_names(["cp001.example"], ["192.0.2.7"])
    spec = CertificateSpec("cp001", "cp001", Usage.TLS_CLIENT, KeyType.ECDSA_P256, 1, names=names)
    with suppress(PkiError):
        approved_key_of(data, "input", spec=spec)


def _lists(_work: Path) -> Iterator[bytes]:
    root = issue("root", authority=True)
    yield revocation_list(root, issue("leaf", by=root)).encode()


@cache
def _authority() -> x509.Certificate:
    return issue("root", authority=True).certificate


@target(seeds=_lists)
def revocation_lists(data: bytes) -> None:
    """Revocation lists."""
    list(list_faults(_authority(), parse_revocation_lists(data, "input"), at=datetime(2026, 1, 1, tzinfo=UTC), days=30))


def _signatures(work: Path) -> Iterator[bytes]:
    key, certificate = throw_away_signer(work)
    (work / "content").write_bytes(b"content")
    for options in (("-nodetach",), ("-nodetach", "-noattr"), ()):
        yield tool(
            "openssl",
            "cms",
            "-sign",
            *options,
            "-binary",
            "-outform",
            "DER",
            "-in",
            work / "content",
            "-inkey",
            key,
            "-signer",
            certificate,
        )


@target(seeds=_signatures)
def cms(data: bytes) -> None:
    """CMS SignedData."""
    verify_signed_data(data, "input", detached=b"content")


@cache
def _recipients() -> tuple[DecryptionKey, ...]:
    return rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())


def _enveloped(work: Path) -> Iterator[bytes]:
    (work / "content").write_bytes(b"\x30\x03\x02\x01\x05")
    for recipient in _recipients():
        key = work / "key.pem"
        key.write_bytes(recipient.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        tool("openssl", "req", "-x509", "-new", "-key", key, "-out", work / "cert.pem", "-subj", "/CN=test", "-days", "2")
        for cipher in ("-aes-256-cbc", "-aes-128-cbc"):
            yield tool("openssl", "cms", "-encrypt", cipher, "-binary", "-outform", "DER", "-in", work / "content", work / "cert.pem")


@target(seeds=_enveloped)
def enveloped(data: bytes) -> None:
    """CMS EnvelopedData, for a key of either kind."""
    first, second = _recipients()
    try:
        decrypt(data, first, "input")
    except ArtefactError:
        decrypt(data, second, "input")


def _tpm_keys(_work: Path) -> Iterator[bytes]:
    _, *lines, _ = tss_private_key(ec.generate_private_key(ec.SECP256R1()).public_key()).splitlines()
    yield b64decode("".join(lines))


@target(seeds=_tpm_keys)
def tpm_keys(data: bytes) -> None:
    """Public keys of TPM keys in files."""
    pem = b"-----BEGIN TSS2 PRIVATE KEY-----\n" + encodebytes(data) + b"-----END TSS2 PRIVATE KEY-----\n"
    with suppress(ArtefactError):
        public_key_of_tss(pem, "input")


def _keys(work: Path) -> Iterator[bytes]:
    key, certificate = throw_away_signer(work)
    yield key.read_bytes()
    yield tool("openssl", "pkey", "-in", key, "-outform", "DER")
    yield tool("openssl", "pkcs12", "-export", "-in", certificate, "-inkey", key, "-passout", "pass:x")
    yield tool("gzip", "-c", key)


@target(seeds=_keys)
def private_keys(data: bytes) -> None:
    """Private keys of every form."""
    list(find_keys(from_bytes(data, "input")))


def _databases(work: Path) -> Iterator[bytes]:
    spec = "Name: a\nVersion: 1\nRelease: 2\nEpoch: 3\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n%files\n"
    (work / "a.spec").write_text(spec)
    tool("rpmbuild", "-bb", "--define", f"_topdir {work}/top", work / "a.spec")
    (package,) = (work / "top/RPMS/noarch").glob("*.rpm")
    tool("rpm", "--root", work / "root", "--dbpath", "/var/lib/rpm", "--install", "--justdb", "--nodeps", "--nosignature", package)
    yield (work / "root/var/lib/rpm/rpmdb.sqlite").read_bytes()


@target(seeds=_databases)
def rpm(data: bytes) -> None:
    """Package lists of rpm."""
    tree = RootFs().directory("/").file(DATABASES[0], data).tree
    list(read_rpm_database(tree, DATABASES[0]))


@target(seeds=lambda _: (b"user::rw-,user:1500:r--,group::r--,mask::r--,other::---",))
def posix_acl(data: bytes) -> None:
    """Access control lists of tar archives."""
    with suppress(ValueError):  # as it says; who reads an archive makes a sentence of it
        acl_from_text(data)
