"""Certificates revoked on a charger by the command of the target, and what the journal says of changes (CERT-02, CERT-07, CERT-08, LOG-03)."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support.certificates import STORE, Certified

pytestmark = pytest.mark.layer

CSMS_CHAIN, CSMS_KEY, SECC_CHAIN, SECC_KEY = STORE
SYSTEMCTL = '#!/bin/sh\nid -u >"{said}"\necho "systemctl $*" >>"{said}"\nexit {code}\n'
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root restarts a service")


def with_systemctl(charger: Certified, *, code: int = 0) -> tuple[str, Path]:
    """Return a search path in which the service is a file that says how it was called and by whom."""
    programs = charger.box.store.parent / "programs"
    programs.mkdir(exist_ok=True)
    said = programs / "said"
    (programs / "systemctl").write_text(SYSTEMCTL.format(said=said, code=code))
    (programs / "systemctl").chmod(0o755)
    return f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", said


@only_root
@pytest.mark.parametrize("how", ["file", "copy", "serial", "hash", "hash with colons"])
def test_a_revoked_certificate_is_gone_with_its_key_and_the_service_restarted(shop: Certified, how: str) -> None:
    charger = shop.with_store()
    digest = charger.digest("charger")
    word = {
        "file": str(charger.box.store / CSMS_CHAIN),
        "copy": str(charger.offer("charger")),
        "serial": charger.serial("charger"),
        "hash": digest.upper(),
        "hash with colons": ":".join(digest[start : start + 2] for start in range(0, 64, 2)),
    }[how]
    path, said = with_systemctl(charger)
    before = charger.files
    told = charger.box.done("revoke", word, tpm=charger.tpm, user="root", PATH=path)
    assert before.items() - charger.files.items() == {(name, before[name]) for name in (CSMS_CHAIN, CSMS_KEY)}
    assert charger.files.items() <= before.items()
    assert told == (
        f"revoked 'O=Acme Charging,CN=cp4711', SHA-256 {digest}\n"
        f"{charger.box.store}/{CSMS_KEY}: removed\n{charger.box.store}/{CSMS_CHAIN}: removed\n"
    )
    assert said.read_text() == "0\nsystemctl try-restart everest.service\n"
    charger.box.done("check", "secc", tpm=charger.tpm)
    again = charger.box.call("revoke", digest, tpm=charger.tpm, user="root", PATH=path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"everest-cert: the store does not hold a certificate with the serial number or SHA-256 {digest}\n"


@only_root
def test_a_service_that_does_not_restart_is_said(shop: Certified) -> None:
    charger = shop.with_store()
    path, _ = with_systemctl(charger, code=1)
    done = charger.box.call("revoke", charger.serial("secc"), tpm=charger.tpm, user="root", PATH=path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert SECC_CHAIN not in charger.files


def test_the_service_user_revokes_when_somebody_else_restarts_the_service(shop: Certified) -> None:
    charger = shop.with_store()
    before = charger.files
    if os.geteuid() == 0:
        done = charger.box.call("revoke", charger.serial("secc"), tpm=charger.tpm, user="everest")
        assert (done.returncode, done.stdout, charger.files) == (4, "", before)
        assert done.stderr == "everest-cert: only root restarts everest.service; call it as root, or with --no-restart\n"
    charger.box.done("revoke", "--no-restart", charger.serial("secc"), tpm=charger.tpm, user="everest")
    assert charger.files.keys() == before.keys() - {SECC_CHAIN, SECC_KEY}


def revoke(charger: Certified, word: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return charger.box.call("revoke", "--no-restart", word, tpm=charger.tpm, **environment)


def test_with_a_sub_authority_every_chain_of_it_goes_and_with_a_root_the_root_alone(shop: Certified) -> None:
    charger = shop.with_store()
    assert revoke(charger, charger.serial("v2g-root")).returncode == 0
    assert charger.files["ca/v2g/V2G_ROOT_CA.pem"] == b""
    assert CSMS_CHAIN in charger.files
    assert revoke(charger, charger.digest("csms-sub2")).returncode == 0
    assert [name for name in charger.files if name.startswith("client/")] == [SECC_CHAIN, SECC_KEY]


def test_of_a_bundle_what_is_not_revoked_stays(shop: Certified) -> None:
    charger = shop.with_store({"ca/mo/MO_ROOT_CA.pem": {"certificates": ["other-root", "edwards-root", "v2g-root"]}})
    assert revoke(charger, charger.digest("edwards-root")).returncode == 0
    assert charger.files["ca/mo/MO_ROOT_CA.pem"] == charger.workshop.chain("other-root", "v2g-root")
    before = charger.files
    done = revoke(charger, charger.box.store / "ca/mo/MO_ROOT_CA.pem")
    assert (done.returncode, charger.files) == (1, before)
    assert done.stderr.endswith("holds several authorities; name one by its serial number or SHA-256\n")


def test_both_files_that_everest_writes_of_a_chain_go_and_what_ocsp_said(shop: Certified) -> None:
    serial = shop.serial("secc").lower()
    charger = shop.with_store(
        {
            "client/cso/SECC_LEAF_2.pem": {"certificates": ["secc"]},
            "client/cso/ocsp": {},
            "client/cso/ocsp/1_ocsp.hash": {"text": f"SHA256\n{'a' * 64}\n{'b' * 64}\n{serial}\n"},
            "client/cso/ocsp/1_ocsp.der": {"text": "answer"},
            "client/cso/ocsp/2_ocsp.hash": {"text": f"SHA256\n{'a' * 64}\n{'b' * 64}\n1234\n"},
            "client/cso/ocsp/2_ocsp.der": {"text": "answer"},
        }
    )
    assert revoke(charger, charger.box.store / "client/cso/SECC_LEAF_2.pem").returncode == 0
    left = {name for name in charger.files if name.startswith("client/cso/")}
    assert left == {"client/cso/ocsp/2_ocsp.hash", "client/cso/ocsp/2_ocsp.der"}


def test_a_key_that_another_chain_needs_is_kept(shop: Certified) -> None:
    charger = shop.with_store()
    other = charger.box.store / "client/csms/CSMS_LEAF_2.pem"
    other.write_bytes(charger.twin("charger"))
    if os.geteuid() == 0:
        os.chown(other, 1500, 1500)
    done = revoke(charger, charger.digest("charger"))
    assert f"{charger.box.store}/{CSMS_KEY}: kept, as {other} is of the same key\n" in done.stdout
    assert CSMS_KEY in charger.files
    assert CSMS_CHAIN not in charger.files
    assert revoke(charger, other).returncode == 0
    assert CSMS_KEY not in charger.files


def test_what_several_certificates_are_called_is_not_guessed(shop: Certified) -> None:
    charger = shop.with_store()
    other = charger.box.store / "client/csms/CSMS_LEAF_2.pem"
    other.write_bytes(charger.twin("charger", serial=charger.workshop.certificate("charger").serial_number))
    if os.geteuid() == 0:
        os.chown(other, 1500, 1500)
    before = charger.files
    done = revoke(charger, charger.serial("charger"))
    assert (done.returncode, done.stdout, charger.files) == (1, "", before)
    assert "name one by its SHA-256" in done.stderr


def test_serial_numbers_are_text_and_no_numbers(shop: Certified) -> None:
    charger = shop.with_store()
    for last in (1, 2):
        file = charger.box.store / f"client/csms/CSMS_LEAF_{last}.pem"
        file.write_bytes(charger.twin("charger", serial=int(f"1234567890123456789{last}", 16)))
        if os.geteuid() == 0:
            os.chown(file, 1500, 1500)
    assert revoke(charger, "0012345678901234567891").returncode == 0
    assert "client/csms/CSMS_LEAF_1.pem" not in charger.files
    assert "client/csms/CSMS_LEAF_2.pem" in charger.files
    assert CSMS_KEY in charger.files


@pytest.mark.parametrize("user", ["root", "everest"])
def test_each_entry_of_the_journal_has_its_id_and_what_root_does_is_a_security_event(shop: Certified, user: str) -> None:
    if shutil.which("systemd-notify") is None:
        pytest.skip("systemd-notify is not installed")
    charger = shop.with_store()
    place = charger.box.store.parent / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(place))
        place.chmod(0o666)
        environment = {"EVEREST_JOURNAL": str(place)}
        charger.box.done("install", "ca", "mo", charger.offer("other-root"), tpm=charger.tpm, user=user, **environment)
        charger.box.done("revoke", "--no-restart", charger.serial("secc"), tpm=charger.tpm, user=user, **environment)
        journal.setblocking(False)
        # journald drops a line that no newline ends (server_process_entry in journald-native.c).
        taken = [journal.recv(9999).decode().rpartition("\n")[0] for _ in range(2)]
        with pytest.raises(BlockingIOError):
            journal.recv(9999)
    entries = [dict(line.split("=", 1) for line in text.splitlines()) for text in taken]
    assert [entry["PRIORITY"] for entry in entries] == ["5", "5"]
    assert len({entry["MESSAGE_ID"] for entry in entries}) == 2
    assert {entry["SYSLOG_IDENTIFIER"] for entry in entries} == {"everest-cert"}
    assert entries[1]["MESSAGE"] == f"revoked 'CN=secc', SHA-256 {charger.digest('secc')}"
    events = ["certificate-installed", "certificate-revoked"] if user == "root" else [None, None]
    assert [entry.get("SECURITY_EVENT") for entry in entries] == events
