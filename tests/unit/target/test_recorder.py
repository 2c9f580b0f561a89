"""The recorder of a machine's disk and flash, with QEMU's own programs at its other end."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from everest_secure.target.firmware import Firmware
from everest_secure.target.session import power_on
from support import machine as small
from support.images import gpt_disk, rewrite_gpt_entry
from support.measures import Writes, disk_writes
from support.powercut import BACKUP, Recording, SlotWatch, moments, slot_content
from support.recorder import Kind, recorder, records
from support.reference import require

SIZE = 1 << 20
BLOCK = 4096
LABELS = ("efi-a", "rootfs-a", "efi-b", "rootfs-b")


@dataclass(frozen=True)
class Recorded:
    place: Path
    disk: Path
    variables: Path
    log: Path

    def io(self, export: str, *commands: str) -> None:
        """Do what qemu-io does with an export: `write -P 0xaa 0 4096`, `flush`."""
        words = [word for command in commands for word in ("-c", command)]
        subprocess.run(
            ["qemu-io", "-t", "writeback", "-f", "raw", *words, f"nbd+unix:///{export}?socket={self.place}"],
            check=True,
            capture_output=True,
        )

    def kinds(self) -> list[tuple[Kind, int, bytes]]:
        return [(record.kind, record.offset, record.content[:1]) for record in records(self.log)]


@pytest.fixture
def files(tmp_path: Path) -> Recorded:
    require("qemu-io")
    recorded = Recorded(tmp_path / "s", tmp_path / "disk.raw", tmp_path / "variables.fd", tmp_path / "log")
    for file in (recorded.disk, recorded.variables):
        file.write_bytes(bytes(SIZE))
    return recorded


def test_writes_and_flushes_of_both_are_in_the_log_in_their_order(files: Recorded) -> None:
    with recorder(files.place, disk=files.disk, variables=files.variables, log=files.log):
        files.io("disk", "write -P 1 0 4096", "flush", "write -f -P 2 8192 4096")
        files.io("variables", "write -P 3 512 512")
    # QEMU flushes once more when it closes a disk.
    assert [entry for entry in files.kinds() if entry[0] is not Kind.FLUSH] == [
        (Kind.WRITE, 0, b"\1"),
        (Kind.LASTING_WRITE, 8192, b"\2"),
        (Kind.FLASH, 512, b"\3"),
    ]
    assert files.kinds()[1][0] is Kind.FLUSH
    assert files.disk.read_bytes()[8192] == 2
    assert files.variables.read_bytes()[512] == 3


def test_what_was_flushed_is_there_at_every_later_moment_and_what_was_not_may_be_lost(files: Recorded, tmp_path: Path) -> None:
    before = tmp_path / "before.raw"
    before.write_bytes(files.disk.read_bytes())
    blocks = range(1, 33)
    with recorder(files.place, disk=files.disk, variables=files.variables, log=files.log):
        files.io("disk", "write -P 0xff 0 4096", "flush", *(f"write -P {block} {block * BLOCK} {BLOCK}" for block in blocks))
    written = [number for number, record in enumerate(records(files.log), 1) if record.kind is Kind.WRITE]
    recording = Recording(before, files.variables, files.log)
    for moment in moments(recording, [written[-1]], work=tmp_path, seed="1"):
        content = moment.disk.read_bytes()
        assert content[0] == 0xFF
        lasted = [block for block in blocks if content[block * BLOCK] == block]
        assert 0 < len(lasted) < len(blocks)
        assert (moment.unflushed, moment.lost) == (len(blocks), len(blocks) - len(lasted))
        assert all(content[block * BLOCK] == 0 for block in set(blocks) - set(lasted))


@dataclass(frozen=True)
class Table:
    """A disk of a charger before and after its data partition was made, and what records the making."""

    files: Recorded
    before: Path
    after: bytes

    @classmethod
    def of(cls, files: Recorded, directory: Path) -> "Table":
        require("sfdisk")
        if not Firmware().variables.is_file():
            pytest.skip("ovmf is not installed")
        files.variables.write_bytes(Firmware().variables.read_bytes())
        before = gpt_disk(directory / "before.raw", dict.fromkeys(LABELS))
        files.disk.write_bytes(before.read_bytes())
        changed = directory / "changed.raw"
        changed.write_bytes(before.read_bytes())
        subprocess.run(["sfdisk", "--quiet", "--append", changed], input='size=1MiB, name="data"', text=True, check=True)
        return cls(files, before, changed.read_bytes())

    def put(self, offset: int, size: int, content: bytes | None = None) -> str:
        """Return what writes a piece of the changed disk, or something else, for `Recorded.io`."""
        piece = self.before.with_name(f"piece-{offset}")
        piece.write_bytes(self.after[offset : offset + size] if content is None else content)
        return f"write -s {piece} {offset} {size}"

    def faults(self, *commands: str) -> list[str]:
        """Record commands and return what SlotWatch has to say."""
        files, size = self.files, len(self.after)
        with recorder(files.place, disk=files.disk, variables=files.variables, log=files.log):
            files.io("disk", *commands)
        assert self.files.disk.stat().st_size == size
        recording = Recording(self.before, files.variables, files.log)
        return SlotWatch(recording, self.before.parent, {"a": [slot_content(self.before, "a")]}).watch().faults


def test_a_partition_table_may_be_written_backup_first_with_a_flush_after_each_part(files: Recorded, tmp_path: Path) -> None:
    table = Table.of(files, tmp_path)
    backup = table.put(len(table.after) - BACKUP, BACKUP)
    entries, header = table.put(2 * 512, 32 * 512), table.put(0, 2 * 512)
    assert table.faults(backup, "flush", entries, "flush", header, "flush") == []


def test_a_partition_table_of_which_both_copies_may_be_damaged_at_once_is_a_fault(files: Recorded, tmp_path: Path) -> None:
    table = Table.of(files, tmp_path)
    backup = table.put(len(table.after) - BACKUP, BACKUP)
    faults = table.faults(backup, table.put(2 * 512, 32 * 512), "flush")
    assert faults == ["record 2: writes to the partition table wait in the disk's cache, of which either may be lost"]


def test_a_partition_table_that_is_gone_is_a_fault(files: Recorded, tmp_path: Path) -> None:
    table = Table.of(files, tmp_path)
    nothing = [table.put(512, 4096, bytes(4096)), "flush", table.put(len(table.after) - 4096, 4096, bytes(4096)), "flush"]
    assert table.faults(*nothing) == [f"record 3: the partition {label} is not where it was" for label in LABELS]


def test_a_partition_of_a_slot_that_is_moved_is_a_fault(files: Recorded, tmp_path: Path) -> None:
    table = Table.of(files, tmp_path)
    moved = tmp_path / "moved.raw"
    moved.write_bytes(table.before.read_bytes())
    rewrite_gpt_entry(moved, number=2, first=4097)
    content = moved.read_bytes()
    faults = table.faults(table.put(0, 34 * 512, content[: 34 * 512]), "flush")
    assert "record 1: the partition rootfs-a is not where it was" in faults


def test_a_machine_runs_from_what_is_recorded(tmp_path: Path) -> None:
    require("qemu-system-x86_64", "swtpm")
    machine = small.machine(tmp_path, says="here")
    place, log = tmp_path / "s", tmp_path / "log"
    disk, variables = tmp_path / "used.raw", tmp_path / "used.fd"
    disk.write_bytes(machine.disk.read_bytes())
    variables.write_bytes(machine.variables.read_bytes())
    with (
        recorder(place, disk=disk, variables=variables, log=log),
        power_on(replace(machine, storage=place)) as session,
    ):
        session.wait_for("here", seconds=60)


def test_a_machine_that_has_written_nothing_to_its_disk_is_counted_so(tmp_path: Path) -> None:
    require("qemu-system-x86_64", "swtpm")
    with power_on(small.machine(tmp_path, says="here")) as session:
        session.wait_for("here", seconds=60)
        assert disk_writes(session) == Writes(0, 0)
