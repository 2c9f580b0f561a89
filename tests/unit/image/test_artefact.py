"""Artefacts within artefacts."""

import shutil
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image import blob
from everest_secure.image.artefact import EMPTY_HEAD, Artefact, open_artefact, open_part
from everest_secure.image.formats import load
from support.images import gpt_disk


def test_a_part_is_empty_only_when_its_whole_head_is_zero() -> None:
    load()
    assert open_part(blob.from_bytes(bytes(4 * EMPTY_HEAD), "part"), 1).kind == "empty"
    assert open_part(blob.from_bytes(bytes(EMPTY_HEAD - 1) + b"x", "part"), 1).kind == "unknown"


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    inner = gpt_disk(tmp_path / "disk-0.raw", {"none": None}, spare=512)
    for number in range(1, 8):
        inner = gpt_disk(tmp_path / f"disk-{number}.raw", {"inner": inner}, spare=0)
    with pytest.raises(ArtefactError, match="nested more than"):
        open_artefact(inner)


def test_the_name_of_a_file_does_not_decide_its_format(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk.raw", {"none": None})
    shutil.copyfile(disk, tmp_path / "notes.txt")
    assert open_artefact(tmp_path / "notes.txt").kind == "gpt"


def test_an_unreasonable_read_is_refused_before_memory_is_taken() -> None:
    huge = blob.Blob("huge", 1 << 60, lambda _, length: bytes(length))
    with pytest.raises(ArtefactError, match="bytes at once"):
        huge.read(0, 1 << 50)


@pytest.mark.parametrize(("kind", "same"), [("squashfs", True), ("cpio", False), ("tar", False)])
def test_what_follows_belongs_to_an_archive_and_not_to_a_file_system(kind: str, same: bool) -> None:
    one, other = (Artefact("a", kind, blob=blob.from_bytes(bytes(range(256)) * 64 + rest, "a")) for rest in (b"", b"second"))
    assert (one.same_content(other), other.same_content(one)) == (same, same)
    assert one.same_content(one)
