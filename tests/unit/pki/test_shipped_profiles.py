"""The profiles that come along, used for what they are for."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from everest_secure.pki import certificates, keys, lifecycle, profile, revocation, status, store
from everest_secure.pki.keys import KeyType
from everest_secure.pki.marking import is_development
from everest_secure.pki.profile import CertificateSpec, Usage, general_names
from everest_secure.pki.store import Store
from everest_secure.run import Argument, HostTools, attempt, running
from support import pki as support
from support.rootfs import failing, good_root, production

STORE = "/etc/everest/certs"


@pytest.fixture(scope="module")
def charger(tmp_path_factory: pytest.TempPathFactory) -> Store:
    directory = tmp_path_factory.mktemp("charger") / "pki"
    return store.create(directory, profile=profile.load("charger-test"), tools=HostTools(), now=support.now())


@pytest.mark.parametrize(
    ("leaf", "root", "purpose"),
    [("secc-leaf", "v2g-root", "sslserver"), ("csms-server", "csms-root", "sslserver"), ("ocpp-leaf", "csms-root", "sslclient")],
)
def test_every_leaf_for_tests_has_its_chain_and_its_end_of_the_connection(charger: Store, leaf: str, root: str, purpose: str) -> None:
    assert support.verify(charger, leaf, keyring=charger.certificate(root), purpose=purpose) == ""
    other = "v2g-root" if root == "csms-root" else "csms-root"
    assert support.verify(charger, leaf, keyring=charger.certificate(other), purpose=purpose) != ""


def test_the_hierarchies_for_tests_are_as_deep_as_iso_15118_lets_them_be_and_on_its_curve(charger: Store) -> None:
    found = {entry.name: entry for entry in status.read(charger.directory, now=support.now()).certificates}
    assert {entry.key for entry in found.values()} == {KeyType.ECDSA_P256}
    assert len(certificates.load_all(charger.chain("secc-leaf"))) == 2
    assert found["mo-sub2"].issuer == "mo-sub1"
    assert found["mf-firmware"].issuer == "mf-root"
    assert certificates.load_one(charger.certificate("secc-leaf")).subject.rfc4514_string().startswith("DC=CPO,CN=SECCCert,")
    assert not charger.keyring.exists()


def test_everything_for_tests_is_marked_and_refused_by_production_for_nothing_else(charger: Store) -> None:
    assert all(is_development(certificates.load_one(path)) for path in charger.directory.glob("*.cert.pem"))
    fs = good_root()
    for group in ("v2g", "csms", "mf", "mo"):
        fs.file(f"{STORE}/ca/{group}/{group.upper()}_ROOT_CA.pem", charger.certificate(f"{group}-root").read_text())
    for directory, leaf in (("cso", "secc-leaf"), ("csms", "ocpp-leaf")):
        fs.file(f"{STORE}/client/{directory}/{leaf}.pem", charger.certificate(leaf).read_text() + charger.chain(leaf).read_text())
    refused = failing(fs)
    assert set(refused) == {"CERT-04"}
    assert all("is of a PKI for development and tests" in finding for finding in refused["CERT-04"])
    assert len(refused["CERT-04"]) == 9  # four roots, two leaves, their three sub-authorities
    assert not failing(fs, replace(production(), development_authorities=True))


@pytest.fixture
def mqtt(tmp_path: Path) -> Store:
    """The shipped profile with the name under which this machine reaches itself."""
    for program in ("mosquitto", "mosquitto_pub"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}")
    shipped = profile.load("mqtt-api")
    here = tuple(replace(spec, names=general_names(["localhost"], [])) if spec.names else spec for spec in shipped.certificates)
    return store.create(
        tmp_path / "pki", profile=replace(shipped, certificates=here), tools=HostTools(), now=support.now(), passphrase=support.PASSPHRASE
    )


@contextmanager
def broker(pki: Store, directory: Path) -> Iterator[int]:
    """Run a broker as everest-mqtt-api is configured, with a list of revoked clients, and yield its port when it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = directory / "broker.conf"
    conf.write_text(
        f"listener {port} 127.0.0.1\ncafile {pki.keyring}\ncertfile {pki.certificate('mqtt-broker')}\nkeyfile {pki.key('mqtt-broker')}\n"
        f"crlfile {pki.revocation_list('mqtt-root')}\nrequire_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
        f"acl_file {directory / 'acl'}\nuser root\n"
    )
    (directory / "acl").write_text("user operator\ntopic readwrite everest_api/#\n")
    (directory / "acl").chmod(0o600)
    with running(["mosquitto", "-c", conf]) as process:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield port


def publishes(pki: Store, name: str, port: int) -> bool:
    argv: list[Argument] = [
        "mosquitto_pub",
        "-h",
        "localhost",
        "-p",
        str(port),
        "--cafile",
        pki.keyring,
        "--cert",
        pki.certificate(name),
        "--key",
        pki.key(name),
    ]
    return attempt([*argv, "-t", "everest_api/x", "-m", "hello", "-q", "1"], limit=20).code == 0


def test_clients_of_the_mqtt_api_come_in_until_they_are_revoked(mqtt: Store, tmp_path: Path) -> None:
    access, now = support.access(), support.now()
    assert keys.is_encrypted(mqtt.key("mqtt-root").read_bytes())
    assert not keys.is_encrypted(mqtt.key("mqtt-broker").read_bytes())
    spec = CertificateSpec("service", "operator", Usage.TLS_CLIENT, KeyType.ECDSA_P256, 30, "mqtt-root")
    lifecycle.issue(mqtt.directory, spec, access=access, now=now, wish=lifecycle.KeyWish(encrypted=False))
    revocation.issue_list(mqtt.directory, "mqtt-root", access=access, now=now - timedelta(hours=1), days=30)
    with broker(mqtt, tmp_path) as port:
        assert publishes(mqtt, "mqtt-client", port)
        assert publishes(mqtt, "service", port)
        assert not publishes(mqtt, "mqtt-broker", port)  # for servers alone
    revocation.revoke(mqtt.directory, "service", reason=x509.ReasonFlags.key_compromise, access=access, now=now, days=30)
    with broker(mqtt, tmp_path) as port:
        assert publishes(mqtt, "mqtt-client", port)
        assert not publishes(mqtt, "service", port)
