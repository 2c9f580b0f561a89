"""hawkBit's real client, compiled as the recipe says, knows itself by a key in the TPM and its server by one authority (NET-09)."""

import hashlib
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from support import hawkbit_client, hawkbit_rauc, tpm_provider
from support.authority import Pair, issue
from support.hawkbit_client import UNIT, Device, device
from support.hawkbit_server import IDLE, PATIENCE, HawkbitServer, Request, tls
from support.layer import bench
from support.monitor import occurrences

pytestmark = [pytest.mark.yocto, pytest.mark.usefixtures("rauc_of_the_layers")]

HOST = "updates.example.com"
NAME = "CP-0815"
PRODUCT = "acme-charger"
POLL = f"/ACME/controller/v1/{NAME}"
ALGORITHMS = {"EC": ("-algorithm", "EC", "-pkeyopt", "group:P-256"), "RSA": ("-algorithm", "RSA", "-pkeyopt", "bits:2048")}


def server_certificate(host: str, by: Pair) -> Pair:
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    return issue(host, by=by, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,), uncritical=(names,))


SERVER_ROOT = issue("Update Server Root", authority=True)
DEVICE_ROOT = issue("Device Root", authority=True)
PUBLIC_ROOT = issue("A Public Root", authority=True)
"""One that programs of the charger trust by default."""
SERVER = server_certificate(HOST, SERVER_ROOT)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hawkbit_client.compiled(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("provider")
    code = tpm_provider.fetch(place / "code")
    tpm_provider.patch(code, place)
    return tpm_provider.compiled(code, place / "modules")


@pytest.fixture(scope="module")
def server() -> Iterator[HawkbitServer]:
    made = HawkbitServer()
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def packages(server: HawkbitServer, client: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Files of the client, of the layer's package for that server, and of the policy that lets few drive RAUC."""
    place = tmp_path_factory.mktemp("layer")
    (place / "server.pem").write_text(SERVER_ROOT.pem)
    settings = {
        "EVEREST_COMPATIBLE": PRODUCT,
        "EVEREST_HAWKBIT_SERVER": f"{HOST}:{server.port}",
        "EVEREST_HAWKBIT_TENANT": "ACME",
        "EVEREST_HAWKBIT_CA": str(place / "server.pem"),
    }
    layer = bench(place)
    return client, layer.package("everest-hawkbit", **settings).files, layer.package("everest-rauc-dbus-policy").files


@pytest.fixture
def charger(packages: tuple[Path, ...], modules: Path) -> Iterator[Device]:
    with tempfile.TemporaryDirectory() as place:
        yield device(Path(place), packages=packages, modules=modules, trusted=PUBLIC_ROOT, hosts=f"127.0.0.1 {HOST}\n")


def enrol(charger: Device, algorithm: str = "EC") -> None:
    """Make the key and have it certified, as docs/updates.md says."""
    key, request = "/var/lib/rauc-hawkbit/client.key.pem", "/var/lib/rauc-hawkbit/request.pem"
    for command in (
        ("genpkey", "-propquery", "?provider=tpm2", *ALGORITHMS[algorithm], "-out", key),
        ("req", "-new", "-key", key, "-subj", f"/CN={NAME}", "-out", request),
    ):
        done = charger.run("openssl", *command)
        assert done.returncode == 0, done.stderr
    authority = charger.place / "authority.pem"
    authority.write_text(DEVICE_ROOT.pem + DEVICE_ROOT.key_pem)
    sign = ("x509", "-req", "-in", charger.state / "request.pem", "-CA", authority, "-CAkey", authority, "-days", "1")
    subprocess.run(["openssl", *sign, "-out", charger.state / "client.cert.pem"], capture_output=True, check=True)


def noticed(monitor: Path, charger: Device, *said: str) -> list[str]:
    """Return the security events that the charger's monitor sees in what the client said (LOG-03)."""
    products = charger.place / "root/usr/lib/everest-secure/security-events.d/everest-hawkbit.tsv"
    entries = [line.partition("> ")[2] for line in said]
    return [event for event, _ in occurrences(monitor, UNIT, entries, products=products)]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_server_sees_a_certificate_whose_key_is_in_the_tpm(
    charger: Device, server: HawkbitServer, monitor: Path, algorithm: str, version: ssl.TLSVersion
) -> None:
    with charger.tpm():
        enrol(charger, algorithm)
        assert charger.key.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
        links = {"configData": {"href": f"https://{HOST}:{server.port}{POLL}/configData"}}
        accepted = tls(charger.place, SERVER, clients=DEVICE_ROOT, version=version)
        with server.answering(accepted, {POLL: {**IDLE, "_links": links}}), charger.started() as journal:
            journal.until("No new software.")
    assert noticed(monitor, charger, *journal.said) == []
    poll, attributes = server.taken()
    protocol = version.name.replace("_", ".")
    assert poll == Request(f"GET {POLL}", None, NAME, protocol)
    assert (attributes.line, attributes.by, attributes.protocol) == (f"PUT {POLL}/configData", NAME, protocol)
    assert attributes.body["data"] == {"product": PRODUCT}
    assert server.failed() == []


def test_a_server_that_asks_for_no_certificate_is_asked_all_the_same_and_does_not_know_who_asks(
    charger: Device, server: HawkbitServer
) -> None:
    with charger.tpm():
        enrol(charger)
        with server.answering(tls(charger.place, SERVER), {POLL: IDLE}), charger.started() as journal:
            journal.until("No new software.")
    assert [(request.line, request.by) for request in server.taken()] == [(f"GET {POLL}", "")]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(server_certificate(HOST, issue("Another Root", authority=True)), id="another authority"),
        pytest.param(server_certificate(HOST, PUBLIC_ROOT), id="an authority that the machine trusts"),
        pytest.param(server_certificate("else.example.com", SERVER_ROOT), id="another name"),
    ],
)
def test_a_server_that_is_another_hears_nothing(charger: Device, server: HawkbitServer, monitor: Path, other: Pair) -> None:
    with charger.tpm():
        enrol(charger)
        with server.answering(tls(charger.place, other, clients=DEVICE_ROOT), {POLL: IDLE}), charger.started() as journal:
            said = journal.until("Scheduled check for new software failed")
    assert said == "<4> Scheduled check for new software failed: SSL peer certificate or SSH remote key was not OK (60)"
    assert noticed(monitor, charger, *journal.said) == ["tls-handshake-failed"]
    assert server.taken() == []


