"""The exposed MQTT API with the real brokers: EVerest's on its socket, the API's in front, and the relay between them (NET-02)."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.layer import UNITS, Bench, contents
from support.mqtt import make_certificates
from support.waiting import eventually

pytestmark = pytest.mark.layer

PATH = f"{os.environ['PATH']}:/usr/sbin"
PROXY = Path("/usr/lib/systemd/systemd-socket-proxyd")
PROGRAMS = ("mosquitto", "mosquitto_pub", "mosquitto_sub", "openssl", "systemd-socket-activate")
SECONDS = 20
READ = "everest_api/1/evse_manager_consumer/+/e2m/#"
SHOWN = "everest_api/1/evse_manager_consumer/connector_1/e2m/session_event"
COMMAND = "everest_api/1/evse_manager_consumer/connector_1/m2e/pause_charging"
INTERNAL = "everest/modules/evse_manager/impl/evse/var"
WRITABLE = {"EVEREST_MQTT_API_WRITE": "everest_api/1/evse_manager_consumer/+/m2e/#", "EVEREST_MQTT_API_WRITERS": "operator"}


@dataclass(frozen=True)
class Api:
    """A charger's two brokers at work."""

    place: Path
    port: int

    def client(self, name: str, program: str, *arguments: str) -> list[str]:
        """Command line of a client of the API; without a name it has no certificate."""
        keys = ["--cert", f"{self.place}/{name}.pem", "--key", f"{self.place}/{name}.key"] if name else []
        return [program, "-h", "127.0.0.1", "-p", str(self.port), "--insecure", "--cafile", f"{self.place}/ca.pem", *keys, *arguments]

    def everest(self, program: str, *arguments: str) -> list[str]:
        """Command line of a client of EVerest's own broker."""
        return [program, "--unix", f"{self.place}/everest.sock", *arguments]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env={"PATH": PATH}) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def api(layer: Bench, place: Path) -> Iterator[Api]:
    """Start both brokers with the layer's own files; only paths and ports are the test's."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None] + [str(PROXY)] * (not PROXY.exists())
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")
    make_certificates(place)
    own = layer.package("everest-mqtt-api", **WRITABLE).files / "etc/mosquitto"
    shutil.copy(own / "everest-mqtt-api.acl", place / "acl")
    port, back = free_port(), free_port()
    root = "user root\n" if os.geteuid() == 0 else ""
    replaced = {
        "listener 8883 ": f"listener {port} ",
        "127.0.0.1:1883": f"127.0.0.1:{back}",
        "/run/credentials/everest-mqtt-api.service": str(place),
        "/run/mosquitto/everest.sock": str(place / "everest.sock"),
    }
    for name, file in (
        ("main", layer.package("everest-broker-conf").files / "etc/mosquitto/everest-broker.conf"),
        ("api", own / "everest-mqtt-api.conf"),
    ):
        text = file.read_text() + root
        for was, becomes in replaced.items():
            text = text.replace(was, becomes)
        (place / f"{name}.conf").write_text(text)
    relay = ["systemd-socket-activate", "-l", f"127.0.0.1:{back}", str(PROXY), str(place / "everest.sock")]
    with (
        running(["mosquitto", "-c", str(place / "main.conf")], place / "main.log"),
        running(relay, place / "relay.log"),
        running(["mosquitto", "-c", str(place / "api.conf")], place / "api.log"),
    ):
        eventually(lambda: listens(port))
        eventually(lambda: "everest-mqtt-api" in (place / "main.log").read_text())
        yield Api(place, port)


@pytest.fixture(scope="module")
def charger(layer: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(layer, tmp_path_factory.mktemp("mqtt")) as found:
        yield found


def publish(charger: Api, topic: str, message: str) -> None:
    """EVerest says something that its broker keeps."""
    assert run(charger.everest("mosquitto_pub", "-r", "-q", "1", "-t", topic, "-m", message)).returncode == 0


def test_a_client_with_a_certificate_reads_the_api(charger: Api) -> None:
    publish(charger, SHOWN, "charging")
    eventually(lambda: run(charger.client("viewer", "mosquitto_sub", "-C", "1", "-W", "2", "-t", READ)).stdout == "charging\n")


@pytest.mark.parametrize("name", ["", "stranger"])
def test_a_client_without_a_certificate_of_the_products_ca_is_refused(charger: Api, name: str) -> None:
    assert run(charger.client(name, "mosquitto_sub", "-C", "1", "-W", "2", "-t", READ)).returncode != 0
    assert run(charger.client("viewer", "mosquitto_pub", "-t", SHOWN, "-m", "probe")).returncode == 0


def test_tls_1_1_is_refused(charger: Api) -> None:
    def offer(version: str) -> int:
        keys = ["-cert", f"{charger.place}/viewer.pem", "-key", f"{charger.place}/viewer.key"]
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{charger.port}", version, "-cipher", "DEFAULT@SECLEVEL=0", *keys]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False).returncode

    assert offer("-tls1_1") != 0
    assert offer("-tls1_2") == 0


def test_what_is_not_listed_never_reaches_the_api_whatever_the_client_asks_for(charger: Api) -> None:
    publish(charger, INTERNAL, "secret")
    publish(charger, "everest_api/1/auth_token_provider/rfid/e2m/token", "card")
    publish(charger, SHOWN, "last")
    eventually(lambda: run(charger.client("viewer", "mosquitto_sub", "-C", "1", "-W", "2", "-t", READ)).stdout == "last\n")
    everything = run(charger.client("viewer", "mosquitto_sub", "-v", "-W", "2", "-t", "#")).stdout
    assert [line.split()[0] for line in everything.splitlines()] == [SHOWN]


def test_a_writer_commands_everest_on_listed_topics_and_nobody_else_does(charger: Api, tmp_path: Path) -> None:
    log = tmp_path / "everest.log"
    with running(charger.everest("mosquitto_sub", "-v", "-t", "#"), log):
        eventually(lambda: "last" in log.read_text())
        for name, topic in (("viewer", COMMAND), ("operator", INTERNAL), ("operator", SHOWN)):
            assert run(charger.client(name, "mosquitto_pub", "-q", "1", "-t", topic, "-m", f"from-{name}")).returncode == 0
        assert run(charger.client("operator", "mosquitto_pub", "-q", "1", "-t", COMMAND, "-m", "pause")).returncode == 0
        eventually(lambda: "pause" in log.read_text())
    assert f"{COMMAND} pause" in log.read_text()
    assert "from-" not in log.read_text()


def test_by_default_the_api_shows_and_takes_nothing(layer: Bench) -> None:
    files = layer.package("everest-mqtt-api").files / "etc/mosquitto"
    bridged = [line.split() for line in (files / "everest-mqtt-api.conf").read_text().splitlines() if line.startswith("topic ")]
    assert {direction for _, _, direction, _ in bridged} == {"in"}
    rights = [line for line in (files / "everest-mqtt-api.acl").read_text().splitlines() if not line.startswith("#")]
    assert rights == [f"pattern read {topic}" for _, topic, _, _ in bridged]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"EVEREST_MQTT_API_READ": "everest/#"}, "EVEREST_MQTT_API_READ has 'everest/#', which is no topic of EVerest's API"),
        ({"EVEREST_MQTT_API_READ": "#"}, "EVEREST_MQTT_API_READ has '#'"),
        ({"EVEREST_MQTT_API_READ": "everest_api/#"}, "EVEREST_MQTT_API_READ has 'everest_api/#'"),
        ({"EVEREST_MQTT_API_READ": ""}, "EVEREST_MQTT_API_READ is empty"),
        ({**WRITABLE, "EVEREST_MQTT_API_WRITE": "everest_api/1/+/+/m2e/#"}, "EVEREST_MQTT_API_WRITE has"),
        ({**WRITABLE, "EVEREST_MQTT_API_WRITE": "everest_api/1/evse_board_support/bsp/e2m/#"}, "EVEREST_MQTT_API_WRITE has"),
        ({**WRITABLE, "EVEREST_MQTT_API_WRITERS": ""}, "EVEREST_MQTT_API_WRITE and EVEREST_MQTT_API_WRITERS belong together"),
        ({**WRITABLE, "EVEREST_MQTT_API_WRITERS": "a;b"}, "EVEREST_MQTT_API_WRITERS has 'a;b'"),
    ],
)
def test_a_list_that_reaches_beyond_the_api_stops_the_build(layer: Bench, settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        layer.package("everest-mqtt-api", **settings)
    assert sentence in str(caught.value)


def test_nothing_can_enable_it_and_a_timer_ends_it(layer: Bench) -> None:
    package = layer.package("everest-mqtt-api", EVEREST_MQTT_API_MINUTES="5", EVEREST_MQTT_API_PORT="8884")
    units = {name: (package.files / name[1:]).read_text() for name in contents(package) if name.startswith(f"/{UNITS}")}
    assert package.services == ()
    assert not [name for name, text in units.items() if "[Install]" in text]
    assert "BindsTo=mosquitto.service everest-mqtt-api-off.timer\n" in units[f"/{UNITS}/everest-mqtt-api.service"]
    assert "Restart=" not in units[f"/{UNITS}/everest-mqtt-api.service"]
    assert "OnActiveSec=5min\n" in units[f"/{UNITS}/everest-mqtt-api-off.timer"]
    assert "Conflicts=everest-mqtt-api.service\n" in units[f"/{UNITS}/everest-mqtt-api-off.service"]
    assert "mqtt_api { 8884 timeout 5m }" in units[f"/{UNITS}/everest-mqtt-api-front.socket"]
