"""What is left of a charger whose power is cut: every moment of a recorded run, as its disk and its firmware would then be.

A write that no flush followed may or may not have reached the medium, each for itself, in any order. So a moment is not one disk but many;
which writes were lost is drawn by lot, with the seed of the moment.
"""

import json
import random
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from everest_secure.image.blob import from_file
from everest_secure.image.gpt import Partition, read_table
from support.firmware_variables import BootChoice, choice
from support.recorder import Kind, Record, records

DATA = "data"
"""Label of the partition that is made, and made larger, when a charger starts for the first time."""
SECTOR = 512
BACKUP = 33 * SECTOR
"""Bytes of the backup of the partition table: its entries and, last, its header."""
KEPT = 0.5
"""How likely a write that no flush followed has lasted."""


def partitions(disk: Path) -> dict[str, Partition]:
    """Return the partitions of a GPT disk by label."""
    table = read_table(from_file(disk))
    assert table is not None, f"{disk} has no partition table any more"
    return {partition.label: partition for partition in table.partitions}


def content(disk: Path, area: Partition, size: int | None = None) -> bytes:
    """Return what lies in a partition, or its first `size` bytes."""
    return _read(disk, area.offset, area.size if size is None else size)


def slot_content(disk: Path, slot: str) -> dict[str, bytes]:
    """Return what lies in the partitions of slot `a` or `b`, by label."""
    areas = partitions(disk)
    return {label: content(disk, areas[label]) for label in (f"efi-{slot}", f"rootfs-{slot}")}


def extract(disk: Path, area: Partition, output: Path) -> Path:
    """Write a partition's content to a file, with holes where it is zero."""
    place = [f"skip={area.offset}", f"count={area.size}", "iflag=skip_bytes,count_bytes"]
    subprocess.run(["dd", f"if={disk}", f"of={output}", "bs=1M", "conv=sparse", "status=none", *place], check=True)
    return output


@dataclass(frozen=True)
class Recording:
    """A run of a machine from a known state."""

    disk: Path
    """The disk before it."""
    variables: Path
    """The firmware's variables before it."""
    log: Path

    def moments(self) -> list[int]:
        """Return the moments at which the disk is another one than before: behind how many records, of a write or a flush of the disk."""
        return [number for number, record in enumerate(records(self.log), 1) if record.kind is not Kind.FLASH]

    def written(self) -> dict[str, int]:
        """Return the bytes written to each partition by its label, to `variables` the firmware's flash, and to `table` whatever else there is."""
        areas = partitions(self.disk).values()
        sums: dict[str, int] = {}
        for record in records(self.log):
            within = [area.label for area in areas if _overlap(record, area.offset, area.size)]
            place = "variables" if record.kind is Kind.FLASH else within[0] if within else "table"
            sums[place] = sums.get(place, 0) + len(record.content)
        return {place: size for place, size in sums.items() if size}


@dataclass(frozen=True)
class Moment:
    """The machine without power, behind the first `number` records."""

    number: int
    disk: Path
    variables: Path
    unflushed: int
    """How many writes no flush had followed."""
    lost: int
    """How many of those did not last."""

    def choice(self) -> BootChoice:
        return choice(self.variables)


@dataclass
class _Replay:
    """A disk to which records are applied; `waiting` are those writes that no flush has followed yet."""

    disk: Path
    variables: Path
    waiting: list[Record] = field(default_factory=list)

    @classmethod
    def of(cls, recording: Recording, work: Path) -> "_Replay":
        """Return a replay at its beginning, with files of its own below `work`."""
        replay = cls(work / "replayed.raw", work / "replayed.fd")
        subprocess.run(["cp", "--sparse=always", recording.disk, replay.disk], check=True)
        subprocess.run(["cp", recording.variables, replay.variables], check=True)
        return replay

    def apply(self, record: Record) -> None:
        if record.kind is Kind.WRITE:
            self.waiting.append(record)
        elif record.kind is Kind.FLUSH:
            write(self.disk, self.waiting)
            self.waiting.clear()
        elif record.kind is Kind.LASTING_WRITE:
            # Older ones to the same place must not come after it.
            self.waiting.append(record)
            write(self.disk, [each for each in self.waiting if _overlap(each, record.offset, len(record.content))])
            self.waiting = [each for each in self.waiting if not _overlap(each, record.offset, len(record.content))]
        else:
            write(self.variables, [record])


def write(file: Path, changes: Sequence[Record]) -> None:
    """Write records to a file in their order."""
    with file.open("r+b") as output:
        for record in changes:
            output.seek(record.offset)
            output.write(record.content)


