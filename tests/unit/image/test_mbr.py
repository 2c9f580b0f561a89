"""MBR disks made by sfdisk."""

import contextlib
import json
import struct
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import Blob, from_bytes
from everest_secure.image.mbr import MbrTable, read_mbr
from support.images import tool

LAYOUT = """label: dos
label-id: 0x12345678
start=2048, size=8192, type=c, bootable
start=10240, size=8192, type=83
start=18432, size=22528, type=f
start=20480, size=4096, type=83
start=26624, size=4096, type=82
start=32768, size=2048, type=83
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mbr")
    (place / "files").mkdir()
    (place / "files/hello").write_text("hello\n")
    tool("mksquashfs", place / "files", place / "root.sqfs", "-no-progress")
    tool("mkfs.vfat", "-C", place / "boot.vfat", "4096")
    with (place / "disk.wic").open("wb") as file:
        file.truncate(48 * 1024 * 1024)
    tool("sfdisk", "--quiet", place / "disk.wic", stdin=LAYOUT.encode())
    with (place / "disk.wic").open("r+b") as file:
        for sector, name in ((2048, "boot.vfat"), (10240, "root.sqfs"), (20480, "root.sqfs")):
            file.seek(sector * 512)
            file.write((place / name).read_bytes())
    return place / "disk.wic"


def table_of(path: Path) -> MbrTable:
    facts = open_artefact(path).facts
    assert isinstance(facts, MbrTable)
    return facts


def changed(disk: Path, offset: int, value: bytes, target: Path) -> Path:
    raw = bytearray(disk.read_bytes())
    raw[offset : offset + len(value)] = value
    target.write_bytes(raw)
    return target


def test_partitions_are_children_by_number_and_opened_by_content(disk: Path) -> None:
    artefact = open_artefact(disk)
    assert artefact.kind == "mbr"
    assert [(child.name, child.kind) for child in artefact.children] == [
        ("disk.wic:partition-1", "vfat"),
        ("disk.wic:partition-2", "squashfs"),
        ("disk.wic:partition-5", "squashfs"),
        ("disk.wic:partition-6", "empty"),
        ("disk.wic:partition-7", "empty"),
    ]
    tree = artefact.children[2].tree
    assert tree is not None
    assert tree.text("/hello") == "hello\n"


def test_the_table_says_what_sfdisk_says(disk: Path) -> None:
    found = table_of(disk)
    expected = json.loads(tool("sfdisk", "-J", disk))["partitiontable"]
    assert f"0x{found.disk:08x}" == expected["id"]
    listed = [entry for entry in expected["partitions"] if entry["type"] != "f"]
    assert [(f"{each.type:x}", each.active, each.offset // 512, each.size // 512) for each in found.partitions] == [
        (entry["type"], entry.get("bootable", False), entry["start"], entry["size"]) for entry in listed
    ]
    assert [each.number for each in found.partitions] == [1, 2, 5, 6, 7]


def test_a_file_system_alone_is_no_disk(disk: Path) -> None:
    assert open_artefact(disk.parent / "boot.vfat").kind == "vfat"
    assert read_mbr(from_bytes(bytes(510) + b"\x55\xaa" + bytes(4096), "zeros")) is None


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (446 + 16 + 8, struct.pack("<I", 9000), "partition 2 overlaps another"),
        (446 + 16 + 12, struct.pack("<I", 1 << 31), "partition 2 lies outside the disk"),
        (446 + 32 + 12, struct.pack("<I", 1 << 31), "extended partition lies outside the disk"),
        (446 + 16 + 4, b"\x05", "has 2 extended partitions"),
        (18432 * 512 + 510, b"xx", "boot record of its logical partition 5 is damaged"),
        (18432 * 512 + 446 + 12, struct.pack("<I", 30000), "partition 5 lies outside the disk"),
        (18432 * 512 + 446 + 16 + 8, struct.pack("<I", 0), "does not go on at 5"),
        (18432 * 512 + 446 + 16 + 8, struct.pack("<I", 1 << 30), "does not go on at 5"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(disk: Path, tmp_path: Path, offset: int, value: bytes, message: str) -> None:
    with pytest.raises(ArtefactError, match=message):
        open_artefact(changed(disk, offset, value, tmp_path / "disk.wic"))


def test_a_truncated_disk_is_refused(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "disk.wic").write_bytes(disk.read_bytes()[: 18000 * 512])
    with pytest.raises(ArtefactError, match="lies outside the disk"):
        open_artefact(tmp_path / "disk.wic")


def test_flipped_bits_never_break_the_reader(disk: Path) -> None:
    raw = disk.read_bytes()
    for at in [*range(440, 512), *range(18432 * 512 + 440, 18432 * 512 + 512)]:
        for bit in range(8):

            def fetch(offset: int, length: int, at: int = at, bit: int = bit) -> bytes:
                found = bytearray(raw[offset : offset + length])
                if offset <= at < offset + length:
                    found[at - offset] ^= 1 << bit
                return bytes(found)

            with contextlib.suppress(ArtefactError):
                read_mbr(Blob("changed", len(raw), fetch))
