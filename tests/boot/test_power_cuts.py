"""A charger whose power fails while it is updated: it starts a verified system, keeps its keys and its state, and takes a later update (RAUC-06, FS-03).

One update is recorded from its installation over the first start of the new slot to its mark: every write to the disk and to the firmware's flash, and
every flush (tests/support/recorder.py). Of each moment of it, thousands, the slot that the firmware would start is looked at; of EVEREST_POWER_CUTS
moments drawn by lot all of the disk, with half of what the disk's cache held lost; and EVEREST_POWER_CUTS_BOOTED of those are started. Besides, the
machine itself is killed. EVEREST_POWER_CUTS_SEED repeats a run. Software emulation: minutes. Run by `make boot` and `make boot-soak`, after `make demo`.
"""

import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_file
from everest_secure.target.emulator import wait
from everest_secure.target.machine import Machine
from everest_secure.target.session import Session, power_on
from support.powercut import Moment, Recording, SlotWatch, moments, partitions
from support.recorder import recorder
from support.steps import DONE, SECONDS, Console, demonstration, new_charger, second_disk

pytestmark = pytest.mark.boot

CUTS = int(os.environ.get("EVEREST_POWER_CUTS", "25"))
BOOTED = int(os.environ.get("EVEREST_POWER_CUTS_BOOTED", "2"))
SEED = int(os.environ.get("EVEREST_POWER_CUTS_SEED", time.time_ns() % 1_000_000))
MARK = "before-the-update"
UPDATE = ["install update.raucb", "restart", "decide", "state"]
SOUND = (0, 1)
"""Exit codes of e2fsck -p: nothing to repair, or the journal was replayed and all is well."""


@dataclass(frozen=True)
class Update:
    """A recorded update, and the charger before it."""

    charger: Machine
    before: dict[str, str]
    """What the charger said of its state before."""
    recording: Recording
    console: Console
    whole: dict[str, dict[str, bytes]]
    """Content of each slot's partitions, when they are whole."""
    bundle: Path


@pytest.fixture(scope="module")
def update(tmp_path_factory: pytest.TempPathFactory) -> Update:
    print(f"EVEREST_POWER_CUTS_SEED={SEED}")  # noqa: T201 - pytest shows it with a failure
    directory = tmp_path_factory.mktemp("update")
    _, bundle = demonstration()
    charger = new_charger(directory)
    first = second_disk(directory / "first.ext4", f"mark {MARK}\nstate\noff", {})
    before = _run(replace(charger, second_disk=first)).states()[0]
    disk = charger.flatten(directory / "before.raw")
    recording = Recording(disk, charger.own_variables, directory / "log")
    second = second_disk(directory / "second.ext4", "\n".join([*UPDATE, "off"]), {"update.raucb": bundle})
    # Used up by the run; the recording begins with what is kept.
    used, flash = directory / "used.raw", directory / "used.fd"
    subprocess.run(["cp", "--sparse=always", disk, used], check=True)
    shutil.copyfile(recording.variables, flash)
    with recorder(directory / "nbd", disk=used, variables=flash, log=recording.log):
        console = _run(replace(charger, second_disk=second, storage=directory / "nbd"))
    used.unlink()
    return Update(charger, before, recording, console, {"a": _slot_a(disk), "b": _images(bundle)}, bundle)


def _run(machine: Machine) -> Console:
    with power_on(machine) as session:
        session.wait_until_off(seconds=SECONDS)
        return Console.of(session.lines())


def _slot_a(disk: Path) -> dict[str, bytes]:
    areas = partitions(disk)
    return {label: from_file(disk).read(areas[label].offset, areas[label].size) for label in ("efi-a", "rootfs-a")}


def _images(bundle: Path) -> dict[str, bytes]:
    found = {part.name.rpartition(":")[2]: part.blob for part in open_artefact(bundle).walk() if part.name.endswith(("rootfs.img", "efi.img"))}
    return {f"{name.removesuffix('.img')}-b": blob.read(0, blob.size) for name, blob in found.items() if blob}


@pytest.fixture(scope="module")
def numbers(update: Update) -> list[int]:
    """The moments drawn by lot."""
    return sorted(random.Random(SEED).sample(range(update.recording.length() + 1), CUTS))


def test_the_update_that_is_recorded_goes_through(update: Update) -> None:
    assert update.console.starts() == ["A", "B"]
    assert update.console.states()[0] == {**update.before, "slot": "B", "floor": update.console.states()[0]["floor"]}
    assert any(line.endswith("slot B is good") for line in update.console.said("gate"))


def test_at_every_moment_the_firmware_would_start_a_slot_that_is_all_on_the_medium(update: Update, tmp_path: Path) -> None:
    watch = SlotWatch(update.recording, tmp_path, update.whole)
    watch.watch()
    assert watch.faults == []
    # BootNext is set, used up by the firmware, and the order changed by mark-good.
    assert [slot for _, slot in watch.switches] == ["a", "b", "a", "b"]


