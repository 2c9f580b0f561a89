"""The demonstration once more, with EVEREST_ADAPTIVE_UPDATES: a charger, and two releases that differ by little."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.booted import DEMONSTRATION, IMAGES
from support.powercut import Recording, SlotWatch, slot_content
from support.recorded import record_from
from support.reference import require
from support.steps import SAYS, Console, demonstration, new_charger
from support.updates import whole_slot
from support.variants import variant

NEXT = "0.1.1"
SMALL_CHANGE = {"EVEREST_IMAGE_VERSION": NEXT, "EVEREST_JOURNAL_MAX": "60"}
"""What the second release sets besides: its version, which is in several files, and a line of a configuration."""
STEPS = """
install first.raucb
restart
decide
install second.raucb
restart
decide
firmware
state
off
"""


@dataclass(frozen=True)
class AdaptiveUpdates:
    """A charger that has taken both, the first into a slot that was never written, the second over the release that it came with."""

    recording: Recording
    console: Console
    whole: dict[str, list[dict[str, bytes]]] = field(repr=False)
    """By slot, what its partitions hold, by label, when it is whole: of each release that comes to be in it."""

    def watched(self, work: Path) -> SlotWatch:
        """Go through the recording (`SlotWatch.watch`)."""
        return SlotWatch(self.recording, work, self.whole).watch()

    def written(self, slot: str) -> int:
        """Return the bytes written to the partitions of slot `a` or `b`."""
        return sum(size for label, size in self.recording.written().items() if label in (f"rootfs-{slot}", f"efi-{slot}"))

    def seconds(self, release: str) -> float:
        """Return how long RAUC took to install the release `first` or `second`."""
        return self.console.seconds_between(f"{SAYS}steps: install {release}.raucb", f"{SAYS}steps: installed {release}.raucb")


def update_adaptively(directory: Path) -> AdaptiveUpdates:
    """Build both releases and take a new charger through them; skips the test where the demonstration is not what the scenarios are about."""
    demonstration()
    require("sfdisk")
    if IMAGES != DEMONSTRATION:
        pytest.skip("the images of this scenario are built like the demonstration's, which the others are not about here")
    for name in ("first", "second", "updates"):
        (directory / name).mkdir()
    first = variant(directory / "first", EVEREST_ADAPTIVE_UPDATES="1")
    second = variant(directory / "second", EVEREST_ADAPTIVE_UPDATES="1", **SMALL_CHANGE)
    charger = new_charger(directory, first.disk)
    files = {"first.raucb": first.bundle, "second.raucb": second.bundle}
    recording, console = record_from(charger, first.disk, directory / "updates", STEPS, files)
    whole = {"a": [slot_content(first.disk, "a"), whole_slot(second.bundle, "a")], "b": [whole_slot(first.bundle, "b")]}
    return AdaptiveUpdates(recording, console, whole)
