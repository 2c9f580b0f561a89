"""What keys of the TPM are good for, and what is found out about files that only look like one (TPM-04, TPM-06)."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from support.authority import issue
from support.layer import Bench
from support.provisioning import Charger, charger
from support.shells import shell
from support.tpm import SoftwareTpm, resource_manager, software_tpm

pytestmark = pytest.mark.layer

PARENT = "0x81000001"
WITH_TPM = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")


@pytest.fixture
def box(layer: Bench) -> Iterator[Charger]:
    with charger(layer, tuple(shell("dash"))) as made:
        yield made


@pytest.fixture
def tpm(box: Charger) -> Iterator[SoftwareTpm]:
    with software_tpm(box.place) as running:
        box.done("provision", tpm=running)
        yield running


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def software_key(box: Charger, tpm: SoftwareTpm) -> None:
    """What EVerest without a TPM writes under the same name."""
    del tpm
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", box.keys[0])


def readable(box: Charger, tpm: SoftwareTpm) -> None:
    del tpm
    box.keys[0].chmod(0o640)


def half(box: Charger, tpm: SoftwareTpm) -> None:
    del tpm
    box.keys[0].write_bytes(box.keys[0].read_bytes()[:200])


def empty(box: Charger, tpm: SoftwareTpm) -> None:
    del tpm
    box.keys[0].write_bytes(b"")


def link(box: Charger, tpm: SoftwareTpm) -> None:
    del tpm
    box.keys[0].rename(box.place / "elsewhere")
    box.keys[0].symlink_to(box.place / "elsewhere")


def rsa(box: Charger, tpm: SoftwareTpm) -> None:
    box.keys[0].unlink()
    tpm.make_key(box.keys[0], "RSA", "-pkeyopt", "bits:2048")


def other_curve(box: Charger, tpm: SoftwareTpm) -> None:
    box.keys[0].unlink()
    tpm.make_key(box.keys[0], "EC", "-pkeyopt", "group:P-384")


def imported(box: Charger, tpm: SoftwareTpm) -> None:
    """A key that was made in software and given to the TPM: whoever made it may have a copy."""
    software = box.place / "software.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", software)
    parts = (box.place / "public", box.place / "private")
    done = tpm.run("tpm2_import", "-Q", "-C", PARENT, "-G", "ecc", "-i", software, "-u", parts[0], "-r", parts[1])
    assert done.returncode == 0, done.stderr
    done = tpm.run("tpm2_encodeobject", "-Q", "-C", PARENT, "-u", parts[0], "-r", parts[1], "-o", box.keys[0])
    assert done.returncode == 0, done.stderr
    assert box.keys[0].read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")


FAULTS: dict[str, tuple[Callable[[Charger, SoftwareTpm], None], str]] = {
    "a software key under the name of a TPM key": (software_key, "is not a key of a TPM"),
    "a file that others may read": (readable, "may be used by others"),
    "half a file": (half, "was not made in a TPM"),
    "an empty file": (empty, "is not a key of a TPM"),
    "a link": (link, "is no file"),
    "an RSA key": (rsa, "is not on the curve P-256"),
    "a key on another curve": (other_curve, "is not on the curve P-256"),
    "a key that was imported": (imported, "was not made in a TPM"),
}


@pytest.mark.parametrize(("change", "said"), FAULTS.values(), ids=FAULTS)
def test_what_is_no_sound_key_is_found_out_and_left_alone(
    box: Charger, tpm: SoftwareTpm, change: Callable[[Charger, SoftwareTpm], None], said: str
) -> None:
    change(box, tpm)
    if os.geteuid() == 0:
        os.chown(box.keys[0], 1500, 1500, follow_symlinks=False)
    before = box.files()
    done = box.call("verify", tpm=tpm)
    assert (done.returncode, done.stdout) == (1, f"{box.keys[1]}: in the TPM, signs\n")
    assert done.stderr.startswith(f"everest-tpm: {box.keys[0]} {said}")
    assert box.call("provision", tpm=tpm).returncode in (1, 2)
    assert box.call("csr", "csms", "--common-name", "CP1", tpm=tpm).returncode == 1
    assert box.files() == before


def test_a_key_of_another_tpm_is_found_out(box: Charger, tpm: SoftwareTpm) -> None:
    del tpm
    (box.place / "second").mkdir()
    with software_tpm(box.place / "second") as second:
        (box.place / "second").chmod(0o755)
        done = box.call("verify", tpm=second)
        assert (done.returncode, done.stderr.count("cannot be used by this TPM")) == (1, 2)
        assert box.call("provision", tpm=second).returncode == 1
        box.done("provision", "--replace", tpm=second)
        assert box.done("verify", *box.keys, tpm=second).count("in the TPM, signs") == 2


def test_a_store_without_a_key_does_not_verify(box: Charger, tpm: SoftwareTpm) -> None:
    for key in box.keys:
        key.unlink()
    done = box.call("verify", tpm=tpm)
    assert (done.returncode, done.stdout) == (1, "")
    assert box.call("csr", "csms", "--common-name", "CP1", tpm=tpm).returncode == 2


def test_a_key_that_everest_made_itself_verifies_too(box: Charger, tpm: SoftwareTpm) -> None:
    own = box.keys[0].with_name("CSMS_LEAF_20261128.tkey")
    tpm.make_key(own, "EC", "-pkeyopt", "group:P-256")
    own.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(own, 1500, 1500)
    assert f"{own}: in the TPM, signs" in box.done("verify", tpm=tpm)


def test_a_request_names_the_charger_as_everest_does(box: Charger, tpm: SoftwareTpm) -> None:
    (box.place / "charge-point-id").write_text("CP-0815\n")
    names = ("--dns", "charger.example", "--dns", "*.charger.example", "--ip", "192.0.2.1", "--ip", "fe80::1")
    request = box.place / "request.pem"
    request.write_text(box.done("csr", "secc", "--organization", "Laden, Köln GmbH", "--country", "DE", *names, tpm=tpm))
    shown = openssl("req", "-in", request, "-verify", "-noout", "-text", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8")
    assert "subject=DC=CPO,CN=CP-0815,O=Laden\\, Köln GmbH,C=DE\n" in shown
    assert "DNS:charger.example, DNS:*.charger.example, IP Address:192.0.2.1, IP Address:FE80:0:0:0:0:0:0:1\n" in shown
    assert re.search(r"Basic Constraints: critical\s+CA:FALSE\s+X509v3 Key Usage: \n\s+Digital Signature, Key Agreement\n", shown)
    assert "NIST CURVE: P-256" in shown


def test_an_address_that_openssl_does_not_take_is_said_to_be_none(box: Charger, tpm: SoftwareTpm) -> None:
    done = box.call("csr", "csms", "--common-name", "CP1", "--ip", "1:2:3", tpm=tpm)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "everest-tpm: OpenSSL makes no request of this: bad ip address\n"


@pytest.mark.parametrize("user", ["root", "everest"])
def test_an_authority_signs_the_request_and_the_key_opens_a_tls_connection(box: Charger, tpm: SoftwareTpm, user: str) -> None:
    root = issue("CSMS Root", authority=True)
    server = issue("csms.example", by=root, code_signing=False)
    for name, text in {"ca.pem": root.pem, "ca.key": root.key_pem, "server.pem": server.pem, "server.key": server.key_pem}.items():
        (box.place / name).write_text(text)
    request, certificate = box.place / "request.pem", box.place / "charger.pem"
    request.write_text(box.done("csr", "csms", "--common-name", "CP1", "--dns", "cp1.example", tpm=tpm, user=user))
    authority = ("-CA", box.place / "ca.pem", "-CAkey", box.place / "ca.key", "-copy_extensions", "copy", "-days", "30")
    openssl("x509", "-req", "-in", request, *authority, "-out", certificate)
    with resource_manager(tpm, box.place) as environment:
        said = handshake(box.place, environment, certificate, box.keys[0])
    assert "Client certificate\n" in said, said
    assert re.search(r"Subject: CN ?= ?CP1, DC ?= ?CPO\n", said)


def handshake(place: Path, environment: Mapping[str, str], certificate: Path, key: Path) -> str:
    """Connect a client whose key is in the TPM to a server that asks for a certificate; return what the server says of it.

    The TPM is reached through the resource manager, as EVerest does: TLS keeps more in it than it has room for.
    """
    address = place / "tls"
    options = ("-unix", address, "-cert", place / "server.pem", "-key", place / "server.key", "-CAfile", place / "ca.pem", "-naccept", "1")
    server = subprocess.Popen(
        ["openssl", "s_server", *options, "-Verify", "1", "-verify_return_error", "-www"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    assert any(line.startswith("ACCEPT") for line in server.stdout)
    client = ("-unix", address, "-cert", certificate, "-key", key, "-CAfile", place / "ca.pem", "-verify_return_error", "-quiet")
    done = subprocess.run(
        ["openssl", "s_client", *WITH_TPM, *client],
        input="GET / HTTP/1.0\r\n\r\n",
        env={**os.environ, **environment, "TSS2_LOG": "all+none"},
        capture_output=True,
        text=True,
        check=False,
    )
    server.communicate()
    return done.stdout + done.stderr
