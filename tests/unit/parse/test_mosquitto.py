"""Broker configurations, judged by the parser and by a broker that starts with them."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.mosquitto import BrokerConfig, parse_broker_config, read_broker_config
from support.rootfs import RootFs


def parse(text: str) -> BrokerConfig:
    return parse_broker_config(text, "x.conf")


def test_without_a_listener_the_broker_is_open_on_loopback() -> None:
    (listener,) = parse("# nothing\n").listeners
    assert (listener.port, listener.address, listener.allow_anonymous) == (1883, "localhost", True)


def test_with_a_listener_nobody_comes_in_without_a_name() -> None:
    (listener,) = parse("listener 0 /run/x.sock\n").listeners
    assert (listener.socket_path, listener.allow_anonymous) == ("/run/x.sock", False)


def test_a_port_line_is_a_listener_too() -> None:
    (listener,) = parse("port 1884\nbind_address 10.0.0.1\n").listeners
    assert (listener.port, listener.address, listener.allow_anonymous) == (1884, "10.0.0.1", False)


@pytest.mark.parametrize(
    ("option", "ports"),
    [
        ("max_connections 10", [1883, 0]),
        ("certfile /etc/x.pem", [1883, 0]),
        ("protocol websockets", [1883, 0]),
        ("protocol mqtt", [0]),
        ("tls_version tlsv1.2", [0]),
        ("password_file /etc/pw", [0]),
        ("per_listener_settings true\npassword_file /etc/pw", [1883, 0]),
    ],
)
def test_an_option_before_the_listener_line_may_open_the_default_port(option: str, ports: list[int]) -> None:
    assert [each.port for each in parse(f"{option}\nlistener 0 /run/x.sock\n").listeners] == ports


def test_listener_options_belong_to_the_listener_above() -> None:
    first, second = parse("listener 8883\nrequire_certificate true\nlistener 0 /run/x.sock\n").listeners
    assert first.option("require_certificate") == "true"
    assert second.option("require_certificate") is None


def test_anonymous_clients_are_decided_per_listener_only_when_asked_for() -> None:
    text = "listener 1 a\nallow_anonymous true\nlistener 2 b\nallow_anonymous false\n"
    assert [each.allow_anonymous for each in parse(text).listeners] == [False, False]
    assert [each.allow_anonymous for each in parse("per_listener_settings true\n" + text).listeners] == [True, False]


def test_several_configurations_are_read_into_one() -> None:
    fs = RootFs().file("/a.conf", "listener 0 /run/x.sock\n").file("/b.conf", "listener 1884\n")
    assert [each.port for each in read_broker_config(fs.tree, "/a.conf", "/b.conf").listeners] == [0, 1884]


def test_bridges_have_their_topics() -> None:
    (bridge,) = parse("listener 0 /run/x.sock\nconnection cloud\naddress a.example\ntopic everest_api/# out\n").bridges
    assert [(each.name, each.value) for each in bridge.options] == [("address", "a.example"), ("topic", "everest_api/# out")]


def test_include_directories_are_read_in_order() -> None:
    fs = (
        RootFs()
        .file("/etc/m.conf", "include_dir /etc/m.d\n")
        .file("/etc/m.d/b.conf", "listener 2\n")
        .file("/etc/m.d/a.conf", "listener 1\n")
        .file("/etc/m.d/C.conf", "")
        .file("/etc/m.d/_.conf", "")
    )
    fs.file("/etc/m.d/c.txt", "listener 3\n")
    assert [(each.port, each.path) for each in read_broker_config(fs.tree, "/etc/m.conf").listeners] == [
        (1, "/etc/m.d/a.conf"),
        (2, "/etc/m.d/b.conf"),
    ]
    names = [path.rpartition("/")[2] for path in read_broker_config(fs.tree, "/etc/m.conf").includes[1:]]
    assert names == ["a.conf", "b.conf", "C.conf", "_.conf"]


def including(text: str, included: str) -> BrokerConfig:
    return parse_broker_config(text, "m.conf", include=lambda directory: [(f"{directory}/a.conf", included)])


def test_an_option_in_an_included_file_is_not_of_the_listener_above_but_opens_the_default_port() -> None:
    default, socket = including("listener 0 /run/x.sock\ninclude_dir d\n", "max_connections 50\n").listeners
    assert (default.port, default.path, socket.option("max_connections")) == (1883, "d/a.conf", None)


def test_what_follows_an_included_file_is_of_the_listener_above_it() -> None:
    first, second = including("listener 1\ninclude_dir d\nmax_qos 1\n", "listener 2\nmax_qos 0\n").listeners
    assert (first.option("max_qos"), second.option("max_qos")) == ("1", "0")


def test_a_bridge_cannot_go_on_in_an_included_file() -> None:
    with pytest.raises(ArtefactError, match=r"d/a\.conf:1 sets 'topic' outside"):
        including("listener 1\nconnection a\naddress b\ninclude_dir d\n", "topic # out\n")


@pytest.mark.parametrize("line", ["LISTENER 1883", "listener=1883", "  # indented", "listener_allow_anonymous true", "foo bar"])
def test_an_option_that_mosquitto_does_not_know_is_an_error(line: str) -> None:
    with pytest.raises(ArtefactError, match=r"x\.conf:2"):
        parse(f"listener 0 /run/x.sock\n{line}\n")


def test_a_directory_that_includes_itself_ends() -> None:
    fs = RootFs().file("/etc/m.d/a.conf", "include_dir /etc/m.d\n")
    with pytest.raises(ArtefactError, match="loop"):
        read_broker_config(fs.tree, "/etc/m.d/a.conf")


@pytest.mark.parametrize("text", ["listener x", "listener 0", "listener 70000", "topic a", "port -1"])
def test_what_mosquitto_refuses_is_refused(text: str) -> None:
    with pytest.raises(ArtefactError, match=r"x\.conf:1"):
        parse(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "text",
    [
        "listener PORT 127.0.0.1\n",
        "listener PORT 127.0.0.1\nallow_anonymous true\n",
        "per_listener_settings true\nlistener OTHER 127.0.0.1\nallow_anonymous true\nlistener PORT 127.0.0.1\n",
        "per_listener_settings true\nlistener PORT 127.0.0.1\nallow_anonymous true\n",
        "allow_anonymous true\nport PORT\nbind_address 127.0.0.1\n",
        "port PORT\nbind_address 127.0.0.1\n",
        "listener OTHER 127.0.0.1\nlistener PORT 127.0.0.1\nallow_anonymous true\n",
    ],
)
def test_a_broker_that_runs_lets_in_whom_the_parser_says(text: str, tmp_path: Path) -> None:
    if not shutil.which("mosquitto"):
        pytest.skip("mosquitto is not installed")
    file = tmp_path / "x.conf"
    port = free_port()
    text = text.replace("PORT", str(port)).replace("OTHER", str(free_port()))
    file.write_text(text)
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.getuid() == 0 else []
    tmp_path.chmod(0o755)
    with subprocess.Popen([*user, "mosquitto", "-c", "/dev/stdin"], stdin=file.open(), stderr=subprocess.DEVNULL) as broker:
        try:
            said = connect(port, broker)
        finally:
            broker.terminate()
    (listener,) = [each for each in parse(text).listeners if each.port == port]
    assert said == (0 if listener.allow_anonymous else 5)


@pytest.mark.parametrize(
    ("main", "included"),
    [
        ("per_listener_settings true\nlistener PORT 127.0.0.1\ninclude_dir DIR\n", {"a.conf": "allow_anonymous true\n"}),
        ("listener PORT 127.0.0.1\ninclude_dir DIR\n", {"a.conf": "allow_anonymous true\n"}),
        ("listener PORT 127.0.0.1\ninclude_dir DIR\n", {"Z.conf": "allow_anonymous true\n", "a.conf": "allow_anonymous false\n"}),
    ],
)
def test_a_broker_that_includes_files_lets_in_whom_the_parser_says(main: str, included: dict[str, str], tmp_path: Path) -> None:
    if not shutil.which("mosquitto"):
        pytest.skip("mosquitto is not installed")
    port = free_port()
    main = main.replace("PORT", str(port)).replace("DIR", str(tmp_path / "d"))
    fs = RootFs().file("/m.conf", main)
    (tmp_path / "d").mkdir()
    for name, text in included.items():
        fs.file(f"{tmp_path}/d/{name}", text)
        (tmp_path / "d" / name).write_text(text)
    (tmp_path / "m.conf").write_text(("user root\n" if os.getuid() == 0 else "") + main)
    with subprocess.Popen(["mosquitto", "-c", tmp_path / "m.conf"], stderr=subprocess.DEVNULL) as broker:
        try:
            said = connect(port, broker)
        finally:
            broker.terminate()
    (listener,) = read_broker_config(fs.tree, "/m.conf").listeners
    assert said == (0 if listener.allow_anonymous else 5)


def connect(port: int, broker: "subprocess.Popen[bytes]") -> int:
    """Return what the broker answers to an MQTT 3.1.1 CONNECT without a name: 0 accepted, 5 not authorised."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit and broker.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
                link.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))
                return link.recv(4)[3]
        except ConnectionRefusedError:
            continue
    raise AssertionError("the broker did not answer")
