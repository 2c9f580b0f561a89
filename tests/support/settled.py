"""A charger after its first start, from which scenarios begin."""

from dataclasses import dataclass
from pathlib import Path

from everest_secure.pki.store import Store
from everest_secure.target.machine import Machine
from support.steps import Console, new_charger, run_to_the_end, with_disk
from support.updates import refused

MARK = "before-all-updates"


@dataclass(frozen=True)
class Settled:
    """A charger that is off; scenarios work on copies of it (`steps.copied`)."""

    charger: Machine
    console: Console
    """What it said at its first start."""
    disk: Path
    """Its disk as a raw image; to be read only."""

    @property
    def state(self) -> dict[str, str]:
        """What the charger said of what must outlast everything."""
        return self.console.states()[-1]


def settle(directory: Path, keys: Store) -> Settled:
    """Start a new charger, let it make its keys, offer it every bundle that it has to refuse, and wait until it is off."""
    charger = new_charger(directory)
    bundles = {f"{name}.raucb": file for name, file in refused(directory, keys).items()}
    steps = [f"mark {MARK}", "key", "state", "firmware", *(f"install {name}" for name in bundles), "firmware", "state", "off"]
    console = run_to_the_end(with_disk(charger, directory / "first.ext4", "\n".join(steps), bundles))
    return Settled(charger, console, charger.flatten(directory / "settled.raw"))
