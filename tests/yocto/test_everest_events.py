"""What EVerest's real code says when something happens is one event for the monitor (LOG-03)."""

import json
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.authority import Pair, issue
from support.csms import BUSY, REFUSED, csms
from support.everest import patched
from support.everest_charger import made
from support.everest_code import key_program, tls_server
from support.everest_ocpp_client import ocpp_client
from support.layer import Bench
from support.monitor import occurrences
from support.mqtt import make_certificates
from support.ocpp import COMPONENTS

pytestmark = pytest.mark.yocto

PATIENCE = 30


@pytest.fixture(scope="module")
def built(layer: Bench, everest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EVerest's code as it is built."""
    return patched(layer, tmp_path_factory.mktemp("patched"), everest)


@pytest.fixture(scope="module")
def server(everest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls_server(tmp_path_factory.mktemp("server") / "code", everest)


@pytest.fixture
def pki() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        make_certificates(Path(place))
        yield Path(place)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def said_to(server: Path, pki: Path, client: Sequence[str]) -> list[str]:
    """Let a client of OpenSSL connect once, and return the lines that the server printed."""
    port = str(free_port())
    command: list[str | Path] = [server, pki / "server.pem", pki / "server.key", pki / "ca.pem", port]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        tries = 0
        connect: list[str | Path] = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", pki / "ca.pem", *client]
        while (
            "CONNECTED"
            not in subprocess.run(connect, stdin=subprocess.DEVNULL, cwd=pki, capture_output=True, text=True, check=False).stdout
        ):
            tries += 1
            assert tries < 1000
        _, said = process.communicate(timeout=PATIENCE)
    return str(said).splitlines()


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        pytest.param((), "peer did not return a certificate", id="no certificate"),
        pytest.param(("-cert", "stranger.pem", "-key", "stranger.key"), "certificate verify failed", id="another authority"),
        pytest.param(("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"), "unsupported protocol", id="TLS 1.1"),
        pytest.param(("-tls1_2", "-cipher", "AES128-SHA"), "no shared cipher", id="an old cipher suite"),
    ],
)
def test_a_vehicle_that_cannot_agree_on_tls_is_one_event(
    server: Path, monitor: Path, pki: Path, client: Sequence[str], reason: str
) -> None:
    ((event, text),) = occurrences(monitor, "everest.service", said_to(server, pki, client))
    assert event == "tls-handshake-failed"
    assert reason in text


def test_a_vehicle_that_agrees_on_tls_is_none(server: Path, monitor: Path, pki: Path) -> None:
    said = said_to(server, pki, ("-cert", "viewer.pem", "-key", "viewer.key"))
    assert said
    assert occurrences(monitor, "everest.service", said) == []


def test_a_key_that_the_tpm_cannot_make_is_an_event(built: Path, monitor: Path, tmp_path: Path) -> None:
    program = key_program(tmp_path / "code", built)
    (tmp_path / "modules").mkdir()
    environment = {**os.environ, "OPENSSL_MODULES": str(tmp_path / "modules")}
    said = subprocess.run([program, tmp_path / "leaf.tkey"], env=environment, capture_output=True, text=True, check=False).stderr
    found = occurrences(monitor, "everest.service", said.splitlines())
    assert {event for event, _ in found} == {"key-fallback"}
    # A program has two library contexts, and each looks for the provider.
    start, again, key = (text for _, text in found)
    assert start.startswith("Unable to load OSSL_PROVIDER: tpm2")
    assert again == start
    assert key == "Failed to generate csr pub/priv key!"


ROOT, STRANGER = issue("CSMS root", authority=True), issue("Another root", authority=True)
CHARGER = issue("charger", by=ROOT, for_clients=True)


def identity(name: str = "localhost", *, by: Pair = ROOT, age: int = 1) -> Pair:
    """A CSMS's certificate for ten days."""
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    return issue(name, by=by, age=age, days=10, uncritical=(names,), purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))


CSMS = identity()


