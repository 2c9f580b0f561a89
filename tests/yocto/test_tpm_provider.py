"""OpenSSL's provider for TPMs, compiled before and after the recipe changed it: EVerest's own keys in a charger that loses power (TPM-04), requests (TPM-06)."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from support.tpm import SoftwareTpm, software_tpm
from support.tpm_provider import compiled, fetch, patch

pytestmark = [
    pytest.mark.yocto,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing"),
]

TPM_RC_LOCKOUT = 0x921
CUTS = 10
"""More than any TPM forgives by default, software TPMs included."""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories of OpenSSL's modules with the provider as it is upstream, and as the recipe's own task makes it."""
    place = tmp_path_factory.mktemp("provider")
    code = fetch(place / "code")
    made = {"upstream": compiled(code, place / "upstream")}
    patch(code, place)
    made["built"] = compiled(code, place / "built")
    return made


def openssl(tpm: SoftwareTpm, modules: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**tpm.environment(), "OPENSSL_MODULES": str(modules), "OPENSSL_CONF": os.devnull}
    command = ["openssl", arguments[0], "-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2", *arguments[1:]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("algorithm", [("EC", "-pkeyopt", "group:P-256"), ("RSA", "-pkeyopt", "bits:2048")], ids=["EC", "RSA"])
@pytest.mark.parametrize(("which", "survives"), [("upstream", False), ("built", True)])
def test_a_key_is_used_after_any_number_of_power_cuts(
    modules: dict[str, Path], tmp_path: Path, which: str, survives: bool, algorithm: tuple[str, ...]
) -> None:
    key, text, signature = tmp_path / "key", tmp_path / "text", tmp_path / "signature"
    text.write_text("message")
    sign = ("dgst", "-sha256", "-sign", key, "-out", signature, text)
    with software_tpm(tmp_path) as tpm:
        done = openssl(tpm, modules[which], "genpkey", "-algorithm", *algorithm, "-out", key)
        assert done.returncode == 0, done.stderr
    for _ in range(CUTS):
        with software_tpm(tmp_path) as tpm:  # ends without a word to the TPM, as a power cut
            done = openssl(tpm, modules[which], *sign)
    assert (done.returncode == 0) == survives
    if not survives:
        assert f":{TPM_RC_LOCKOUT}" in done.stderr


def test_a_key_with_a_password_stays_under_the_protection_against_guessing(modules: dict[str, Path], tmp_path: Path) -> None:
    with software_tpm(tmp_path) as tpm:
        for password, protected in (("", False), ("user-auth:secret", True)):
            key = tmp_path / "key"
            more = ("-pkeyopt", password) if password else ()
            done = openssl(tpm, modules["built"], "genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", *more, "-out", key)
            assert done.returncode == 0, done.stderr
            parsed = subprocess.run(["openssl", "asn1parse", "-in", key], capture_output=True, text=True, check=True).stdout
            (public, *_) = re.findall(r"\[HEX DUMP\]:([0-9A-F]+)", parsed)
            assert (int(public[12:20], 16) & 0x400 == 0) == protected  # noDA: TPM 2.0 Library, part 2, TPMA_OBJECT


@pytest.mark.parametrize(("which", "algorithm"), [("upstream", "300c06082a8648ce3d0403020500"), ("built", "300a06082a8648ce3d040302")])
def test_a_request_names_the_algorithm_of_its_signature_as_the_standard_does(
    modules: dict[str, Path], tmp_path: Path, which: str, algorithm: str
) -> None:
    key, request = tmp_path / "key", tmp_path / "request"
    with software_tpm(tmp_path) as tpm:
        for command in (
            ("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", key),
            ("req", "-new", "-subj", "/CN=CP-0815", "-sha256", "-key", key, "-outform", "DER", "-out", request),
        ):
            done = openssl(tpm, modules[which], *command)
            assert done.returncode == 0, done.stderr
    made = request.read_bytes()
    assert bytes.fromhex(algorithm) in made
    # A strict reader: the Python library that the project's own PKI reads requests with.
    if which == "built":
        assert x509.load_der_x509_csr(made).is_signature_valid
    else:
        with pytest.raises(ValueError, match="ExtraData"):
            x509.load_der_x509_csr(made)
