"""The power goes at every step of everest-tpm: no key is lost, and none is half there (TPM-06).

Each program that it calls is reached through a door that counts; at the step at which the power goes, the door kills the command with all that it
started, and the TPM starts anew on its own memory.
"""

import signal
import subprocess
from collections.abc import Iterator

import pytest

from support.layer import Bench
from support.provisioning import Charger, charger, share
from support.shells import shell
from support.tpm import SoftwareTpm, software_tpm

pytestmark = pytest.mark.layer

PROGRAMS = (
    *("awk", "cut", "find", "flock", "head", "id", "ln", "mktemp", "mv", "openssl", "rm", "stat", "sync"),
    *("tpm2_create", "tpm2_createprimary", "tpm2_evictcontrol", "tpm2_flushcontext", "tpm2_readpublic"),
)
DOOR = """#!/bin/dash
steps=$(($(wc -l <"{place}/steps") + 1))
echo "{name}" >>"{place}/steps"
[ "$steps" -ne "$CUT" ] || kill -KILL 0
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec "{name}" "$@"
"""
MOST = 100


@pytest.fixture
def box(layer: Bench) -> Iterator[Charger]:
    with charger(layer, tuple(shell("dash"))) as made:
        doors = made.place / "doors"
        doors.mkdir()
        for name in PROGRAMS:
            (doors / name).write_text(DOOR.format(place=made.place, name=name))
            (doors / name).chmod(0o755)
        yield made


def cut(box: Charger, tpm: SoftwareTpm, step: int, *arguments: str) -> bool:
    """Run the program until the power goes at a step; whether it came so far."""
    share(tpm)
    steps = box.place / "steps"
    steps.write_text("")
    steps.chmod(0o666)
    environment = box.environment(tpm.tcti, PATH=f"{box.place}/doors:/usr/sbin:/usr/bin:/sbin:/bin", CUT=str(step))
    done = subprocess.run(
        box.command(*arguments, user="everest"), env=environment, cwd="/", capture_output=True, start_new_session=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    # Two programs of a pipe may count at once and skip a step.
    return done.returncode != 0 or len(steps.read_text().splitlines()) >= step


def keys(box: Charger) -> set[bytes]:
    return {content for name, content in box.files().items() if name.endswith(".tkey")}


@pytest.mark.parametrize("arguments", [("provision", "csms"), ("provision", "--replace", "csms")], ids=["first", "replace"])
def test_a_power_cut_at_any_step_leaves_whole_keys_and_the_next_call_goes_on(box: Charger, arguments: tuple[str, ...]) -> None:
    replaces = "--replace" in arguments
    kept: set[bytes] = set()
    for step in range(1, MOST):
        with software_tpm(box.place) as tpm:
            came_so_far = cut(box, tpm, step, *arguments)
        if not came_so_far:
            break
        left = keys(box)
        assert kept <= left
        files = [name for name in box.files() if name.endswith(".tkey")]
        with software_tpm(box.place) as tpm:
            if files:
                assert box.done("verify", tpm=tpm).count("in the TPM, signs") == len(files)
            box.done("provision", "csms", tpm=tpm)
        assert left <= keys(box)
        assert [name for name in box.files() if not name.endswith(".tkey")] == []
        for file in box.keys[0].parent.iterdir():
            if file != box.keys[0] or not replaces:
                file.unlink()
        kept = keys(box)
    assert 20 < step < MOST - 1
