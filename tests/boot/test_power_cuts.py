"""A charger whose power fails while it is updated: it starts a verified system, keeps its keys and its state, and takes a later update (RAUC-06, FS-03).

One update is recorded from its installation over the first start of the new slot to its mark: every write to the disk and to the firmware's flash, and
every flush (support.recorder). At each moment of it, thousands, the slot that the firmware would start is looked at; at moments drawn by lot all of
the disk, with half of what its cache held lost; some of those are started. Besides, the machine itself is killed. docs/updates.md says more.
"""

import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.uki import Uki
from everest_secure.run import Argument
from everest_secure.target.emulator import started, wait
from everest_secure.target.hardware import PROCESSOR, Channels
from everest_secure.target.machine import Accelerator, Machine
from everest_secure.target.session import Session, power_on
from support.measures import disk_writes
from support.powercut import SECTOR, Moment, Recording, SlotWatch, content, extract, moments, partitions, slot_content
from support.recorded import UPDATE, record
from support.settled import MARK, Settled
from support.steps import SAYS, SECONDS, Console, copied, demonstration, run_to_the_end, undisturbed, with_disk
from support.updates import whole_slot

from .conftest import Witness

pytestmark = pytest.mark.boot

CUTS = int(os.environ.get("EVEREST_SECURE_POWER_CUTS", "25"))
"""Moments of the recorded update that are looked at."""
BOOTED = int(os.environ.get("EVEREST_SECURE_POWER_CUTS_BOOTED", "1"))
"""Those of them that are started, too."""
KILLED = int(os.environ.get("EVEREST_SECURE_POWER_CUTS_KILLED", "1"))
"""How often the machine itself is killed."""
SEED = os.environ.get("EVEREST_SECURE_POWER_CUTS_SEED") or str(random.randrange(10**6))
SEEDED = f"EVEREST_SECURE_POWER_CUTS_SEED={SEED} repeats this"
PHASES = {("install",): 700, ("install", "restart"): 150, ("install", "decide"): 40}
"""Steps of an update after which power fails, and within how many writes to the disk."""
LASTING = ("marker", "machine", "keys", "usable")
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Update:
    """A recorded update of the settled charger."""

    recording: Recording
    console: Console
    whole: dict[str, dict[str, bytes]] = field(repr=False)
    """Content of each slot's partitions, when they are whole."""

    def watched(self, work: Path, *, flushes: bool = True) -> SlotWatch:
        """Go through the recording (`SlotWatch.watch`)."""
        return SlotWatch(self.recording, work, {slot: [content] for slot, content in self.whole.items()}).watch(flushes=flushes)


@pytest.fixture(scope="module")
def update(settled: Settled, tmp_path_factory: pytest.TempPathFactory) -> Update:
    _, bundle = demonstration()
    recording, console = record(settled, tmp_path_factory.mktemp("update"), UPDATE + "off", bundle)
    return Update(recording, console, {"a": slot_content(settled.disk, "a"), "b": whole_slot(bundle, "b")})


@pytest.fixture(scope="module")
def numbers(update: Update) -> list[int]:
    """Moments drawn by lot."""
    return random.Random(SEED).sample(update.recording.moments(), CUTS)


@pytest.mark.proves("RAUC-03", "RAUC-06", "FS-03", "RAUC-07")
def test_an_update_is_started_once_found_good_and_stays_and_keeps_keys_and_state(settled: Settled, update: Update, proof: Witness) -> None:
    proof.excerpt(line for line in update.console.lines if "%" not in line)
    assert update.console.starts() == ["A", "B"]
    (after,) = update.console.states()
    assert after == {**settled.state, "slot": "B", "floor": after["floor"]}
    assert after["floor"] != "none"
    assert "everest-update-gate: slot B is good" in update.console.said("gate")
    assert update.console.orders() == ["BA"]


@pytest.mark.proves("RAUC-06")
def test_at_every_moment_of_an_update_the_firmware_would_start_a_slot_that_is_all_on_the_medium(update: Update, tmp_path: Path) -> None:
    watch = update.watched(tmp_path)
    assert watch.faults == []
    # BootNext is set, used up by the firmware, and the order changed by mark-good.
    assert [slot for _, slot in watch.switches] == ["a", "b", "a", "b"]
    # The same writes without a flush among them would be a charger that may start half a slot.
    assert update.watched(tmp_path, flushes=False).faults


