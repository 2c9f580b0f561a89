"""An update of the demonstration's charger, recorded."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from everest_secure.target.machine import Machine
from support.powercut import Recording
from support.recorder import recorder
from support.settled import Settled
from support.steps import Console, copied, run_to_the_end, with_disk

UPDATE = "install update.raucb\nrestart\ndecide\nfirmware\nstate\n"


def record(settled: Settled, directory: Path, steps: str, bundle: Path) -> tuple[Recording, Console]:
    """Take a copy of the settled charger through steps, which have the bundle as `update.raucb`; the settled one is the state before."""
    charger = copied(settled.charger, directory / "machine")
    return record_from(charger, settled.disk, directory, steps, {"update.raucb": bundle})


def record_from(charger: Machine, before: Path, directory: Path, steps: str, files: Mapping[str, Path]) -> tuple[Recording, Console]:
    """Take a charger through steps, which have `files`; its disk is a copy of `before`, a raw image."""
    recording = Recording(before, charger.own_variables if charger.own_variables.exists() else charger.variables, directory / "log")
    disk, variables = directory / "disk.raw", directory / "variables.fd"
    subprocess.run(["cp", "--sparse=always", recording.disk, disk], check=True)
    shutil.copyfile(recording.variables, variables)
    with recorder(directory / "nbd", disk=disk, variables=variables, log=recording.log):
        charger = replace(charger, storage=directory / "nbd")
        console = run_to_the_end(with_disk(charger, directory / "second.ext4", steps, files))
    disk.unlink()
    return recording, console
