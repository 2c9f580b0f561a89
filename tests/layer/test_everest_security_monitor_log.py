"""The log of security events, which shows when it was changed and loses nothing when the power goes (LOG-03)."""

import os
import random
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.journald import entries, needs_journald
from support.monitor import PROGRAM, PROVOKED, SIGNATURE, Monitor
from support.provisioning import USERS
from support.waiting import eventually

pytestmark = pytest.mark.layer


@needs_journald
def test_a_line_that_a_power_cut_left_is_taken_out_and_said(monitor: Monitor) -> None:
    with monitor.following():
        monitor.journal.add(SIGNATURE)
        monitor.see("update-signature-refused")
    whole = monitor.log.read_text()
    monitor.log.write_text(whole + whole.splitlines()[-1][:70])
    with monitor.following():
        monitor.see("update-signature-refused", "log-repaired")
    assert monitor.run("verify").stdout == "2 events, none changed\n"


@needs_journald
def test_power_cuts_at_random_lose_no_event_and_say_none_twice(monitor: Monitor) -> None:
    monitor.environment["EVEREST_SECURITY_LOG_BYTES"] = "1500"
    rounds = 3
    for _ in range(rounds):
        monitor.journal.add(*PROVOKED.values())
        monitor.journal.seconds += 100
        monitor.journal.clock += 100
    chance = random.Random()
    wanted = [*PROVOKED] * rounds

    def seen() -> list[str]:
        return [event[2] for event in monitor.events() if event[2] != "log-repaired"]

    def written() -> int:
        return sum(file.stat().st_size for file in monitor.log.parent.glob("security.log*"))

    for _ in range(10):
        with monitor.following():
            enough = written() + chance.randrange(1, 800)
            eventually(lambda: written() >= enough or seen() == wanted)  # noqa: B023 - asked within the turn
        assert seen() == wanted[: len(seen())]
    with monitor.following():
        eventually(lambda: seen() == wanted, seen)
    assert monitor.run("verify").returncode == 0, monitor.run("verify").stderr


@needs_journald
@pytest.mark.parametrize("fault", ["a word", "a line", "the end", "a file", "everything"])
def test_a_log_that_was_changed_shows_it(monitor: Monitor, fault: str) -> None:
    monitor.environment["EVEREST_SECURITY_LOG_BYTES"] = "600"
    with monitor.following():
        monitor.journal.add(*PROVOKED.values())
        monitor.see(*PROVOKED)
        eventually(lambda: len(entries(monitor.said, SYSLOG_IDENTIFIER="everest-security-monitor")) == len(PROVOKED))
    assert monitor.run("verify").returncode == 0
    # It may have been stopped while it began the next file.
    middle = next(file for file in (monitor.log.with_suffix(".log.1"), monitor.log) if file.exists())
    lines = middle.read_text().splitlines(keepends=True)
    match fault:
        case "a word":
            middle.write_text(middle.read_text().replace("\t1\t", "\t2\t", 1))
        case "a line":
            middle.write_text("".join(lines[:1] + lines[2:]))
        case "the end":
            middle.write_text("".join(lines[:-1]))
        case "everything":
            for file in monitor.log.parent.glob("security.log*"):
                file.unlink()
        case _:
            middle.unlink()
    done = monitor.run("verify")
    assert done.returncode == 1
    assert any(words in done.stderr for words in ("was changed: its line", "the beginning of", "the end of"))
    assert "log-tampered: the security log is not what was written" in monitor.run("daily").stdout


@needs_journald
def test_the_log_does_not_grow_for_ever(monitor: Monitor) -> None:
    monitor.environment["EVEREST_SECURITY_LOG_BYTES"] = "1"
    names = [*PROVOKED] * 2
    with monitor.following():
        for _ in range(2):
            monitor.journal.add(*PROVOKED.values())
            monitor.journal.seconds += 100
            monitor.journal.clock += 100
        eventually(lambda: [event[0] for event in monitor.events()][-1:] == [str(len(names))])
    assert len(list(monitor.log.parent.glob("security.log*"))) <= 9
    # It may have been stopped before it began the next file.
    assert monitor.run("verify").stdout in ("8 events, none changed\n", "9 events, none changed\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("command", ["verify", "show", "daily", "follow"])
@pytest.mark.parametrize("user", ["everest", "nobody"])
def test_whoever_may_not_read_the_log_is_not_told_that_it_is_right(monitor: Monitor, command: str, user: str) -> None:
    become = ["setpriv", f"--reuid={USERS[user]}", f"--regid={USERS[user]}", "--clear-groups"]
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        log = Path(place, "log/security.log")
        log.parent.mkdir(mode=0o750)
        log.write_text("")
        with (monitor.files / PROGRAM).open() as script:
            variables = {**os.environ, **monitor.environment, "EVEREST_SECURITY_LOG": str(log)}
            done = subprocess.run(
                [*become, "sh", "-s", "--", command], stdin=script, env=variables, capture_output=True, text=True, check=False
            )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot read {log.parent}; call it as root" in done.stderr


def test_a_charger_on_which_nothing_happened_yet_has_a_log_that_is_right(monitor: Monitor) -> None:
    assert monitor.run("verify").stdout == "0 events, none changed\n"
    assert (monitor.run("show").stdout, monitor.run("show").stderr) == ("", "")
