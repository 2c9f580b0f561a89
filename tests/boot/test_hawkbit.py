"""hawkBit's real client as a unit of the image's systemd (NET-09): the layer's package and the client, compiled here, laid over the image.

Run by `make boot`, after `make demo`, as root, in a container. Its TPM is a software TPM at the other end of a network cable, beside the server.
"""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from support import hawkbit_client
from support.authority import issue
from support.container import IN_A_CONTAINER, boot
from support.layer import Bench
from support.reference import REPOSITORY
from support.tpm import software_tpm

from .conftest import Witness

pytestmark = pytest.mark.boot

NAME = "CP-0815"
HOST = "updates.example.com"
PORT = 8443
OUTSIDE = """
ip link set lo up
swtpm socket --tpm2 --daemon --tpmstate dir={place}/tpm --server type=tcp,bindaddr=192.0.2.2,port=2321 \\
    --ctrl type=tcp,bindaddr=192.0.2.2,port=2322 --flags not-need-init,startup-clear
PYTHONPATH={path} {python} -m support.hawkbit_server {place} {port} /DEFAULT/controller/v1/{name}
"""
PROBE = """
install -o rauc-hawkbit -g rauc-hawkbit -m 600 /client.key.pem /client.cert.pem -t /var/lib/rauc-hawkbit
until openssl s_client -connect 192.0.2.2:{port} </dev/null 2>/dev/null | grep -q CONNECTED; do sleep 1; done
started() {{
    systemctl restart rauc-hawkbit-updater || return
    until journalctl --sync && journalctl -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value rauc-hawkbit-updater) | grep "$1"; do sleep 1; done
}}
started authenticate
mkdir /run/systemd/system/rauc-hawkbit-updater.service.d
printf '[Service]\\nEnvironment=TPM2OPENSSL_TCTI=swtpm:host=192.0.2.2,port=2321\\n' >/run/systemd/system/rauc-hawkbit-updater.service.d/90-test.conf
systemctl daemon-reload
started software.$
systemctl show -p User -p NoNewPrivileges -p MemoryDenyWriteExecute rauc-hawkbit-updater
systemctl poweroff --force --no-block
"""


def enrol(place: Path) -> None:
    """Make a key in a software TPM whose memory is in the directory, and have it certified there."""
    key, request, authority = (place / name for name in ("client.key.pem", "request.pem", "devices.pem"))
    with software_tpm(place) as tpm:
        tpm.make_key(key, "EC", "-pkeyopt", "group:P-256")
        provider = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
        done = tpm.run("openssl", "req", *provider, "-new", "-key", key, "-subj", f"/CN={NAME}", "-out", request)
        assert done.returncode == 0, done.stderr
    sign = ("x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority, "-days", "1", "-out", place / "client.cert.pem")
    subprocess.run(["openssl", *sign], capture_output=True, check=True)


@pytest.mark.proves("NET-09")
def test_the_hawkbit_client_reaches_its_server_with_a_key_in_the_tpm_and_without_the_tpm_it_does_not(
    image: Path, layer: Bench, tmp_path: Path, proof: Witness
) -> None:
    (tmp_path / "client").mkdir()
    client = hawkbit_client.compiled(tmp_path / "client")
    servers, devices = issue("Update Server Root", authority=True), issue("Device Root", authority=True)
    named = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    server = issue(HOST, by=servers, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,), uncritical=(named,))
    for name, text in {"servers": servers.pem, "server": server.pem + server.key_pem, "devices": devices.pem + devices.key_pem}.items():
        (tmp_path / f"{name}.pem").write_text(text)
    enrol(tmp_path)
    settings = {"EVEREST_HAWKBIT_SERVER": f"{HOST}:{PORT}", "EVEREST_HAWKBIT_CA": str(tmp_path / "servers.pem")}
    user, group = (f"{hawkbit_client.ACCOUNT}:x:{hawkbit_client.USER}:{rest}\n" for rest in (f"{hawkbit_client.USER}::/:/bin/false", ""))
    path = f"{REPOSITORY}/tests:{REPOSITORY}/scripts"
    outcome = boot(
        image,
        tmp_path / "machine",
        files={
            "etc/passwd": (image / "etc/passwd").read_text() + user,
            "etc/group": (image / "etc/group").read_text() + group,
            "etc/hosts": f"192.0.2.2 {HOST}\n",
            **{name: (tmp_path / name).read_text() for name in ("client.key.pem", "client.cert.pem")},
        },
        trees=(client, layer.package("everest-hawkbit", **settings).files),
        probe=PROBE.format(port=PORT),
        outside=OUTSIDE.format(place=tmp_path, path=path, python=shlex.quote(sys.executable), port=PORT, name=NAME),
    )
    seen = outcome.outside.splitlines()
    proof.excerpt([IN_A_CONTAINER, *outcome.probe.splitlines(), "the server saw:", *seen])
    assert outcome.probe.splitlines() == [
        "Failed to authenticate. Check if ssl_key/cert are correct?",
        "No new software.",
        "User=rauc-hawkbit",
        "NoNewPrivileges=yes",
        "MemoryDenyWriteExecute=yes",
    ]
    assert seen == [f"GET /DEFAULT/controller/v1/{NAME} by {NAME}, TLSv1.3"]
