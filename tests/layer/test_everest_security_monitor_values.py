"""A field that a sender gives several times in one entry of the journal hides no security event (LOG-03).

journalctl makes a list of it, of strings and of lists of numbers (systemd's src/shared/logs-show.c, update_json_data).
"""

import json
import random
import subprocess
from pathlib import Path

import pytest

from support.journald import installed_awks, live_journal, needs_journald
from support.layer import Bench
from support.monitor import REFUSED as PACKET
from support.monitor import Monitor, Value, occurrences
from support.waiting import eventually

pytestmark = pytest.mark.layer

UNIT = "rauc.service"
REFUSED = "Installation 1 failed: signature verification failed"
EVENT = ("update-signature-refused", REFUSED)
MIB = 1024 * 1024
LIMIT = 32 * MIB
"""What the service may have (MemoryMax= of its unit)."""
awks = pytest.mark.parametrize("awk", installed_awks())


@pytest.fixture(scope="module")
def files(layer: Bench) -> Path:
    return layer.package("everest-security-monitor").files


@awks
@pytest.mark.parametrize(
    "values",
    [
        ["Installing", REFUSED],
        [REFUSED, "Installing"],
        ["Installing", REFUSED.encode(), ""],
        [b"\xff", REFUSED],
        [b"\xff\n", b"\033[1m" + REFUSED.encode()],
        ["", "", REFUSED],
    ],
)
def test_an_event_in_any_value_of_a_message_is_one(files: Path, awk: str, values: list[Value]) -> None:
    assert occurrences(files, UNIT, ["Installing", values, ["Installing", "Installed"]], awk=awk) == [EVENT]


@awks
def test_each_value_that_is_an_event_is_one(files: Path, awk: str) -> None:
    other = "Installation 2 rejected: no signer"
    assert occurrences(files, UNIT, [[REFUSED, "Installing", other]], awk=awk) == [EVENT, (EVENT[0], other)]


@awks
@pytest.mark.parametrize("length", [0, 1, 120, 4090])
def test_no_value_ends_before_its_end_or_makes_another(files: Path, awk: str, length: int) -> None:
    """Values of what ends strings, lists and escapes; none but those put in begins as the event does."""
    chance = random.Random(length)
    entries, wanted = [], []
    for turn in range(100):
        marks = "".join(chance.choice('"\\\\[],:{}') for _ in range(turn % 17))
        hostile = [f"{'x' * length}{marks}{end}{REFUSED}{marks}" for end in ('"', '","', '\\","', '"],"MESSAGE":"', "x,", '\\\\"]}')]
        values: list[Value] = [each if chance.random() < 0.7 else each.encode() for each in hostile]
        for _ in range(turn % 3):
            text = f"Installation {turn} failed: signature"
            values.insert(chance.randrange(len(values) + 1), text if chance.random() < 0.5 else text.encode())
            wanted.append((EVENT[0], text))
        entries.append(values)
    assert occurrences(files, UNIT, entries, awk=awk) == wanted


