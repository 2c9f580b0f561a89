"""A charger that writes of an update only what differs from the release before (EVEREST_ADAPTIVE_UPDATES)."""

from pathlib import Path

import pytest

from support.adaptive import NEXT, AdaptiveUpdates, update_adaptively

from .conftest import Witness

pytestmark = pytest.mark.boot

MIB = 1 << 20


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> AdaptiveUpdates:
    return update_adaptively(tmp_path_factory.mktemp("adaptive"))


@pytest.mark.proves("FS-01", "FS-02", "RAUC-03", "RAUC-06")
def test_a_charger_with_a_root_in_erofs_takes_two_updates_one_after_the_other(updates: AdaptiveUpdates, proof: Witness) -> None:
    proof.excerpt(line for line in updates.console.lines if "%" not in line)
    assert updates.console.starts() == ["A", "B", "A"]
    for start, slot in zip(updates.console.by_start()[1:], "BA", strict=True):
        assert f"everest-update-gate: slot {slot} is good" in start.said("gate")
    (state,) = updates.console.states()
    assert (state["slot"], state["floor"]) == ("A", NEXT)


@pytest.mark.proves("RAUC-06")
def test_of_a_small_change_a_tenth_of_a_full_update_is_written_at_most(updates: AdaptiveUpdates, proof: Witness) -> None:
    full, small = updates.written("b"), updates.written("a")
    proof.excerpt([f"into a slot that was never written: {full / MIB:.1f} MiB", f"over the release before: {small / MIB:.1f} MiB"])
    assert full > 100 * MIB
    # Both the root and the boot program are others, so that something was written.
    assert 0 < small <= full / 10


@pytest.mark.proves("RAUC-06")
def test_at_every_moment_of_both_updates_the_firmware_would_start_a_slot_that_is_all_on_the_medium(
    updates: AdaptiveUpdates, tmp_path: Path
) -> None:
    watch = updates.watched(tmp_path)
    assert watch.faults == []
    # Each time BootNext is set, used up by the firmware, and the order changed by mark-good.
    assert [slot for _, slot in watch.switches] == ["a", "b", "a", "b", "a", "b", "a"]
