"""The OpenSSL policy with the real library and a TPM in software (TLS-02, TPM-05)."""

import contextlib
import ctypes.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.layer import Bench, contents, production

pytestmark = pytest.mark.layer

PROGRAMS = ("swtpm", "openssl")
PARTS = ("ossl-modules/tpm2.so", "libtss2-tcti-swtpm.so.0")
BOTH = ("-provider", "tpm2", "-provider", "default")
IN_THE_TPM = ("-propquery", "?provider=tpm2")
MIN_PROTOCOL = """
import ctypes, sys
ssl, crypto = (ctypes.CDLL(name) for name in sys.argv[1:])
for function in (crypto.OSSL_LIB_CTX_new, ssl.TLS_client_method, ssl.SSL_CTX_new_ex):
    function.restype = ctypes.c_void_p
ssl.SSL_CTX_new_ex.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
ssl.SSL_CTX_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
SSL_CTRL_GET_MIN_PROTO_VERSION = 130
context = ssl.SSL_CTX_new_ex(crypto.OSSL_LIB_CTX_new(), b"?provider=default", ssl.TLS_client_method())
print(hex(ssl.SSL_CTX_ctrl(context, SSL_CTRL_GET_MIN_PROTO_VERSION, 0, None)))
"""


@pytest.fixture(scope="module")
def configuration(layer: Bench) -> Path:
    return layer.package("everest-openssl-policy").files / "etc/everest/openssl.cnf"


def run(configuration: Path, *arguments: str, tpm: str = "swtpm:host=127.0.0.1,port=1") -> subprocess.CompletedProcess[str]:
    """Run openssl; without `tpm` there is none that answers."""
    environment = {**os.environ, "OPENSSL_CONF": str(configuration), "TPM2OPENSSL_TCTI": tpm, "TSS2_LOG": "all+NONE"}
    return subprocess.run(["openssl", *arguments], env=environment, capture_output=True, text=True, check=False)


def openssl(configuration: Path, *arguments: str, tpm: str = "swtpm:host=127.0.0.1,port=1") -> str:
    done = run(configuration, *arguments, tpm=tpm)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A software TPM of its own; yields how a program of the TPM software stack names it."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [name for name in PARTS if not list(Path("/usr/lib").glob(f"*-linux-gnu/{name}"))]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")
    place = tmp_path_factory.mktemp("tpm")
    port = two_ports()
    listens = [f"type=tcp,bindaddr=127.0.0.1,port={number}" for number in (port, port + 1)]
    options = ["--flags", "not-need-init,startup-clear", "--daemon", "--pid", f"file={place / 'pid'}"]
    subprocess.run(
        ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={place}", "--server", listens[0], "--ctrl", listens[1], *options], check=True
    )
    yield f"swtpm:host=127.0.0.1,port={port}"
    os.kill(int((place / "pid").read_text()), signal.SIGTERM)


def two_ports() -> int:
    """The first of two free neighbours: the stack looks for the control channel at the next port."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as first, contextlib.suppress(OSError):
            port: int = first.getsockname()[1]
            with socket.create_server(("127.0.0.1", port + 1)):
                return port
    pytest.fail("no two neighbouring ports are free")


def header(key: Path) -> str:
    return key.read_text().splitlines()[0]


def new_key(configuration: Path, key: Path, tpm: str, *query: str) -> Path:
    openssl(configuration, "genpkey", *BOTH, *query, "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", str(key), tpm=tpm)
    return key


def test_openssl_offers_exactly_the_suites_of_the_policy(layer: Bench, configuration: Path) -> None:
    policy = production()
    assert contents(layer.package("everest-openssl-policy")) == {"/etc/everest/openssl.cnf": 0o644}
    offered = openssl(configuration, "ciphers", "-s").strip().split(":")
    assert set(offered) == {*policy.tls_ciphers, *policy.tls_ciphersuites}


def test_openssl_refuses_to_offer_an_older_protocol(configuration: Path) -> None:
    minimum = re.search(r"^MinProtocol = (\S+)$", configuration.read_text(), re.MULTILINE)
    assert minimum is not None
    assert minimum[1] == production().tls_min_protocol
    assert openssl(configuration, "ciphers", "-s", "-tls1_1").strip() == ""


def test_the_lowest_protocol_holds_in_a_library_context_of_its_own_as_everest_uses_one_for_tls(configuration: Path) -> None:
    libraries = [ctypes.util.find_library(name) for name in ("ssl", "crypto")]
    if None in libraries:
        pytest.skip("libssl is missing")
    said = subprocess.run(
        [sys.executable, "-c", MIN_PROTOCOL, *map(str, libraries)],
        env={"PATH": os.environ["PATH"], "OPENSSL_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "0x303", "TLS 1.2 is 0x303 (RFC 5246)"


def test_a_program_that_does_not_ask_for_the_tpm_does_without_it(configuration: Path) -> None:
    assert "tpm2" not in openssl(configuration, "list", "-providers")
    assert "SHA2-256" in openssl(configuration, "dgst", "-sha256", str(configuration))


def test_a_key_is_made_in_the_tpm_by_the_property_query_alone(configuration: Path, tpm: str, tmp_path: Path) -> None:
    assert header(new_key(configuration, tmp_path / "tpm.key", tpm, *IN_THE_TPM)) == "-----BEGIN TSS2 PRIVATE KEY-----"
    assert header(new_key(configuration, tmp_path / "software.key", tpm)) == "-----BEGIN PRIVATE KEY-----"


def test_a_key_in_the_tpm_signs_and_what_it_signed_verifies_without_the_tpm(configuration: Path, tpm: str, tmp_path: Path) -> None:
    key = new_key(configuration, tmp_path / "tpm.key", tpm, *IN_THE_TPM)
    certificate = str(tmp_path / "certificate.pem")
    request = ("req", *BOTH, "-x509", "-key", str(key), "-subj", "/CN=charger", "-out", certificate)
    # Since OpenSSL 3.5 the key is found without the query, too.
    bare = run(configuration, *request, tpm=tpm)
    assert bare.returncode == 0 or "missing private key" in bare.stderr
    openssl(configuration, *request, *IN_THE_TPM, tpm=tpm)
    assert openssl(configuration, "verify", "-CAfile", certificate, certificate).strip().endswith("OK")
