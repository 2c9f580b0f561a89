"""What EVerest's real code says when something happens is one event for the monitor (LOG-03)."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.everest import fetch, patched
from support.everest_code import key_program, tls_server
from support.layer import Bench, bench
from support.monitor import occurrences
from support.mqtt import make_certificates

pytestmark = pytest.mark.yocto

PATIENCE = 30


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench(tmp_path_factory.mktemp("layer"))


@pytest.fixture(scope="module")
def monitor(layer: Bench) -> Path:
    """Files of the monitor's package."""
    return layer.package("everest-security-monitor").files


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch(tmp_path_factory.mktemp("everest"))


@pytest.fixture(scope="module")
def server(upstream: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls_server(tmp_path_factory.mktemp("server") / "code", upstream)


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


def test_a_key_that_the_tpm_cannot_make_is_an_event(layer: Bench, upstream: Path, monitor: Path, tmp_path: Path) -> None:
    program = key_program(tmp_path / "code", patched(layer, tmp_path / "patched", upstream))
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


def test_the_ocpp_client_says_that_it_could_not_connect_as_the_monitor_expects_it(upstream: Path) -> None:
    source = (upstream / "lib/everest/ocpp/lib/ocpp/common/websocket/websocket_libwebsockets.cpp").read_text()
    assert 'EVLOG_error << "CLIENT_CONNECTION_ERROR: [" << error_message << "]. Attempting reconnect";' in source
    assert "lws_set_log_level(LLL_ERR, nullptr);" in source
