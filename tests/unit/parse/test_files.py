import subprocess
from pathlib import Path

import pytest

from everest_secure.image.blob import from_bytes
from everest_secure.parse.packages import parse_status, read_packages
from everest_secure.parse.pieces import CHUNK
from everest_secure.parse.private_keys import KeyKind, find_keys
from support.rootfs import RootFs


def kinds(content: bytes) -> list[KeyKind]:
    return [key.kind for key in find_keys(from_bytes(content, "x"))]


@pytest.mark.parametrize(
    "command",
    [
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ["openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1"],
        ["openssl", "genrsa", "-traditional", "-aes128", "-passout", "pass:x", "1024"],
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-aes128", "-pass", "pass:x"],
    ],
)
@pytest.mark.parametrize("before", [0, 7, CHUNK - 13, CHUNK, CHUNK + 1])
def test_keys_made_by_openssl_are_found_wherever_they_are(command: list[str], before: int) -> None:
    pem = subprocess.run(command, capture_output=True, check=True).stdout
    assert kinds(b"\n" * before + pem) == [KeyKind.PEM]


def test_a_pkcs12_store_of_openssl_is_found(tmp_path: Path) -> None:
    subject: list[str | Path] = ["-subj", "/CN=x", "-nodes", "-keyout", tmp_path / "k", "-out", tmp_path / "c"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:1024", *subject], capture_output=True, check=True)
    store = subprocess.run(
        ["openssl", "pkcs12", "-export", "-inkey", tmp_path / "k", "-in", tmp_path / "c", "-passout", "pass:x"],
        capture_output=True,
        check=True,
    ).stdout
    assert kinds(store) == [KeyKind.PKCS12]


def test_two_keys_in_one_file_are_two() -> None:
    pem = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGq7abcdefgh\n-----END EC PRIVATE KEY-----\n"
    assert kinds(pem + pem) == [KeyKind.PEM, KeyKind.PEM]


def test_certificates_and_public_keys_are_no_secrets() -> None:
    assert kinds(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n") == []


def test_packages_are_read_from_dpkg_as_dpkg_query_lists_them() -> None:
    status = Path("/var/lib/dpkg/status")
    if not status.is_file():
        pytest.skip("this machine has no dpkg")
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"], capture_output=True, text=True, check=True
    )
    wanted = {tuple(line.split()[1:]) for line in listed.stdout.splitlines() if line.startswith("installed ")}
    assert {(package.name, package.version) for package in parse_status(status.read_text(), "x")} == wanted


def test_opkg_lists_are_read_too() -> None:
    fs = RootFs().file("/var/lib/opkg/status", "Package: bash\nVersion: 5\nStatus: install user installed\n")
    found = read_packages(fs.tree)
    assert found is not None
    assert [(each.name, each.version) for each in found] == [("bash", "5")]
    assert read_packages(RootFs().directory("/").tree) is None
