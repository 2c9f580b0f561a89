"""The watch for security events over stops, restarts and power cuts: it loses nothing, and says nothing twice (LOG-03)."""

import os
import signal
import subprocess

import pytest

from support.journald import installed_awks, needs_journald
from support.monitor import HARMLESS, LIBRARY, PROVOKED, REFUSED, SIGNATURE, Monitor
from support.waiting import eventually

pytestmark = pytest.mark.layer

BEFORE = "0" * 31 + "1"
"""Another start."""


@needs_journald
def test_after_a_stop_it_goes_on_where_it_was_and_says_nothing_twice(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
    monitor.journal.add(HARMLESS, REFUSED)
    with monitor.following():
        monitor.see("update-signature-refused", "packet-refused")
        monitor.journal.add(PROVOKED["key-fallback"])
        monitor.see("update-signature-refused", "packet-refused", "key-fallback")
    assert [event[0] for event in monitor.events()] == ["1", "2", "3"]


@needs_journald
def test_after_a_stop_nothing_is_said_twice_that_was_said_before_the_number_of_others(monitor: Monitor) -> None:
    monitor.environment["EVEREST_SECURITY_TICK"] = "1"
    monitor.journal.seconds -= 1000
    monitor.journal.clock -= 1000
    seen = ["packet-refused", "update-signature-refused", "packet-refused"]
    with monitor.following():
        monitor.journal.add(REFUSED, SIGNATURE, REFUSED)
        monitor.see(*seen)
    with monitor.following():
        monitor.journal.add(PROVOKED["key-fallback"])
        monitor.see(*seen, "key-fallback")


@needs_journald
def test_what_was_counted_is_told_before_another_event_so_that_no_stop_makes_it_forgotten(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(REFUSED, REFUSED, REFUSED, PROVOKED["key-fallback"], PROVOKED["key-fallback"], SIGNATURE)
        monitor.see("packet-refused", "packet-refused", "key-fallback", "key-fallback", "update-signature-refused")
    assert [event[4] for event in monitor.events()] == ["1", "2", "1", "1", "1"]


@pytest.mark.parametrize("awk", installed_awks())
def test_storms_of_two_kinds_are_few_lines_and_each_of_their_events_is_counted(monitor: Monitor, awk: str) -> None:
    kinds = ("packet-refused", "authentication-failed")
    said = [f"{second}\tboot\t{kinds[second % 2]}\t4\tat-{second}\twords" for second in range(7200)]
    said.append("7200\tboot\tintegrity-violated\t2\tat-7200\twords")
    program = [*(("busybox", "awk") if awk == "busybox" else (awk,)), "-f", monitor.files / LIBRARY / "count-security-events.awk"]
    done = subprocess.run(program, input="".join(f"{line}\n" for line in said), capture_output=True, text=True, check=True)
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert sum(int(line[2]) for line in told) == len(said)
    assert len(told) < 40
    # Behind a position nothing is told that happened before it.
    assert told[-1][3] == "at-7200"
    assert [line[3] for line in told if line[3] != "-"] == sorted({line[3] for line in told if line[3] != "-"}, key=lambda at: int(at[3:]))


@needs_journald
def test_what_was_said_before_a_restart_and_not_looked_at_is_seen_after_it(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
    monitor.journal.add(REFUSED, boot=BEFORE)
    with monitor.following():
        monitor.see("update-signature-refused", "packet-refused")


@needs_journald
def test_what_was_counted_of_a_long_start_before_is_told_without_waiting_for_that_time_to_come_again(monitor: Monitor) -> None:
    monitor.environment["EVEREST_SECURITY_TICK"] = "1"
    with monitor.following():
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
    monitor.journal.seconds += 2 * 3600
    monitor.journal.add(REFUSED, REFUSED, boot=BEFORE)
    with monitor.following():
        monitor.see("update-signature-refused", "packet-refused", "packet-refused")


@needs_journald
def test_what_was_looked_at_without_an_event_is_not_looked_at_again_after_a_restart(monitor: Monitor) -> None:
    monitor.environment |= {"EVEREST_SECURITY_TICK": "1", "EVEREST_SECURITY_MARK": "0"}
    monitor.journal.add(HARMLESS)
    with monitor.following():
        eventually(monitor.position.exists)
    number, position = monitor.position.read_text().split()
    assert number == "0"
    assert position.startswith("s=")
    assert monitor.goes_on_behind() == position
    for other in (f"1 {position}", "0", "", f"0 {position[4:]}", "\xff"):
        monitor.position.write_text(other)
        assert monitor.goes_on_behind() == ""
    with monitor.following():
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
    monitor.position.write_text(f"0 {position}\n")
    assert monitor.goes_on_behind() == monitor.log.read_text().splitlines()[-1].split("\t")[6]


@pytest.mark.parametrize("awk", installed_awks())
def test_no_position_is_noted_that_would_hide_what_is_only_counted(monitor: Monitor, awk: str) -> None:
    event = "{0}\tboot\tpacket-refused\t4\tat-{0}\twords"
    said = [
        event.format(1),
        "at\tat-1",
        event.format(2),
        "at\tat-2",
        "tick\t50",
        "tick\t60",
        "tick\t61",
        "tick\t62",
        "at\tat-3",
        "tick\t63",
        "tick\t3661",
    ]
    program = [*(("busybox", "awk") if awk == "busybox" else (awk,)), "-v", "first=0"]
    program += ["-f", str(monitor.files / LIBRARY / "count-security-events.awk")]
    done = subprocess.run(program, input="".join(f"{line}\n" for line in said), capture_output=True, text=True, check=True)
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert [(line[0], line[2], line[3]) for line in told] == [
        ("packet-refused", "1", "at-1"),
        ("packet-refused", "1", "at-2"),
        ("-", "-", "at-2"),
        ("-", "-", "at-3"),
    ]


@needs_journald
def test_it_follows_a_journal_that_has_no_entry_of_this_start_yet(monitor: Monitor) -> None:
    with monitor.following():
        eventually(monitor.readers)
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
        assert monitor.readers()


@needs_journald
def test_that_journalctl_has_ended_is_seen_at_once(monitor: Monitor) -> None:
    monitor.environment["EVEREST_SECURITY_TICK"] = "3600"
    with monitor.following():
        eventually(monitor.readers)
        (first,) = monitor.readers()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: {*monitor.readers()} - {first})
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
