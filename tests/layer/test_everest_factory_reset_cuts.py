"""The power goes at any step of a factory reset (FS-03, RAUC-05)."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from support.factory_reset import KEPT, NOTE, ORDER, Charger, charger
from support.layer import Bench
from support.shells import SHELLS

pytestmark = [pytest.mark.layer, pytest.mark.skipif(os.geteuid() != 0, reason="only root resets a charger")]

PROGRAMS = ("awk", "cat", "head", "id", "mkdir", "mv", "rm", "sync", "tail")
DOOR = """#!/bin/dash
steps=$(($(wc -l <"{place}/steps") + 1))
echo "{name}" >>"{place}/steps"
[ "$steps" -ne "$CUT" ] || kill -KILL 0
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec "{name}" "$@"
"""
MOST = 100


@pytest.fixture(params=SHELLS)
def box(layer: Bench, request: pytest.FixtureRequest, tmp_path: Path) -> Charger:
    return charger(layer, tmp_path, request.param)


def cut(box: Charger, step: int, *arguments: str) -> bool:
    """Run the program until the power goes at a step; whether it came so far."""
    doors, steps = box.place / "doors", box.place / "steps"
    doors.mkdir(exist_ok=True)
    steps.write_text("")
    for name in PROGRAMS:
        (doors / name).write_text(DOOR.format(place=box.place, name=name))
        (doors / name).chmod(0o755)
    environment = box.environment(PATH=f"{doors}:/usr/sbin:/usr/bin:/sbin:/bin", CUT=str(step))
    command = [*box.command, *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0 or len(steps.read_text().splitlines()) >= step


@pytest.mark.parametrize("mode", KEPT)
@pytest.mark.parametrize("box", ["dash"], indirect=True)
def test_a_power_cut_at_any_step_of_the_reset_ends_in_the_whole_reset(box: Charger, mode: str) -> None:
    sentences = set()
    for step in range(1, MOST):
        box.make()
        box.order(*mode.split())
        if not cut(box, step, "--carry-out"):
            break
        assert box.left() >= KEPT[mode] - {NOTE}
        if (box.data / ORDER).exists():
            box.restart()
        assert box.left() == KEPT[mode]
        sentences.add((box.data / NOTE).read_text())
    assert 10 < step < MOST - 1
    assert len(sentences) == 1, "how the log ended is known after any number of cuts"


@pytest.mark.parametrize("box", ["dash"], indirect=True)
def test_a_power_cut_at_any_step_of_the_command_leaves_the_whole_order_or_none(box: Charger) -> None:
    before = box.left()
    for step in range(1, MOST):
        if not cut(box, step, "--yes", "--no-reboot"):
            break
        order = box.data / ORDER
        assert not order.exists() or order.read_text() == "keep-identity\n"
        order.unlink(missing_ok=True)
        (box.data / f"{ORDER}.new").unlink(missing_ok=True)
        assert box.left() == before
    assert 4 < step < MOST - 1