@pytest.fixture(scope="module")
def client(everest: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ocpp_client(tmp_path_factory.mktemp("client") / "code", everest, built)


@pytest.fixture(scope="module")
def ciphers(layer: Bench, everest: Path) -> list[str]:
    """What the layer lets the client offer for TLS 1.2 and for TLS 1.3."""
    components = made(layer, everest).files / COMPONENTS[1:]
    offered = json.loads((components / "InternalCtrlr.json").read_text())["properties"]
    return [offered[name]["attributes"][0]["value"] for name in ("SupportedCiphers12", "SupportedCiphers13")]


def tls_1_2(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def tls_1_1(context: ssl.SSLContext) -> None:
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def an_old_suite(context: ssl.SSLContext) -> None:
    tls_1_2(context)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")


def another_charger_s_root(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=STRANGER.pem)


def another_charger_s_root_in_tls_1_2(context: ssl.SSLContext) -> None:
    tls_1_2(context)
    another_charger_s_root(context)


def nothing(context: ssl.SSLContext) -> None:
    """The CSMS's TLS stays as it is."""


TLS, PASSWORD = "tls-handshake-failed", "authentication-failed"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("own", "change", "answer", "profile", "event"),
    [
        pytest.param(CSMS, nothing, "", 3, None, id="it connects"),
        pytest.param(CSMS, nothing, REFUSED, 2, PASSWORD, id="a password that is wrong"),
        pytest.param(CSMS, nothing, BUSY, 3, None, id="a CSMS that is busy"),
        pytest.param(identity(by=STRANGER), nothing, "", 3, TLS, id="a CSMS of another authority"),
        pytest.param(identity("other"), nothing, "", 3, TLS, id="a CSMS of another name"),
        pytest.param(identity(age=20), nothing, "", 3, TLS, id="a CSMS that has expired"),
        pytest.param(CSMS, tls_1_1, "", 3, TLS, id="TLS 1.1"),
        pytest.param(CSMS, an_old_suite, "", 3, TLS, id="an old cipher suite"),
        pytest.param(CSMS, another_charger_s_root_in_tls_1_2, "", 3, TLS, id="a charger that is refused"),
        # The handshake is over when the CSMS looks at the certificate.
        pytest.param(CSMS, another_charger_s_root, "", 3, None, id="a charger that is refused under TLS 1.3"),
    ],
)
def test_a_csms_that_cannot_be_agreed_with_is_one_event(
    client: Path,
    ciphers: Sequence[str],
    monitor: Path,
    tmp_path: Path,
    own: Pair,
    change: Callable[[ssl.SSLContext], None],
    answer: str,
    profile: int,
    event: str | None,
) -> None:
    with csms(tmp_path, own, answer=answer, change=change) as port:
        outcome, said = connected(client, ciphers, tmp_path, port, profile=profile)
    assert outcome == ("connected" if (change, answer, own) == (nothing, "", CSMS) else "stopped")
    assert [name for name, _ in occurrences(monitor, "everest.service", said)] == ([event] if event else []), said


def test_a_csms_that_resets_the_connection_is_tried_again(client: Path, ciphers: Sequence[str], tmp_path: Path) -> None:
    with csms(tmp_path, CSMS, change=another_charger_s_root, resets=True) as port:
        outcome, said = connected(client, ciphers, tmp_path, port)
    assert outcome == "stopped"
    assert any(line.startswith("CLIENT_CONNECTION_ERROR: [") for line in said)


def test_a_csms_that_is_gone_takes_no_connection(tmp_path: Path) -> None:
    with csms(tmp_path, CSMS) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def connected(client: Path, ciphers: Sequence[str], place: Path, port: int, *, profile: int = 3) -> tuple[str, list[str]]:
    """Let a charger try once to reach a CSMS; return how it ended and the lines that were said."""
    files = {"roots.pem": ROOT.pem, "charger.pem": CHARGER.pem, "charger.key": CHARGER.key_pem}
    for name, text in files.items():
        (place / name).write_text(text)
    command: list[str | Path] = [client, f"wss://localhost:{port}/ocpp", str(profile), *(place / name for name in files), *ciphers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout.strip(), done.stderr.splitlines()
