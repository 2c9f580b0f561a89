"""The power goes at every step at which everest-cert changes the disk: a store is never half changed, and no key is lost (CERT-08).

A step is what one of the programs that change something does to the store, which between two of them stays as it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from support.certificates import STORE, Certified, certified
from support.doors import MOST, Doors, doors
from support.layer import Bench
from support.provisioning import share
from support.shells import shell

pytestmark = pytest.mark.layer

PROGRAMS = ("ln", "mktemp", "mv", "rm", "sync")
SECC = {name: described for name, described in STORE.items() if "/cso/" in name}
CSMS = {name: described for name, described in STORE.items() if "/csms/" in name}


@pytest.fixture(scope="module")
def shop(layer: Bench) -> Iterator[Certified]:
    with certified(layer, tuple(shell("dash"))) as made:
        yield made


@pytest.fixture(scope="module")
def ways(shop: Certified) -> Doors:
    return doors(shop.box.place, PROGRAMS, about='"$EVEREST_STORE"')


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


def cut(ways: Doors, charger: Certified, step: int, *words: str) -> bool:
    """Run the program until the power goes at a step; whether it came so far."""
    share(charger.tpm)
    return ways.cut(step, charger.box.command(*words, user="everest"), charger.box.environment(charger.tpm.tcti))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_power_cut_at_any_step_leaves_a_sound_store_and_the_next_call_goes_on(shop: Certified, ways: Doors, change: Change) -> None:
    whole = change.before(shop)
    before = whole.files
    assert not cut(ways, whole, MOST, *change.words(whole))
    after = whole.files
    assert before != after
    for step in range(1, MOST):
        charger = change.before(shop)
        words = change.words(charger)
        came_so_far = cut(ways, charger, step, *words)
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
    assert 3 < step < MOST - 1
