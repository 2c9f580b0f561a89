"""The power goes at any step of a factory reset (FS-03, RAUC-05)."""

import os
from pathlib import Path

import pytest

from support.doors import MOST, doors
from support.factory_reset import KEPT, NOTE, ORDER, Charger, charger
from support.layer import Bench
from support.shells import SHELLS

pytestmark = [pytest.mark.layer, pytest.mark.skipif(os.geteuid() != 0, reason="only root resets a charger")]

PROGRAMS = ("awk", "cat", "head", "id", "mkdir", "mv", "rm", "sync", "tail")


@pytest.fixture(params=SHELLS)
def box(layer: Bench, request: pytest.FixtureRequest, tmp_path: Path) -> Charger:
    return charger(layer, tmp_path, request.param)


@pytest.mark.parametrize("mode", KEPT)
@pytest.mark.parametrize("box", ["dash"], indirect=True)
def test_a_power_cut_at_any_step_of_the_reset_ends_in_the_whole_reset(box: Charger, mode: str) -> None:
    sentences = set()
    ways = doors(box.place, PROGRAMS)
    for step in range(1, MOST):
        box.make()
        box.order(*mode.split())
        if not ways.cut(step, [*box.command, "--carry-out"], box.environment()):
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
    ways = doors(box.place, PROGRAMS)
    for step in range(1, MOST):
        if not ways.cut(step, [*box.command, "--yes", "--no-reboot"], box.environment()):
            break
        order = box.data / ORDER
        assert not order.exists() or order.read_text() == "keep-identity\n"
        order.unlink(missing_ok=True)
        (box.data / f"{ORDER}.new").unlink(missing_ok=True)
        assert box.left() == before
    assert 4 < step < MOST - 1
