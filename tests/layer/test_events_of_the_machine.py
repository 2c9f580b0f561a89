"""Security events that kernel, clock, TPM and everest-tpm provoke, seen once by the monitor through a journald of its own (LOG-03).

Those of the image's services are provoked in tests/boot/test_events_provoked.py.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.journald import needs_journald
from support.layer import Bench
from support.monitor import Monitor
from support.provisioning import charger, share
from support.reference import require
from support.shells import shell
from support.tpm import SoftwareTpm, software_tpm
from support.waiting import eventually

pytestmark = [pytest.mark.layer, needs_journald]

RULES = "etc/nftables/everest-firewall.nft"
LOG_OF_NAMESPACES = Path("/proc/sys/net/netfilter/nf_log_all_netns")
"""Whether the kernel writes what packet filters of other network namespaces than the first one log (its Documentation/networking/nf_conntrack-sysctl)."""
SEND = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'?', ('192.0.2.1', 22))"
# A charger with the rule set, somebody at the other end of its eth0, and one packet to a port that no rule opens.
PACKET = """
ip link add eth0 type veth peer name outside
unshare --net sleep 60 & peer=$!
until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set outside netns $peer
nft --file "$1"
ip address add 192.0.2.1/24 dev eth0 && ip link set eth0 up
nsenter --target $peer --net sh -euc 'ip address add 192.0.2.2/24 dev outside; ip link set outside up; "$0" -c "$1"' "$2" "$3"
kill $peer
"""
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.fixture
def kernel_logs_packets_of_every_namespace() -> Iterator[None]:
    if not LOG_OF_NAMESPACES.exists():
        pytest.skip("this kernel logs no packets")
    before = LOG_OF_NAMESPACES.read_text()
    LOG_OF_NAMESPACES.write_text("1")
    yield
    LOG_OF_NAMESPACES.write_text(before)


@pytest.mark.usefixtures("kernel_logs_packets_of_every_namespace")
def test_a_packet_that_the_real_rules_drop_is_one_event(layer: Bench, monitor: Monitor) -> None:
    require("nft", "ip")
    rules = layer.package("everest-firewall").files / RULES
    with monitor.watching():
        subprocess.run(["unshare", "--net", "sh", "-euc", PACKET, "sh", rules, sys.executable, SEND], check=True)
        monitor.see("packet-refused")
    (event,) = monitor.events()
    assert event[4] == "1"
    assert "everest-firewall: refused: IN=eth0 OUT= " in event[5]
    assert "SRC=192.0.2.2 DST=192.0.2.1" in event[5]
    assert "DPT=22" in event[5]


@pytest.mark.parametrize("seconds", [-7200, 7200])
def test_a_clock_that_is_set_while_journald_runs_is_one_event(monitor: Monitor, seconds: int) -> None:
    if FAKETIME is None:
        pytest.skip("libfaketime is missing")
    clock = monitor.directory / "clock"
    clock.write_text("+0")
    # Only this journald sees its clock set: the machine's is everybody's. The time since the start goes on as it is.
    env = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with monitor.watching(env) as live:
        assert live.run("everest.service", ["echo", "session started"]) == 0
        clock.write_text(f"{seconds:+d}")
        for _ in range(3):
            assert live.run("everest.service", ["echo", "session ended"]) == 0
        monitor.see("time-jumped")
    assert monitor.events()[0][4] == "1"
    assert abs(int(monitor.events()[0][5].split()[-2]) - seconds) <= 1


def test_neither_colours_nor_broken_text_nor_length_hide_a_line_in_the_journal(monitor: Monitor) -> None:
    """journalctl gives such a line as a list of numbers, or not at all unless it is asked for all."""
    with monitor.watching() as live:
        for text in (
            r"\033[1;31mERRO\033[0m: Failed to generate csr pub/priv key!\n",
            r"\377CLIENT_CONNECTION_ERROR: [HS: ws upgrade unauthorized]\n",
        ):
            assert live.run("everest.service", ["printf", text]) == 0
        long = "print('Installation 1 failed: ' + 'x' * 9000 + ' signature verification failed')"
        assert live.run("rauc.service", [sys.executable, "-c", long]) == 0
        monitor.see("key-fallback", "authentication-failed", "update-signature-refused")


def registers(tpm: SoftwareTpm, place: Path) -> None:
    """Write the TPM's registers as Linux shows them (its drivers/char/tpm/tpm-sysfs.c, pcr_value_show)."""
    place.mkdir(exist_ok=True)
    for number in range(24):
        read = subprocess.run(["tpm2_pcrread", "-Q", "-o", place / "value", f"sha256:{number}"], env=tpm.environment(), check=False)
        assert read.returncode == 0
        (place / str(number)).write_text(f"{(place / 'value').read_bytes().hex().upper()}\n")


def test_a_register_that_was_extended_in_the_tpm_is_one_event_and_its_name_is_said(monitor: Monitor) -> None:
    place = monitor.directory / "registers"
    seen = monitor.log.parent / "boot-chain"
    with software_tpm(monitor.directory) as tpm:
        registers(tpm, place)
        with monitor.following():
            eventually(seen.exists)
        # 4 is the boot loader's, 11 the kernel's, which changes with every update and is not looked at.
        for register in (4, 11):
            done = tpm.run("tpm2_pcrextend", f"{register}:sha256={'5a' * 32}")
            assert done.returncode == 0, done.stderr
        registers(tpm, place)
        for _ in range(2):
            with monitor.following():
                monitor.see("boot-chain-changed")
    assert monitor.events()[0][5].endswith("since the last start: 4")


def test_a_key_in_software_in_the_place_of_one_in_the_tpm_is_one_event(layer: Bench, monitor: Monitor) -> None:
    with charger(layer, tuple(shell("dash"))) as box, software_tpm(box.place) as tpm:
        share(tpm)
        key = box.keys[0]
        subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-out", key], capture_output=True, check=True)
        os.chown(key, 1500, 1500)
        key.chmod(0o600)
        environment = {name: value for name, value in box.environment(tpm.tcti).items() if name != "EVEREST_JOURNAL"}
        with monitor.watching() as live:
            assert live.run("everest-tpm-provision.service", box.command("provision", user="everest"), environment) == 1
            monitor.see("key-fallback")
    (event,) = monitor.events()
    assert event[4] == "1"
    assert f"everest-tpm: {key} is not a key of a TPM" in event[5]
