"""The demonstration once more, with EVEREST_ADAPTIVE_UPDATES: a charger, and two releases that differ by little."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.pki.store import Store
from everest_secure.reference.build import ReferenceImage, Workspace, build
from support.booted import DEMONSTRATION, IMAGES, KEYS
from support.powercut import Recording
from support.recorded import record_from
from support.reference import REPOSITORY
from support.steps import SAYS, Console, demonstration, new_charger

VERSION, NEXT = "0.1.0", "0.1.1"
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

    def written(self, slot: str) -> int:
        """Return the bytes written to the partitions of slot `a` or `b`."""
        return sum(size for label, size in self.recording.written().items() if label in (f"rootfs-{slot}", f"efi-{slot}"))

    def seconds(self, release: str) -> float:
        """Return how long RAUC took to install the release `first` or `second`."""
        return self.console.seconds_between(f"{SAYS}steps: install {release}.raucb", f"{SAYS}steps: installed {release}.raucb")


def update_adaptively(directory: Path) -> AdaptiveUpdates:
    """Build both releases and take a new charger through them; skips the test where the demonstration is not what the scenarios are about."""
    demonstration()
    if IMAGES != DEMONSTRATION:
        pytest.skip("the images of this scenario are built like the demonstration's, which the others are not about here")
    first, second = (_release(directory / name, knobs) for name, knobs in (("first", {}), ("second", SMALL_CHANGE)))
    charger = new_charger(directory, first.disk)
    files = {"first.raucb": first.bundle, "second.raucb": second.bundle}
    (directory / "updates").mkdir()
    recording, console = record_from(charger, first.disk, directory / "updates", STEPS, files)
    return AdaptiveUpdates(recording, console)


def _release(output: Path, knobs: dict[str, str]) -> ReferenceImage:
    output.mkdir()
    workspace = Workspace(REPOSITORY / "build/cache", output / "work")
    return build(keys=Store(KEYS), output=output, workspace=workspace, knobs={"EVEREST_ADAPTIVE_UPDATES": "1", **knobs}, step=_silent)


@contextmanager
def _silent(_: str) -> Iterator[None]:
    yield