@pytest.mark.proves("RAUC-06", "FS-03")
def test_at_moments_drawn_by_lot_the_disk_is_whole_and_keys_and_state_are_on_it(
    settled: Settled, update: Update, numbers: list[int], proof: Witness, tmp_path: Path
) -> None:
    faults: list[str] = []
    for moment in moments(update.recording, numbers, work=tmp_path, seed=SEED):
        found = [*_slot_faults(update, moment), *_data_faults(settled, moment, tmp_path / "data.ext4")]
        proof.excerpt([f"moment {moment.number}: {moment.unflushed} writes not flushed, {moment.lost} lost; {found or 'whole'}"])
        faults += [f"moment {moment.number}: {fault}" for fault in found]
    assert faults == [], SEEDED


@pytest.mark.proves("RAUC-06", "FS-03", "TPM-04")
def test_a_charger_started_at_such_a_moment_runs_a_verified_system_with_its_keys_and_state(
    settled: Settled, update: Update, numbers: list[int], proof: Witness, tmp_path: Path
) -> None:
    for moment in moments(update.recording, numbers[:BOOTED], work=tmp_path, seed=SEED):
        charger = _charger_at(settled, moment, tmp_path / f"moment-{moment.number}")
        console = run_to_the_end(with_disk(charger, tmp_path / f"{moment.number}.ext4", "decide\nstate\noff"))
        proof.excerpt([f"moment {moment.number}", *console.said("steps"), *console.said("state")])
        _require_lasting(settled, console, f"{SEEDED}, moment {moment.number}")
        shutil.rmtree(charger.state)


