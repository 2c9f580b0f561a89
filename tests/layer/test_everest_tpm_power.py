"""The power goes at every step of everest-tpm: no key is lost, and none is half there (TPM-06).

Where the power goes, the TPM starts anew on its own memory.
"""

from collections.abc import Iterator

import pytest

from support.doors import MOST, doors
from support.layer import Bench
from support.provisioning import Charger, charger, share
from support.shells import shell
from support.tpm import software_tpm

pytestmark = pytest.mark.layer

PROGRAMS = (
    *("awk", "cut", "find", "flock", "head", "id", "ln", "mktemp", "mv", "openssl", "rm", "stat", "sync"),
    *("tpm2_create", "tpm2_createprimary", "tpm2_evictcontrol", "tpm2_flushcontext", "tpm2_readpublic"),
)


@pytest.fixture
def box(layer: Bench) -> Iterator[Charger]:
    with charger(layer, tuple(shell("dash"))) as made:
        yield made


def keys(box: Charger) -> set[bytes]:
    return {content for name, content in box.files().items() if name.endswith(".tkey")}


@pytest.mark.parametrize("arguments", [("provision", "csms"), ("provision", "--replace", "csms")], ids=["first", "replace"])
def test_a_power_cut_at_any_step_leaves_whole_keys_and_the_next_call_goes_on(box: Charger, arguments: tuple[str, ...]) -> None:
    replaces = "--replace" in arguments
    kept: set[bytes] = set()
    ways = doors(box.place, PROGRAMS)
    for step in range(1, MOST):
        with software_tpm(box.place) as tpm:
            share(tpm)
            came_so_far = ways.cut(step, box.command(*arguments, user="everest"), box.environment(tpm.tcti))
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
