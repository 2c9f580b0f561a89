"""GPT disks made by sgdisk and sfdisk."""

import json
import struct
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.gpt import PartitionTable
from support.images import gpt_disk, rewrite_gpt_entry, tool, with_large_sectors


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/hello").write_text("hello\n")
    tool("mksquashfs", tmp_path / "files", tmp_path / "root.sqfs", "-no-progress")
    (tmp_path / "junk").write_bytes(b"\1" * 5000)
    return gpt_disk(tmp_path / "disk.raw", {"rootfs-a": tmp_path / "root.sqfs", "rootfs-b": None, "vendor": tmp_path / "junk"})


def damage(disk: Path, offset: int) -> None:
    with disk.open("r+b") as file:
        file.seek(offset, 0 if offset >= 0 else 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 0xFF]))


def test_partitions_are_children_named_by_label_and_opened_by_content(disk: Path) -> None:
    artefact = open_artefact(disk)
    assert artefact.kind == "gpt"
    assert [(child.name, child.kind) for child in artefact.children] == [
        ("disk.raw:rootfs-a", "squashfs"),
        ("disk.raw:rootfs-b", "empty"),
        ("disk.raw:vendor", "unknown"),
    ]
    tree = artefact.children[0].tree
    assert tree is not None
    assert tree.text("/hello") == "hello\n"
    assert tree.name == "disk.raw:rootfs-a"


def test_the_table_says_what_sfdisk_says(disk: Path) -> None:
    facts = open_artefact(disk).facts
    assert isinstance(facts, PartitionTable)
    expected = json.loads(tool("sfdisk", "-J", disk))["partitiontable"]
    assert facts.sector_size == 512
    assert str(facts.disk).upper() == expected["id"]
    assert [(p.label, str(p.uuid).upper(), str(p.type).upper(), p.offset // 512, p.size // 512) for p in facts.partitions] == [
        (p["name"], p["uuid"], p["type"], p["start"], p["size"]) for p in expected["partitions"]
    ]


def test_a_disk_with_sectors_of_4096_bytes_is_read(disk: Path, tmp_path: Path) -> None:
    small = open_artefact(disk).facts
    assert isinstance(small, PartitionTable)
    with_large_sectors(disk, tmp_path / "large.raw")
    large = open_artefact(tmp_path / "large.raw").facts
    assert isinstance(large, PartitionTable)
    assert large.sector_size == 4096
    assert [(p.label, p.uuid, p.offset, p.size) for p in large.partitions] == [
        (p.label, p.uuid, p.offset * 8, p.size * 8) for p in small.partitions
    ]


def test_partitions_of_the_same_label_have_different_names(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    tool("sfdisk", disk, stdin=b'label: gpt\nsize=2048, name="x"\nsize=2048, name="x"\nsize=2048\n')
    assert [child.name for child in open_artefact(disk).children] == ["disk.raw:x", "disk.raw:x#2", "disk.raw:partition-3"]


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (512, "no GPT behind it"),
        (512 + 40, "primary copy of its GPT is damaged"),
        (1024 + 60, "primary copy of its GPT is damaged"),
        (-512, "backup copy of its GPT is damaged"),
        (-512 - 128 * 128, "backup copy of its GPT is damaged"),
        (510, "without a protective MBR"),
    ],
)
def test_a_damaged_table_is_refused_and_says_which_copy(disk: Path, offset: int, message: str) -> None:
    damage(disk, offset)
    with pytest.raises(ArtefactError, match=message):
        open_artefact(disk)


def test_a_truncated_disk_is_refused(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.truncate(disk.stat().st_size - 512)
    with pytest.raises(ArtefactError, match="is truncated"):
        open_artefact(disk)


def test_overlapping_partitions_are_refused(disk: Path) -> None:
    facts = open_artefact(disk).facts
    assert isinstance(facts, PartitionTable)
    rewrite_gpt_entry(disk, number=2, first=facts.partitions[0].offset // 512)
    with pytest.raises(ArtefactError, match="overlaps another"):
        open_artefact(disk)


def test_a_hybrid_mbr_with_partitions_of_its_own_is_refused(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(446 + 16)
        file.write(bytes([0x80, 0, 2, 0, 0x0C, 0, 3, 0]) + (34).to_bytes(4, "little") + (64).to_bytes(4, "little"))
    with pytest.raises(ArtefactError, match="hybrid MBR"):
        open_artefact(disk)


def test_a_hybrid_mbr_that_shows_a_partition_of_the_gpt_is_what_some_firmware_wants(disk: Path) -> None:
    facts = open_artefact(disk).facts
    assert isinstance(facts, PartitionTable)
    first = facts.partitions[0]
    with disk.open("r+b") as file:
        file.seek(446 + 16)
        file.write(struct.pack("<B3xB3xII", 0x80, 0x0C, first.offset // 512, first.size // 512))
    assert open_artefact(disk).facts == facts
