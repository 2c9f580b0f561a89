"""The power goes at every step at which everest-cert changes the disk: a store is never half changed, and no key is lost (CERT-08).

The programs that change something are reached through doors that count; at the step at which the power goes, the door kills the command with all that it
started. Between two of them the store stays as it is.
"""

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from support.certificates import STORE, Certified, certified
from support.layer import Bench
from support.provisioning import share
from support.shells import shell

pytestmark = pytest.mark.layer

PROGRAMS = ("ln", "mv", "rm", "sync")
DOOR = """#!/bin/dash
steps=$(($(wc -l <"{place}/steps") + 1))
echo "{name}" >>"{place}/steps"
[ "$steps" -ne "$CUT" ] || kill -KILL 0
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec "{name}" "$@"
"""
MOST = 100
SECC = {name: described for name, described in STORE.items() if "/cso/" in name}
CSMS = {name: described for name, described in STORE.items() if "/csms/" in name}


@pytest.fixture(scope="module")
def shop(layer: Bench) -> Iterator[Certified]:
    with certified(layer, tuple(shell("dash"))) as made:
        doors = made.box.place / "doors"
        doors.mkdir()
        for name in PROGRAMS:
            (doors / name).write_text(DOOR.format(place=made.box.place, name=name))
            (doors / name).chmod(0o755)
        yield made


@dataclass(frozen=True)
class Change:
    """Something that is done to a store, and what may be left of it when it is cut off."""

    before: Callable[[Certified], Certified]
    words: Callable[[Certified], tuple[str, ...]]
    undone: tuple[str, ...] = ()
    """Beginnings of the names of files that only some states have."""
    again: tuple[int, ...] = (0,)
    """How calling it again may end."""


def key_and_chain(charger: Certified) -> tuple[str, ...]:
    key = charger.box.store.parent / "secc.tkey"
    key.write_bytes(charger.workshop.key_pem("secc"))
    key.chmod(0o644)
    return "install", "--key", str(key), "secc", str(charger.offer("secc", "sub2", "sub1"))


CHANGES = {
    "a chain with its key": Change(lambda shop: shop.with_store(CSMS, bare=True), key_and_chain, ("client/cso/SECC_LEAF_",)),
    "a root": Change(
        lambda shop: shop.with_store(),
        lambda charger: ("install", "ca", "v2g", str(charger.offer("other-root"))),
        ("ca/v2g/V2G_ROOT_CA.pem",),
    ),
    "a revocation": Change(
        lambda shop: shop.with_store(),
        lambda charger: ("revoke", "--no-restart", charger.digest("charger")),
        ("client/csms/CSMS_LEAF",),
        (0, 1),
    ),
}


def cut(charger: Certified, step: int, *words: str) -> bool:
    """Run the program until the power goes at a step; whether it came so far."""
    share(charger.tpm)
    box = charger.box
    steps = box.place / "steps"
    steps.write_text("")
    steps.chmod(0o666)
    environment = box.environment(charger.tpm.tcti, PATH=f"{box.place}/doors:/usr/sbin:/usr/bin:/sbin:/bin", CUT=str(step))
    command = box.command(*words, user="everest")
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, start_new_session=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    # Two programs of a pipe may count at once and skip a step.
    return done.returncode != 0 or len(steps.read_text().splitlines()) >= step


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_power_cut_at_any_step_leaves_a_sound_store_and_the_next_call_goes_on(shop: Certified, change: Change) -> None:
    whole = change.before(shop)
    before = whole.files
    assert not cut(whole, MOST, *change.words(whole))
    after = whole.files
    assert before != after
    for step in range(1, MOST):
        charger = change.before(shop)
        words = change.words(charger)
        came_so_far = cut(charger, step, *words)
        left = {name: content for name, content in charger.files.items() if "/.everest-cert." not in name}
        for name, content in left.items():
            assert content in (before.get(name), after.get(name)), name
        assert {name for name in before if not name.startswith(change.undone)} <= left.keys()
        if left not in (before, after):
            charger.box.done("check", tpm=charger.tpm)
        assert charger.box.call(*words, tpm=charger.tpm).returncode in change.again
        assert charger.files == after
        if not came_so_far:
            break
    assert 4 < step < MOST - 1
