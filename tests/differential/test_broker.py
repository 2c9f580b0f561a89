"""Whom a listener with TLS lets in, by our reading of the configuration and by mosquitto."""

import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.mosquitto import parse_broker_config
from support.authority import issue
from support.reference import require

TLS = "cafile DIR/ca.pem\ncertfile DIR/server.pem\nkeyfile DIR/server.key\n"
KNOWN = "require_certificate true\nuse_identity_as_username true\n"
CASES = {
    "a certificate is asked for": f"listener PORT 127.0.0.1\n{TLS}{KNOWN}",
    "a certificate is asked for, and nobody is known by it": f"listener PORT 127.0.0.1\n{TLS}require_certificate true\n",
    "anonymous clients with a certificate": f"listener PORT 127.0.0.1\n{TLS}require_certificate true\nallow_anonymous true\n",
    "everybody over TLS": f"listener PORT 127.0.0.1\n{TLS}allow_anonymous true\n",
    "nobody over TLS": f"listener PORT 127.0.0.1\n{TLS}",
    "an indented line takes it back": f"listener PORT 127.0.0.1\n{TLS}{KNOWN}  require_certificate false\n",
    "the last of two lines counts": f"listener PORT 127.0.0.1\n{TLS}require_certificate false\n{KNOWN}",
    "numbers are words": f"listener PORT 127.0.0.1\n{TLS}require_certificate 1\nallow_anonymous 1\n",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("broker")
    authority = issue("CA", authority=True)
    for name in ("server", "client"):
        pair = issue(name, by=authority, code_signing=False)
        (place / f"{name}.pem").write_text(pair.pem)
        (place / f"{name}.key").write_text(pair.key_pem)
    (place / "ca.pem").write_text(authority.pem)
    return place


@pytest.mark.parametrize("name", CASES)
def test_mosquitto_lets_in_whom_the_parser_says(name: str, files: Path, tmp_path: Path) -> None:
    require("mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    text = CASES[name].replace("DIR", str(files)).replace("PORT", str(port))
    user = "user root\n" if os.getuid() == 0 else ""
    configuration = tmp_path / "x.conf"
    configuration.write_text(user + text)
    with subprocess.Popen(["mosquitto", "-c", configuration], stderr=subprocess.DEVNULL, text=True) as broker:
        try:
            said = (_comes_in(port, files, broker, certificate=False), _comes_in(port, files, broker, certificate=True))
        finally:
            broker.terminate()
    (listener,) = parse_broker_config(text, "x.conf").listeners
    required = (listener.option("require_certificate") or "").lower() in ("true", "1")
    known = (listener.option("use_identity_as_username") or "").lower() in ("true", "1")
    assert said == (listener.allow_anonymous and not required, listener.allow_anonymous or (known and required))


def _comes_in(port: int, files: Path, broker: "subprocess.Popen[str]", *, certificate: bool) -> bool:
    """Whether an MQTT 3.1.1 CONNECT over TLS is accepted."""
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    context.check_hostname = False
    # Set since Python 3.13; the test's certificates have not all that it asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate:
        context.load_cert_chain(files / "client.pem", files / "client.key")
    limit = time.monotonic() + 20
    while time.monotonic() < limit and broker.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as link:
                link.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))
                return link.recv(4)[3:4] == b"\0"
        except ConnectionRefusedError:
            continue
        except OSError:
            return False
    raise AssertionError("the broker did not answer")


@pytest.mark.parametrize("line", ["allow_anonymous True", "allow_anonymous\ttrue", "allow_anonymous yes", "require_certificate TRUE"])
def test_mosquitto_refuses_what_the_parser_refuses(line: str, tmp_path: Path) -> None:
    require("mosquitto")
    text = f"listener 0 {tmp_path}/x.sock\n{line}\n"
    with pytest.raises(ArtefactError, match=r"x\.conf:2"):
        parse_broker_config(text, "x.conf")
    configuration = tmp_path / "x.conf"
    configuration.write_text(text)
    done = subprocess.run(["mosquitto", "-c", configuration], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode
    assert ":2" in done.stderr