@pytest.mark.parametrize("which", ["none", "another"])
def test_without_the_tpm_of_its_key_the_client_says_that_it_cannot_authenticate_itself_and_sends_nothing(
    charger: Device, server: HawkbitServer, monitor: Path, which: str
) -> None:
    with charger.tpm():
        enrol(charger)
    with ExitStack() as stack:
        if which == "another":
            stack.enter_context(charger.tpm(another=True))
        stack.enter_context(server.answering(tls(charger.place, SERVER, clients=DEVICE_ROOT), {POLL: IDLE}))
        said = stack.enter_context(charger.started()).until("Failed to authenticate")
    assert said == "<4> Failed to authenticate. Check if ssl_key/cert are correct?"
    assert noticed(monitor, charger, said) == ["authentication-failed"]
    assert server.taken() == []


@pytest.mark.parametrize(
    ("version", "why", "event"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_2, ["SSL connect error (35)"], ["tls-handshake-failed"], id="TLS 1.2"),
        # It closes the connection after the handshake, and the client says what any network does.
        pytest.param(
            ssl.TLSVersion.TLSv1_3,
            ["Failure when receiving data from the peer (56)", "Failed sending data to the peer (55)"],
            [],
            id="TLS 1.3",
        ),
    ],
)
def test_a_server_that_does_not_know_the_device_answers_nothing(
    charger: Device, server: HawkbitServer, monitor: Path, version: ssl.TLSVersion, why: list[str], event: list[str]
) -> None:
    with charger.tpm():
        enrol(charger)
        strict = tls(charger.place, SERVER, clients=issue("Another Root", authority=True), version=version)
        with server.answering(strict, {POLL: IDLE}), charger.started() as journal:
            said = journal.until("Scheduled check for new software failed")
            assert said.removeprefix("<4> Scheduled check for new software failed: ") in why
            assert "certificate verify failed" in server.failure()
    assert noticed(monitor, charger, said) == event
    assert server.taken() == []