def moments(recording: Recording, numbers: Iterable[int], *, work: Path, seed: str) -> Iterator[Moment]:
    """Yield the machine at each of the moments, in their order; its files change when the next one is asked for."""
    replay = _Replay.of(recording, work)
    every = records(recording.log)
    done = 0
    for number in sorted(numbers):
        for record in islice(every, number - done):
            replay.apply(record)
        done = number
        lot = random.Random(f"{seed} {number}")
        kept = [record for record in replay.waiting if lot.random() < KEPT]
        before = [Record(Kind.WRITE, record.offset, _read(replay.disk, record.offset, len(record.content))) for record in kept]
        write(replay.disk, kept)
        yield Moment(number, replay.disk, replay.variables, unflushed=len(replay.waiting), lost=len(replay.waiting) - len(kept))
        write(replay.disk, before[::-1])


def _read(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


@dataclass
class SlotWatch:
    """Follows a recording from its first record to its last, and notes where the slot that the firmware would start was not whole."""

    recording: Recording
    work: Path
    whole: Mapping[str, Sequence[Mapping[str, bytes]]] = field(repr=False)
    """By slot (`a`), each of the releases that come to be in it: what its partitions hold, by label, when they are whole."""
    faults: list[str] = field(default_factory=list)
    switches: list[tuple[int, str]] = field(default_factory=list)
    """At which record the firmware's first choice became which slot."""

    def watch(self, *, flushes: bool = True) -> "SlotWatch":
        """Go through all records, without `flushes` as if none of them was a flush; returns itself."""
        areas = partitions(self.recording.disk)
        by_uuid = {area.uuid: area.label.removeprefix("efi-") for area in areas.values() if area.label.startswith("efi-")}
        replay = _Replay.of(self.recording, self.work)
        slot = self._chosen(replay.variables, by_uuid)
        self.switches.append((0, slot))
        self._require_whole(0, slot, replay, areas)
        for number, record in enumerate(records(self.recording.log), 1):
            if record.kind is Kind.FLUSH and not flushes:
                continue
            replay.apply(record)
            if record.kind is Kind.FLASH:
                chosen = self._chosen(replay.variables, by_uuid)
                if chosen != slot:
                    slot = chosen
                    self.switches.append((number, slot))
                    self._require_whole(number, slot, replay, areas)
            elif record.kind in (Kind.WRITE, Kind.LASTING_WRITE):
                touched = [label for label in self.whole[slot][0] if _overlap(record, areas[label].offset, areas[label].size)]
                if touched:
                    self.faults.append(f"record {number}: slot {slot} would be started, and {' '.join(touched)} is written")
                elif _on_table(record, replay, areas):
                    self.faults += (f"record {number}: {fault}" for fault in _table_faults(replay, areas))
        return self

    def _chosen(self, variables: Path, by_uuid: dict[uuid.UUID, str]) -> str:
        found = [by_uuid[partition] for partition in choice(variables).partitions if partition in by_uuid]
        return found[0] if found else "a"

    def _require_whole(self, number: int, slot: str, replay: _Replay, areas: dict[str, Partition]) -> None:
        not_whole = [
            [label for label, content in release.items() if _read(replay.disk, areas[label].offset, len(content)) != content]
            for release in self.whole[slot]
        ]
        for label in min(not_whole, key=len):
            self.faults.append(f"record {number}: slot {slot} is to be started and {label} is not all on the medium")
        for label in self.whole[slot][0]:
            if any(_overlap(record, areas[label].offset, areas[label].size) for record in replay.waiting):
                self.faults.append(f"record {number}: slot {slot} is to be started and writes to {label} wait in the disk's cache")


def _on_table(record: Record, replay: _Replay, areas: Mapping[str, Partition]) -> bool:
    """Whether a record is of the partition table, in front of all partitions, or of its backup, in the last sectors."""
    first, backup = min(area.offset for area in areas.values()), replay.disk.stat().st_size - BACKUP
    return record.offset < first or record.offset + len(record.content) > backup


def _table_faults(replay: _Replay, areas: Mapping[str, Partition]) -> Iterator[str]:
    """Yield what is wrong when the power fails while the partition table waits in the disk's cache, be the last write to it lost or not.

    Firmware, U-Boot and a kernel with `gpt` on its command line read the backup when the first copy is damaged, as sfdisk does.
    """
    waiting = [record for record in replay.waiting if _on_table(record, replay, areas)]
    if len(waiting) > 1:
        yield "writes to the partition table wait in the disk's cache, of which either may be lost"
    before = [Record(Kind.WRITE, record.offset, _read(replay.disk, record.offset, len(record.content))) for record in waiting]
    write(replay.disk, waiting)
    found = subprocess.run(["sfdisk", "--json", replay.disk], capture_output=True, text=True, check=False)
    write(replay.disk, before[::-1])
    if found.returncode:
        yield f"the disk has no partition table: {found.stderr}"
        return
    table = json.loads(found.stdout)["partitiontable"]
    places = {entry.get("name"): (entry["start"] * SECTOR, entry["size"] * SECTOR) for entry in table.get("partitions", ())}
    for label, area in areas.items():
        if label != DATA and places.get(label) != (area.offset, area.size):
            yield f"the partition {label} is not where it was"


def _overlap(record: Record, offset: int, size: int) -> bool:
    return record.offset < offset + size and offset < record.offset + len(record.content)
