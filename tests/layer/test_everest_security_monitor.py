"""The watch for security events, with the real journald, journalctl, systemd-notify and openssl (LOG-03)."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.authority import issue
from support.journald import entries, installed_awks, needs_journald
from support.layer import UNITS, Bench, contents
from support.monitor import HARMLESS, LIBRARY, PROGRAM, PROVOKED, REFUSED, SIGNATURE, Monitor, occurrences
from support.shells import any_shell
from support.waiting import eventually

pytestmark = pytest.mark.layer

LOCKDOWN = ("kernel", "Lockdown: bpftool: use of bpf to read kernel RAM is restricted; see man kernel_lockdown.7")
LOCKDOWN_OF_THE_KERNEL_ITSELF = ("kernel", "Lockdown: swapper/0: hibernation is restricted; see man kernel_lockdown.7")


@needs_journald
@pytest.mark.parametrize("name", PROVOKED)
def test_each_event_is_seen_once_in_the_log_and_in_the_journal(monitor: Monitor, name: str) -> None:
    with monitor.following():
        monitor.journal.add(HARMLESS, PROVOKED[name], HARMLESS)
        monitor.see(name)
        eventually(lambda: entries(monitor.said, SECURITY_EVENT=name))
    (said,) = entries(monitor.said, SECURITY_EVENT=name)
    ids = dict(
        line.split("\t")[:2] for line in (monitor.files / LIBRARY / "security-event-ids.tsv").read_text().splitlines() if line[0] != "#"
    )
    assert said["MESSAGE_ID"] == ids[name]
    assert PROVOKED[name][1][:60].split("1795000000: ")[-1][:40] in said["MESSAGE"]
    assert monitor.log.read_text().splitlines()[-1].startswith(said["SECURITY_EVENT_DIGEST"])
    assert monitor.run("verify").stdout == "1 events, none changed\n"


@pytest.mark.parametrize(
    "line",
    [
        # As Linux writes them: drivers/md/dm-verity-target.c, kernel/module/signing.c, kernel/module/main.c, security/lockdown/lockdown.c.
        "device-mapper: verity: 254:1: data block 5 is corrupted",
        "device-mapper: verity: 254:1: metadata block 1028 is corrupted",
        "Loading of unsigned module is rejected",
        "Loading of module with unavailable key is rejected",
        "zram: module verification failed: signature and/or required key missing - tainting kernel",
        "Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7",
    ],
)
def test_what_the_kernel_says_of_what_was_changed_is_an_event_and_what_a_program_says_alike_is_none(monitor: Monitor, line: str) -> None:
    assert occurrences(monitor.files, "kernel", [line]) == [("integrity-violated", line)]
    assert occurrences(monitor.files, "everest.service", [line]) == []


@needs_journald
def test_what_lockdown_keeps_from_a_process_is_an_event_and_what_the_kernel_leaves_out_at_its_start_is_none(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(LOCKDOWN_OF_THE_KERNEL_ITSELF, LOCKDOWN)
        monitor.see("integrity-violated")
    assert "bpftool" in monitor.events()[0][-1]


@needs_journald
@any_shell
@pytest.mark.parametrize("awk", installed_awks())
def test_a_storm_is_one_event_and_a_number(layer: Bench, tmp_path: Path, certificate_program: Path, sh: str, awk: str) -> None:
    program = tmp_path / "awk"
    program.write_text(f'#!/bin/sh\nexec {awk}{" awk" if awk == "busybox" else ""} "$@"\n')
    program.chmod(0o755)
    monitor = Monitor(layer.package("everest-security-monitor").files, tmp_path, certificate_program, sh, {"EVEREST_AWK": str(program)})
    with monitor.following():
        monitor.journal.add(*[REFUSED] * 50)
        monitor.see("packet-refused")
        monitor.journal.add(*[HARMLESS] * 61, SIGNATURE)
        monitor.see("packet-refused", "packet-refused", "update-signature-refused")
    first, again, _ = monitor.events()
    assert (first[4], again[4]) == ("1", "49")
    assert "again within 60 s, at last: everest-firewall: refused:" in again[5]
    assert monitor.run("verify").returncode == 0


PREFIX = "2026-11-28T10:21:00.123456 [\033[1;31mERRO\033[0m] \033[1;32mocpp:OCPP201\033[0m \033[1;36mcallback\033[0m: "


@pytest.mark.parametrize("awk", installed_awks())
@pytest.mark.parametrize(
    ("unit", "line", "event"),
    [
        # What libwebsockets 4.1 said to an OCPP client, and of 4.5 what its source says (lib/tls/openssl/openssl-client.c).
        (
            "everest.service",
            "CLIENT_CONNECTION_ERROR: [connect SSL err 1: error:00000001:lib(0)::reason(1)]. Attempting",
            "tls-handshake-failed",
        ),
        (
            "everest.service",
            "CLIENT_CONNECTION_ERROR: [tls: error:0A000086:SSL routines::certificate verify failed]",
            "tls-handshake-failed",
        ),
        ("everest.service", "CLIENT_CONNECTION_ERROR: [HS: ws upgrade unauthorized]. Attempting reconnect", "authentication-failed"),
        ("everest.service", "CLIENT_CONNECTION_ERROR: [Unable to connect]. Attempting reconnect", None),
        ("everest.service", "CLIENT_CONNECTION_ERROR: [read failed]. Attempting reconnect", None),
    ],
)
def test_what_everest_says_is_found_whether_or_not_it_has_colours(
    monitor: Monitor, awk: str, unit: str, line: str, event: str | None
) -> None:
    (plain, coloured) = (f"{PREFIX.translate({27: None})}{line}", f"{PREFIX}{line}\\")
    found = occurrences(monitor.files, unit, ["session started", plain, coloured.encode(), "session ended"], awk=awk)
    assert [name for name, _ in found] == ([event] * 2 if event else [])
    assert [text for _, text in found][1:] == ([f"2026-11-28T10:21:00.123456 [ERRO] ocpp:OCPP201 callback: {line}?"] if event else [])


@needs_journald
def test_nobody_makes_an_event_of_another_unit(monitor: Monitor) -> None:
    forged = f'"_SYSTEMD_UNIT":"rauc.service","MESSAGE":"{SIGNATURE[1]}"'
    with monitor.following():
        monitor.journal.add(
            ("everest.service", SIGNATURE[1]), ("everest.service", REFUSED[1]), ("sh.service", f"{{{forged}}}, {forged}"), REFUSED
        )
        monitor.see("packet-refused")


@needs_journald
def test_a_clock_that_jumps_is_an_event(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(HARMLESS)
        monitor.journal.clock -= 86400
        monitor.journal.add(HARMLESS)
        monitor.see("time-jumped")
    assert "jumped by -86400 s" in monitor.events()[0][5] or "jumped by -86399 s" in monitor.events()[0][5]


@needs_journald
def test_a_clock_that_jumps_while_nobody_watches_is_an_event(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(REFUSED)
        monitor.see("packet-refused")
    monitor.journal.clock += 3600
    monitor.journal.add(HARMLESS)
    with monitor.following():
        monitor.see("packet-refused", "time-jumped")


@needs_journald
def test_a_clock_that_was_set_back_right_before_a_power_cut_is_an_event_of_the_next_start(monitor: Monitor) -> None:
    """Of two jumps within a minute the second is only counted, and the entry of the first is where the next start goes on."""
    with monitor.following():
        monitor.journal.add(HARMLESS)
        monitor.journal.clock += 3600
        monitor.journal.add(HARMLESS)
        monitor.journal.clock -= 3600
        monitor.journal.add(HARMLESS)
        monitor.see("time-jumped")
    with monitor.following():
        monitor.see("time-jumped", "time-jumped")
    assert [round(int(event[5].split()[-2]) / 60) for event in monitor.events()] == [60, -60]


@needs_journald
def test_a_boot_chain_that_changed_is_an_event_of_the_next_start(monitor: Monitor) -> None:
    registers = monitor.directory / "registers"
    registers.mkdir()
    for number in range(24):
        (registers / str(number)).write_text(f"{number:064X}\n")
    for _ in range(2):
        with monitor.following():
            eventually((monitor.log.parent / "boot-chain").exists)
    assert monitor.events() == []
    (registers / "7").write_text("F" * 64 + "\n")
    with monitor.following():
        monitor.see("boot-chain-changed")
    assert monitor.events()[0][5].endswith("since the last start: 7")


@needs_journald
@pytest.mark.skipif(
    shutil.which("mosquitto") is None or shutil.which("mosquitto_sub") is None, reason="mosquitto or its clients are missing"
)
def test_everest_is_told_where_a_module_is_named(layer: Bench, tmp_path: Path, certificate_program: Path) -> None:
    files = layer.package("everest-security-monitor", EVEREST_SECURITY_EVENTS_MODULE="ocpp_api").files
    broker = tmp_path / "broker"
    (tmp_path / "broker.conf").write_text(f"listener 0 {broker}\nallow_anonymous true\nuser root\n")
    monitor = Monitor(files, tmp_path, certificate_program, environment={"EVEREST_BROKER_SOCKET": str(broker)})
    with subprocess.Popen(["mosquitto", "-v", "-c", tmp_path / "broker.conf"], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        eventually(broker.exists)
        topic = "everest_api/1/ocpp_consumer/ocpp_api/m2e/security_event"
        listen: list[str | Path] = ["mosquitto_sub", "--unix", broker, "-C", "1", "-W", "60", "-t", topic]
        with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
            while "SUBACK" not in server.stderr.readline():
                pass
            with monitor.following():
                monitor.journal.add(("rauc.service", 'Installation 1 failed: signature verification failed: "x\\y"'))
                heard, _ = listener.communicate()
        server.terminate()
    assert json.loads(heard) == {
        "type": "InvalidFirmwareSignature",
        "info": 'update-signature-refused (1): Installation 1 failed: signature verification failed: "x\\y"',
    }


def test_certificates_that_expire_are_said_once_a_day(monitor: Monitor) -> None:
    place = monitor.certificates / "ca/v2g"
    place.mkdir(parents=True)
    (place / "soon.pem").write_text(issue("Soon", days=10).pem)
    (place / "later.pem").write_text(issue("Later", days=400).pem)
    (place / "key.pem").write_text("-----BEGIN TSS2 PRIVATE KEY-----\n")
    said = monitor.run("daily").stdout
    assert said.startswith("certificate-expires: within 30 days: ")
    assert re.search(r"soon\.pem \(\d{4}-\d\d-\d\d\) CN=Soon ", said)
    assert "later.pem" not in said
    assert "key.pem" not in said


def test_a_day_without_news_says_nothing(monitor: Monitor) -> None:
    done = monitor.run("daily")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_certificates_that_cannot_be_looked_at_are_said(monitor: Monitor) -> None:
    monitor.certificates.rmdir()
    assert monitor.run("daily").stdout == "certificate-expires: the certificates cannot be looked at\n"


@needs_journald
def test_what_root_calls_a_security_event_is_one_and_what_others_call_so_is_not(monitor: Monitor) -> None:
    entry = ("session-1.scope", "/etc/everest/certs/client/csms/CSMS_LEAF_1.pem: removed")
    with monitor.following():
        monitor.journal.add(entry, fields={"SECURITY_EVENT": "certificate-revoked", "_UID": "1500", "PRIORITY": "1"})
        monitor.journal.add(entry, fields={"SECURITY_EVENT": "certificate revoked", "_UID": "0", "PRIORITY": "1"})
        # Its own entry, of whose sender journald knew nothing any more.
        monitor.journal.add(entry, fields={"SECURITY_EVENT": "key-fallback", "_UID": "0", "PRIORITY": "2", "SECURITY_EVENT_NUMBER": "1"})
        monitor.journal.add(entry, fields={"SECURITY_EVENT": "certificate-revoked", "_UID": "0", "PRIORITY": "5"})
        monitor.see("certificate-revoked")
        eventually(lambda: entries(monitor.said, SECURITY_EVENT="certificate-revoked"))
    assert monitor.events()[0][3] == "5"
    assert monitor.events()[0][5] == entry[1]


def test_wrong_usage_is_told(monitor: Monitor) -> None:
    assert monitor.run().returncode == 64
    assert monitor.run("follow", "x").returncode == 64
    assert monitor.run("--help").stdout.startswith("Usage: everest-security-monitor COMMAND")


def test_every_event_has_an_id_of_its_own_and_every_rule_an_event_with_one(monitor: Monitor) -> None:
    rows = {name: [line.split("\t") for line in (monitor.files / LIBRARY / name).read_text().splitlines() if line[0] != "#"] for name in
            ("security-event-ids.tsv", "security-events.tsv")}  # fmt: skip
    ids = [row[1] for row in rows["security-event-ids.tsv"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert {row[0] for row in rows["security-events.tsv"]} <= {row[0] for row in rows["security-event-ids.tsv"]}
    assert all(len(row) == 4 for row in rows["security-events.tsv"])


def test_program_tables_and_units_are_there(layer: Bench) -> None:
    package = layer.package("everest-security-monitor")
    assert contents(package) == {
        f"/{PROGRAM}": 0o755,
        **{
            f"/{LIBRARY}/{name}": 0o644
            for name in ("count-security-events.awk", "find-security-events.awk", "security-event-ids.tsv", "security-events.tsv")
        },
        **{f"/{UNITS}/everest-security-monitor{name}": 0o644 for name in (".service", ".timer", "-daily.service")},
    }
    assert set(package.services) == {"everest-security-monitor.service", "everest-security-monitor.timer"}


@pytest.mark.parametrize("module", ["", "ocpp_api"])
def test_the_broker_s_clients_come_along_where_everest_is_told(layer: Bench, module: str) -> None:
    package = layer.package("everest-security-monitor", EVEREST_SECURITY_EVENTS_MODULE=module)
    assert ("mosquitto-clients" in package.depends) == bool(module)