def test_a_key_in_software_stops_the_client_before_it_starts(charger: Device) -> None:
    with charger.tpm():
        enrol(charger)
        charger.key.write_text(DEVICE_ROOT.key_pem)
        done = charger.prepare()
    assert (done.returncode, done.stderr) == (
        1,
        "everest-hawkbit-configure: /var/lib/rauc-hawkbit/client.key.pem is no key of a TPM; make one there\n",
    )


def deployment(server: HawkbitServer, bundle: bytes) -> dict[str, Any]:
    """What a server answers that has an update for the device, by path."""
    at = f"https://{HOST}:{server.port}"
    artefact = {
        "filename": "update.raucb",
        "size": len(bundle),
        "hashes": {"sha1": hashlib.sha1(bundle).hexdigest()},
        "_links": {"download": {"href": f"{at}/update.raucb"}},
    }
    chunk = {"part": "os", "version": "2", "name": "acme", "artifacts": [artefact]}
    return {
        POLL: {**IDLE, "_links": {"deploymentBase": {"href": f"{at}{POLL}/deploymentBase/7"}}},
        f"{POLL}/deploymentBase/7": {"id": "7", "deployment": {"download": "forced", "update": "forced", "chunks": [chunk]}},
        "/update.raucb": bundle,
    }


def told(server: HawkbitServer) -> Iterator[tuple[str, str, str]]:
    """Yield what the device reports of the deployment until it closes it: execution, result and the first detail."""
    while True:
        request = server.requests.get(timeout=PATIENCE)
        assert request.by == NAME
        if request.line == f"POST {POLL}/deploymentBase/7/feedback":
            status = request.body["status"]
            yield status["execution"], status["result"]["finished"], status["details"][0]
            if status["execution"] == "closed":
                return


def test_an_update_is_fetched_with_the_key_of_the_tpm_and_the_server_told_that_no_rauc_takes_it(
    charger: Device, server: HawkbitServer
) -> None:
    with charger.tpm():
        enrol(charger)
        strict = tls(charger.place, SERVER, clients=DEVICE_ROOT)
        with server.answering(strict, deployment(server, os.urandom(1 << 20))), charger.started() as journal:
            *_, checked, last = told(server)
            journal.until("Failed to create RAUC DBUS proxy: Could not connect")
    assert checked == ("proceeding", "none", "File checksum OK.")
    assert last == ("closed", "failure", "Failed to install software bundle.")


@pytest.mark.parametrize("trusted", [True, False], ids=["of the product", "of somebody else"])
def test_rauc_installs_what_the_client_fetched_where_it_trusts_who_signed_it(
    charger: Device, server: HawkbitServer, tmp_path: Path, trusted: bool
) -> None:
    content = os.urandom(1 << 16)
    signer = hawkbit_rauc.AUTHORITY if trusted else issue("Another Root", authority=True)
    update = hawkbit_rauc.bundle(tmp_path, content, compatible=PRODUCT, by=signer)
    with charger.tpm(), hawkbit_rauc.rauc(charger, compatible=PRODUCT) as slot:
        enrol(charger)
        with server.answering(tls(charger.place, SERVER, clients=DEVICE_ROOT), deployment(server, update)), charger.started():
            *reports, last = told(server)
    if trusted:
        assert last == ("closed", "success", "Software bundle installed successfully.")
        assert slot.read_bytes() == content
    else:
        assert last == ("closed", "failure", "Failed to install software bundle.")
        assert any("LastError: signature verification failed" in detail for _, _, detail in reports), reports
        assert slot.read_bytes() == b""
