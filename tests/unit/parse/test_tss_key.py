"""Public keys of TPM keys in files, with a TPM's own word on what they are."""

import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from everest_secure.errors import ArtefactError
from everest_secure.parse.tss_key import public_key_of_tss
from support.tpm import SoftwareTpm, software_tpm
from support.tss import tss_private_key

MADE = ec.generate_private_key(ec.SECP256R1()).public_key()
PEM = tss_private_key(MADE)
DER = "".join(PEM.splitlines()[1:-1])


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as running:
        yield running


@pytest.mark.parametrize(
    "algorithm",
    [
        ("EC", "-pkeyopt", "group:P-256"),
        ("EC", "-pkeyopt", "group:P-384"),
        ("EC", "-pkeyopt", "group:P-256", "-pkeyopt", "digest:sha256"),
        ("RSA", "-pkeyopt", "bits:2048"),
        ("RSA-PSS", "-pkeyopt", "bits:2048", "-pkeyopt", "digest:sha256"),
    ],
    ids=" ".join,
)
def test_the_public_key_is_the_one_that_the_tpm_says(tpm: SoftwareTpm, tmp_path: Path, algorithm: tuple[str, ...]) -> None:
    key = tmp_path / "key"
    tpm.make_key(key, *algorithm)
    done = tpm.run("openssl", "pkey", "-provider", "tpm2", "-provider", "default", "-in", key, "-pubout")
    assert done.returncode == 0, done.stderr
    wanted = load_pem_public_key(done.stdout.encode())
    found = public_key_of_tss(key.read_bytes(), "key")
    assert found.public_numbers() == wanted.public_numbers()  # type: ignore[union-attr] # RSA or EC


def test_what_this_project_makes_without_a_tpm_has_the_layout_of_one(tmp_path: Path) -> None:
    assert public_key_of_tss(b"a comment\n" + PEM.encode(), "key") == MADE
    (tmp_path / "key").write_text(PEM)
    shown = subprocess.run(["openssl", "asn1parse", "-in", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert "2.23.133.10.1.3" in shown.stdout


def pem(der: bytes) -> bytes:
    return b"-----BEGIN TSS2 PRIVATE KEY-----\n" + b64encode(der) + b"\n-----END TSS2 PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"-----BEGIN TSS2 PRIVATE KEY-----\nMHc=\n",
        b"-----BEGIN TSS2 PRIVATE KEY-----\nM\n-----END TSS2 PRIVATE KEY-----\n",
        pem(b"\x30\x00"),
        pem(b"\x31\x03\x02\x01\x01"),
        pem(b"\x30\x84\xff\xff\xff\xff"),
        PEM.replace(DER[:16], DER[:8] + "AAAAAAAA", 1).encode(),
        PEM.encode().replace(b"TSS2 PRIVATE", b"PRIVATE"),
    ],
)
def test_a_damaged_key_is_one_sentence(damaged: bytes) -> None:
    with pytest.raises(ArtefactError, match="key holds a TPM key that cannot be read; make the key again with everest-tpm"):
        public_key_of_tss(damaged, "key")
