import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.run import attempt, run, stream

# Whoever runs the tests in the background of a shell ignores interrupts, and so would all that they start.
CALLER = """
import signal, sys
from everest_secure import run
from everest_secure.ending import heeding_requests
run.PASSED_ON_AFTER = float(sys.argv[3])
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with heeding_requests():
        run.stream([sys.executable, "-c", sys.argv[1], sys.argv[2]])
except KeyboardInterrupt as error:
    print(str(error) or "interrupted")
"""
# Half a second is longer than subprocess.run lets an interrupted program live. Like kas it ends at once when it is told twice.
TIDY = """
import os, pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def tidy(number, _):
    signal.signal(number, lambda *_: os._exit(2))
    time.sleep(0.5)
    (place / "tidied").touch()
    sys.exit(1)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, tidy)
(place / "ready").touch()
signal.pause()
"""


def test_a_program_gives_its_output() -> None:
    assert run(["cat"], stdin=b"text") == b"text"


def test_a_failed_program_ends_in_its_own_last_words() -> None:
    with pytest.raises(ToolError, match=r"'sh' failed with exit code 3: second$"):
        run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"])


def test_a_failure_that_is_an_answer_comes_with_all_that_was_said() -> None:
    done = attempt(["sh", "-c", "echo out; echo no >&2; exit 3"])
    assert (done.code, done.output, done.errors) == (3, b"out\n", b"no\n")


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ToolError, match="did not end within 0 seconds"):
        attempt(["sleep", "1000"], limit=0.2)


@pytest.mark.parametrize("start", [run, attempt, stream])
def test_a_program_that_is_missing_or_may_not_run_is_named(start: object, tmp_path: Path) -> None:
    assert callable(start)
    with pytest.raises(ToolError, match="'no-such-program' is not installed"):
        start(["no-such-program"])
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(ToolError, match="may not be executed"):
        start([script])


def test_a_streamed_program_writes_to_the_terminal_itself(capfd: pytest.CaptureFixture[str]) -> None:
    assert stream(["sh", "-c", "echo out; echo error >&2; exit $CODE"], env={"CODE": "4"}) == 4
    assert capfd.readouterr() == ("out\n", "error\n")


@pytest.mark.parametrize(
    ("number", "all_of_them", "patience"),
    [
        pytest.param(signal.SIGINT, True, 0.0, id="the terminal interrupts both"),
        pytest.param(signal.SIGTERM, True, 60.0, id="CI ends both"),
        pytest.param(signal.SIGTERM, False, 0.0, id="somebody ends the caller"),
    ],
)
def test_a_program_may_tidy_up_before_the_command_ends(tmp_path: Path, number: signal.Signals, all_of_them: bool, patience: float) -> None:
    argv = [sys.executable, "-c", CALLER, TIDY, str(tmp_path), str(patience)]
    caller = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True, text=True)
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < deadline, "the program did not start"
            os.sched_yield()
        if all_of_them:
            os.killpg(caller.pid, number)
        else:
            caller.send_signal(number)
        said, _ = caller.communicate(timeout=30)
    finally:
        caller.kill()
    assert said == ("interrupted\n" if number == signal.SIGINT else "told to end by SIGTERM\n")
    assert (tmp_path / "tidied").exists()
