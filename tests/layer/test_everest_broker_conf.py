"""The broker's configuration with the real mosquitto (NET-01)."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer

CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
ACCEPTED = b"\x20\x02\x00\x00"
LISTEN = "0A"
SECONDS = 10
needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="mosquitto is missing"
)


def answers(place: Path) -> bool:
    """Whether somebody listens on a socket, whose file is there a moment before that."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0


@contextmanager
def broker(configuration: str, socket_path: Path) -> Iterator[int]:
    """Run the real broker on a configuration, from when it answers on its socket; yields its process id."""
    file = socket_path.with_name("broker.conf")
    file.write_text(configuration + ("user root\n" if os.geteuid() == 0 else ""))
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    with subprocess.Popen([program, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + SECONDS
        while not answers(socket_path) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        try:
            yield process.pid
        finally:
            process.terminate()


def tcp_listeners(pid: int) -> list[str]:
    """Local addresses on which a process listens over TCP."""
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            held.add(str(descriptor.readlink()))
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == LISTEN and f"socket:[{row[9]}]" in held]


def test_broker_and_drop_in_lie_where_the_architecture_says(layer: Bench) -> None:
    assert contents(layer.package("everest-broker-conf")) == {
        "/etc/mosquitto/everest-broker.conf": 0o644,
        f"/{UNITS}/mosquitto.service.d/50-everest-broker.conf": 0o644,
    }


@needs_mosquitto
def test_the_broker_serves_an_anonymous_client_on_its_socket_and_listens_on_no_interface(layer: Bench, tmp_path: Path) -> None:
    text = (layer.package("everest-broker-conf").files / "etc/mosquitto/everest-broker.conf").read_text()
    place = tmp_path / "everest.sock"
    assert "/run/mosquitto/everest.sock" in text
    with (
        broker(text.replace("/run/mosquitto/everest.sock", str(place)), place) as pid,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(SECONDS)
        client.connect(str(place))
        client.sendall(CONNECT)
        assert client.recv(4) == ACCEPTED
        assert tcp_listeners(pid) == []


@needs_mosquitto
def test_the_probe_for_listeners_sees_a_broker_on_an_interface(layer: Bench, tmp_path: Path) -> None:
    text = (layer.package("everest-broker-conf").files / "etc/mosquitto/everest-broker.conf").read_text()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = tmp_path / "everest.sock"
    open_broker = f"listener {port} 127.0.0.1\n" + text.replace("/run/mosquitto/everest.sock", str(place))
    with broker(open_broker, place) as pid:
        assert [address.rpartition(":")[2] for address in tcp_listeners(pid)] == [f"{port:04X}"]