@pytest.mark.proves("FS-03")
def test_a_kernel_whose_firmware_repairs_nothing_takes_the_backup_of_a_partition_table(proof: Witness, tmp_path: Path) -> None:
    """The power may fail between the two copies when the first start makes the data partition. UEFI firmware repairs the first one, U-Boot does not."""
    disk, _ = demonstration()
    damaged = tmp_path / "damaged.raw"
    subprocess.run(["cp", "--sparse=always", disk, damaged], check=True)
    with damaged.open("r+b") as file:
        file.seek(SECTOR)
        file.write(bytes(SECTOR))
    uki = next(part.facts for part in open_artefact(disk).walk() if isinstance(part.facts, Uki))
    for name, blob in (("kernel", uki.linux), ("initrd", uki.initrds[0])):
        (tmp_path / name).write_bytes(blob.read(0, blob.size))
    line = uki.cmdline.removesuffix(" --").replace(" quiet", "") + " console=ttyS0 --"

    def command(channels: Channels) -> list[Argument]:
        return [
            *(
                "qemu-system-x86_64",
                "-S",
                "-accel",
                "tcg",
                "-cpu",
                PROCESSOR[Accelerator.TCG],
                "-m",
                "1024",
                "-nodefaults",
                "-display",
                "none",
            ),
            *("-kernel", tmp_path / "kernel", "-initrd", tmp_path / "initrd", "-append", line),
            *("-drive", f"format=raw,if=virtio,snapshot=on,file={damaged}"),
            *("-chardev", f"socket,id=console,fd={channels.console}", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=control,fd={channels.control}", "-mon", "chardev=control,mode=control"),
        ]

    with started(command, tmp_path / "console.log") as emulator:

        def found(limit: float) -> bool:
            time.sleep(min(limit, POLL_SECONDS))
            return any("Found device" in line.text and "rootfs-a" in line.text for line in emulator.console.lines())

        wait(emulator, found, seconds=SECONDS, what="its kernel found the slots")
        said = [line.text for line in emulator.console.lines() if "GPT" in line.text or "Found device" in line.text]
    proof.excerpt(said)
    assert any(line.endswith("Primary GPT is invalid, using alternate GPT.") for line in said)


@pytest.mark.proves("RAUC-06", "FS-03", "TPM-04")
def test_a_charger_whose_power_is_cut_again_and_again_while_it_is_updated_comes_back_and_takes_an_update(
    settled: Settled, proof: Witness, tmp_path: Path
) -> None:
    charger = copied(settled.charger, tmp_path / "machine")
    _, bundle = demonstration()
    lot = random.Random(f"{SEED} killed")
    killed = 0
    for number in count():
        # The number makes the steps new ones, which begin at the first.
        steps = f"# {number}\ndecide\nstate\n{UPDATE}off"
        charger = with_disk(charger, tmp_path / "update.ext4", steps, {"update.raucb": bundle})
        if killed == KILLED:
            break
        phase, most = lot.choice(list(PHASES.items()))
        writes = lot.randrange(most)
        with power_on(charger) as session:
            for step in phase:
                session.wait_for(f"{SAYS}steps: {step}", seconds=SECONDS)
            cut = _kill_after(session, writes)
            undisturbed(session)
            console = Console.of(session.lines())
        if phase[-1] == "decide":
            # The update before this cut was started, whatever the cuts before it have left.
            old, new = console.starts()
            assert old != new, f"{SEEDED}, kill {number}"
        killed += cut
        what = "killed" if cut else "switched itself off before it was to be killed"
        proof.excerpt([f"up {_slots(console)}; {what} {writes} writes after step '{phase[-1]}'"])
        _require_lasting(settled, console, f"{SEEDED}, kill {number}")
    console = run_to_the_end(charger)
    proof.excerpt(["started for the last time", *console.said("steps"), *console.said("state")])
    _require_lasting(settled, console, SEEDED)
    before, after = console.states()
    assert after["slot"] != before["slot"], SEEDED
    assert f"everest-update-gate: slot {after['slot']} is good" in console.by_start()[-1].said("gate"), SEEDED


def _slots(console: Console) -> str:
    return " then ".join(f"in slot {state['slot']}" for state in console.states())


def _require_lasting(settled: Settled, console: Console, where: str) -> None:
    """Assert that the charger came up and has what it had before all updates."""
    states = console.states()
    assert states, where
    for state in states:
        assert {name: state[name] for name in LASTING} == {name: settled.state[name] for name in LASTING}, where


def _kill_after(session: Session, writes: int) -> bool:
    """Kill the machine once it has written so often to its disk; returns False when it is off before, as after an adaptive update of few writes."""
    start = disk_writes(session).operations

    def reached(limit: float) -> bool:
        time.sleep(min(limit, POLL_SECONDS))
        try:
            return limit == 0 or disk_writes(session).operations >= start + writes
        except ToolError:
            session.emulator.expect_end()
            return False

    wait(session.emulator, reached, seconds=SECONDS, what=f"it had written {writes} times")
    on = not session.emulator.ended()
    session.kill()
    return on


def _charger_at(settled: Settled, moment: Moment, state: Path) -> Machine:
    """Return the charger as it is when power comes back after the moment; its TPM is the one that the charger has."""
    state.mkdir()
    shutil.copytree(settled.charger.tpm, state / "tpm")
    shutil.copyfile(moment.variables, state / "variables.fd")
    return replace(settled.charger, disk=moment.disk, state=state, space=0)


def _slot_faults(update: Update, moment: Moment) -> Iterator[str]:
    """Yield what is not as it has to be of partitions and slots, read from the disk and the flash without the machine."""
    areas = partitions(moment.disk)
    if areas != partitions(update.recording.disk):
        yield "the partition table is another one"
    labels = {area.uuid: label for label, area in areas.items()}
    for slot in [labels[partition].removeprefix("efi-") for partition in moment.choice().partitions] or ["a"]:
        for label, whole in update.whole[slot].items():
            if content(moment.disk, areas[label], len(whole)) != whole:
                yield f"the firmware would start slot {slot}, and {label} is not whole"


def _data_faults(settled: Settled, moment: Moment, copy: Path) -> Iterator[str]:
    """Yield what is wrong with the data partition after its journal was replayed, as at the next start."""
    copy.unlink(missing_ok=True)
    extract(moment.disk, partitions(moment.disk)["data"], copy)
    for options, sound in (("-p", (0, 1)), ("-fn", (0,))):
        checked = subprocess.run(["e2fsck", options, copy], capture_output=True, text=True, check=False)
        if checked.returncode not in sound:
            yield f"e2fsck {options} ends with {checked.returncode}: {checked.stdout}"
            return
    tree = open_artefact(copy).tree
    assert tree is not None
    if tree.text("/lib/everest-reference-marker").strip() != MARK:
        yield "the marker on the data partition is gone"
    lines = [
        f"{hashlib.sha256(tree.read(node.path)).hexdigest()}  /var{node.path}\n"
        for node in tree.under("/lib/everest/certs/client")
        if node.is_file
    ]
    if hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:16] != settled.state["keys"]:
        yield "the keys are others"