def test_at_moments_drawn_by_lot_the_system_is_whole_and_keys_and_state_are_there(update: Update, numbers: list[int], tmp_path: Path) -> None:
    faults = [f"moment {moment.number}: {fault}" for moment in _moments(update, numbers, tmp_path) for fault in _faults(update, moment, tmp_path)]
    assert faults == [], f"EVEREST_POWER_CUTS_SEED={SEED}"


def test_a_charger_started_after_a_power_cut_runs_a_verified_system_and_takes_a_later_update(
    update: Update, numbers: list[int], tmp_path: Path
) -> None:
    chosen = random.Random(SEED).sample(numbers, BOOTED)
    steps = "\n".join(["decide", "state", *UPDATE, "off"])
    second = second_disk(tmp_path / "later.ext4", steps, {"update.raucb": update.bundle})
    for moment in _moments(update, chosen, tmp_path):
        console = _run(_machine_at(update, moment, tmp_path / f"moment-{moment.number}", second))
        _require_sound(update, console, f"EVEREST_POWER_CUTS_SEED={SEED}, moment {moment.number}")


def _require_sound(update: Update, console: Console, where: str) -> None:
    first, last = console.states()
    lasting = ("marker", "machine", "keys", "usable")
    assert [first[name] for name in lasting] == [update.before[name] for name in lasting], where
    assert [last[name] for name in lasting] == [update.before[name] for name in lasting], where
    assert last["slot"] != first["slot"], where
    assert any(line.endswith(f"slot {last['slot']} is good") for line in console.said("gate")), where


def _moments(update: Update, numbers: list[int], work: Path) -> Iterator[Moment]:
    return moments(update.recording, numbers, work=work, seed=SEED)


def _machine_at(update: Update, moment: Moment, directory: Path, second: Path) -> Machine:
    """Return the charger as it is when power comes back after the moment; its TPM is the one that the charger has."""
    directory.mkdir()
    shutil.copytree(update.charger.tpm, directory / "tpm")
    variables = shutil.copyfile(moment.variables, directory / "cut.fd")
    return replace(update.charger, disk=moment.disk, variables=variables, state=directory, space=0, second_disk=second)


def _faults(update: Update, moment: Moment, work: Path) -> Iterator[str]:
    """Yield what is not as it has to be, read from the disk and the flash without the machine."""
    areas = partitions(moment.disk)
    if areas != partitions(update.recording.disk):
        yield "the partition table is another one"
    labels = {area.uuid: label for label, area in areas.items()}
    slots = [labels[partition].removeprefix("efi-") for partition in moment.choice().partitions] or ["a"]
    for label, content in update.whole[slots[0]].items():
        if from_file(moment.disk).read(areas[label].offset, len(content)) != content:
            yield f"slot {slots[0]} would be started and {label} is not whole"
    yield from _data_faults(update, moment, work / "data.ext4")


def _data_faults(update: Update, moment: Moment, copy: Path) -> Iterator[str]:
    area = partitions(moment.disk)["data"]
    place = [f"skip={area.offset}", f"count={area.size}", "iflag=skip_bytes,count_bytes"]
    subprocess.run(["dd", f"if={moment.disk}", f"of={copy}", "bs=1M", "conv=sparse", "status=none", *place], check=True)
    checked = subprocess.run(["e2fsck", "-p", copy], capture_output=True, text=True, check=False)
    if checked.returncode not in SOUND:
        yield f"e2fsck ends with {checked.returncode}: {checked.stdout}"
        return
    again = subprocess.run(["e2fsck", "-fn", copy], capture_output=True, text=True, check=False)
    if again.returncode:
        yield f"the data partition is not sound: {again.stdout}"
    tree = open_artefact(copy).tree
    assert tree is not None
    if tree.text("/lib/everest-reference-marker").strip() != MARK:
        yield "the marker on the data partition is gone"
    keys = [node.path for node in tree.under("/lib/everest/certs/client") if node.is_file]
    listed = "".join(f"{hashlib.sha256(tree.read(path)).hexdigest()}  /var{path}\n" for path in keys)
    if hashlib.sha256("".join(sorted(listed.splitlines(keepends=True))).encode()).hexdigest()[:16] != update.before["keys"]:
        yield f"the keys are others: {' '.join(keys)}"


def test_a_machine_that_is_killed_while_it_is_updated_comes_back_and_takes_a_later_update(update: Update, tmp_path: Path) -> None:
    charger = replace(update.charger, state=tmp_path / "machine")
    shutil.copytree(update.charger.state, charger.state)
    total = sum(1 for _ in ())
    del total, charger


def _kill_after(session: Session, written: int) -> None:
    """Kill the machine once it has written so many bytes to its disk."""

    def reached(limit: float) -> bool:
        time.sleep(limit)
        return bytes_written(session) >= written

    wait(session.emulator, reached, seconds=SECONDS, what=f"it had written {written} bytes")
    session.kill()


def bytes_written(session: Session) -> int:
    """Return how much the machine has written to its disk since power on."""
    stats = session.emulator.qmp.execute("query-blockstats")
    assert isinstance(stats, list)
    return next(int(each["stats"]["wr_bytes"]) for each in stats if each["device"] == "disk")