@awks
@pytest.mark.parametrize(
    "values",
    [
        [*map(str, range(20_000)), REFUSED],
        [*[b"\xff\033"] * 20_000, REFUSED],
        ['"' * MIB, "\\" * MIB, REFUSED],
        ["x", b"\xff" * MIB, REFUSED],
        b"\033[1m" * (MIB // 4) + REFUSED.encode(),
    ],
    ids=["many strings", "many lists", "a megabyte of quotes", "a megabyte of numbers", "a megabyte of colours"],
)
def test_values_without_end_neither_hide_an_event_nor_take_the_memory_of_the_monitor(files: Path, awk: str, values: list[Value]) -> None:
    assert occurrences(files, UNIT, [values, REFUSED], awk=awk, memory=LIMIT) == [EVENT, EVENT]


@awks
@pytest.mark.parametrize("values", [[None, REFUSED], [REFUSED, None], [None, REFUSED.encode(), None]])
def test_a_value_that_journalctl_leaves_out_is_told_and_hides_no_other(files: Path, awk: str, values: list[Value]) -> None:
    told = ("messages-dropped", f"what {UNIT} said is too long to be looked at")
    assert occurrences(files, UNIT, [None, values, "Installing"], awk=awk) == [told, EVENT, told]


@needs_journald
@awks
def test_an_entry_for_which_the_memory_does_not_suffice_is_told_and_hides_nothing_behind_it(monitor: Monitor, awk: str) -> None:
    program = monitor.directory / "awk"
    program.write_text(f'#!/bin/sh\nexec {awk}{" awk" if awk == "busybox" else ""} "$@"\n')
    program.chmod(0o755)
    monitor.environment["EVEREST_AWK"] = str(program)
    monitor.journal.add((UNIT, REFUSED), ("sh.service", "\x01" * MIB), *[("sh.service", "x" * 5000)] * 2, PACKET)
    with monitor.following(memory=LIMIT):
        seen = ["update-signature-refused", "messages-dropped", "messages-dropped", "packet-refused"]
        monitor.see(*seen)
        monitor.journal.add(("everest.service", "Unable to load OSSL_PROVIDER: tpm2"))
        monitor.see(*seen, "key-fallback")
    events = monitor.events()
    assert events[1][5] == "what sh.service said is too long to be looked at"
    assert [event[4] for event in events] == ["1", "1", "2", "1", "1"]


@needs_journald
def test_a_sender_that_says_two_things_in_one_entry_hides_neither(monitor: Monitor) -> None:
    with monitor.watching() as live:
        live.send(UNIT, ("MESSAGE", b"Installing"), ("MESSAGE", REFUSED.encode()), ("PRIORITY", b"6"))
        live.send("everest.service", ("MESSAGE", b"\xff"), ("MESSAGE", b"\033[1mFailed to generate csr pub/priv key"))
        monitor.see("update-signature-refused", "key-fallback")


@needs_journald
def test_nobody_gives_himself_a_unit_or_a_user_and_what_is_not_root_s_is_not_the_log_s_own(monitor: Monitor) -> None:
    with monitor.watching() as live:
        live.send("sh.service", ("MESSAGE", REFUSED.encode()), *[("_SYSTEMD_UNIT", UNIT.encode())] * 2)
        live.send("sh.service", ("MESSAGE", b"x"), ("SECURITY_EVENT", b"key-fallback"), *[("_UID", b"0")] * 2, user=1500)
        live.send(UNIT, ("MESSAGE", REFUSED.encode()), ("SECURITY_EVENT_NUMBER", b"1"), user=1500)
        monitor.see("update-signature-refused")


@needs_journald
def test_root_names_several_events_in_one_entry_and_each_is_one_of_the_gravest_severity(monitor: Monitor) -> None:
    """What is no name beside them hides none; an entry that says no severity is a notice."""
    names = [("SECURITY_EVENT", name) for name in (b"certificate-revoked", b"Not a name", b"key-fallback")]
    wanted = [
        ("certificate-installed", "5", "two"),
        ("certificate-revoked", "2", "one"),
        ("key-fallback", "2", "one"),
        ("update-signature-refused", "3", REFUSED),
    ]
    with monitor.watching() as live:
        live.send("sh.service", *names, ("MESSAGE", b"one"), ("PRIORITY", b"4"), ("PRIORITY", b"2"), ("PRIORITY", b"grave"))
        live.send("sh.service", ("SECURITY_EVENT", b"certificate-installed"), ("MESSAGE", b"two"))
        live.send(UNIT, ("SECURITY_EVENT", b"Not a name"), ("SECURITY_EVENT", b""), ("MESSAGE", REFUSED.encode()))
        eventually(lambda: sorted((event[2], event[3], event[5]) for event in monitor.events()) == wanted, monitor.events)


@needs_journald
def test_of_several_events_of_one_entry_none_is_lost_when_the_power_fails_between_them(monitor: Monitor) -> None:
    with monitor.watching() as live:
        live.send("sh.service", *[("SECURITY_EVENT", name) for name in (b"certificate-revoked", b"key-fallback")], ("MESSAGE", b"one"))
        eventually(lambda: len(monitor.events()) == 2, monitor.events)
    names = sorted(event[2] for event in monitor.events())
    lines = monitor.log.read_text().splitlines(keepends=True)
    monitor.log.write_text("".join(lines[:-1]))
    with monitor.watching():
        eventually(lambda: sorted({event[2] for event in monitor.events()}) == names, monitor.events)


@needs_journald
def test_journalctl_gives_a_field_of_several_values_as_the_tests_here_do(monitor: Monitor) -> None:
    values = ['a "', "\\", "], [", ""]
    with live_journal(monitor.said) as live:
        live.send(UNIT, *[("MESSAGE", value.encode()) for value in values], ("MESSAGE", b"\033[m"))
    argv = ["journalctl", f"--directory={monitor.said}", "--all", "--output=json", "--output-fields=MESSAGE", f"_SYSTEMD_UNIT={UNIT}"]
    (line,) = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    message = json.loads(line)["MESSAGE"]
    assert sorted(message, key=str) == sorted([*values, [27, 91, 109]], key=str)
    assert f'"MESSAGE":{json.dumps(message, separators=(",", ":"))}' in line
