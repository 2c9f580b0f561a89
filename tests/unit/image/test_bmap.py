"""Block maps made by bmaptool."""

import tracemalloc
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.bmap import BlockMap, read_block_map
from support.images import tool
from support.reference import require


def test_a_map_of_bmaptool_says_where_data_is(tmp_path: Path) -> None:
    require("bmaptool")
    image = tmp_path / "disk.wic"
    with image.open("wb") as file:
        for at in (0, 8192, 1024 * 1024):
            file.seek(at)
            file.write(b"data")
        file.truncate(2 * 1024 * 1024 + 512)
    tool("bmaptool", "create", "-o", tmp_path / "disk.wic.bmap", image)
    found = read_block_map(tmp_path / "disk.wic.bmap")
    assert (found.name, found.image_size) == ("disk.wic.bmap", 2 * 1024 * 1024 + 512)
    assert found.ranges == ((0, 4096), (8192, 12288), (1024 * 1024, 1024 * 1024 + 4096))


@pytest.mark.parametrize(
    ("start", "end", "gaps"),
    [
        (0, 100, [(0, 10), (20, 50), (60, 100)]),
        (10, 20, []),
        (15, 55, [(20, 50)]),
        (20, 50, [(20, 50)]),
        (60, 61, [(60, 61)]),
        (0, 5, [(0, 5)]),
        (55, 60, []),
    ],
)
def test_gaps_are_what_no_range_covers(start: int, end: int, gaps: list[tuple[int, int]]) -> None:
    assert list(BlockMap("map", 100, ((10, 20), (50, 60))).gaps(start, end)) == gaps


def written(path: Path, *ranges: str, size: str = "40960", block: str = "4096") -> Path:
    inside = "".join(f"<Range>{each}</Range>" for each in ranges)
    path.write_text(f"<bmap><ImageSize>{size}</ImageSize><BlockSize>{block}</BlockSize><BlockMap>{inside}</BlockMap></bmap>")
    return path


def test_ranges_that_touch_or_overlap_are_one(tmp_path: Path) -> None:
    assert read_block_map(written(tmp_path / "map", " 4-5 ", "0", "1-2", "2-3")).ranges == ((0, 24576),)


@pytest.mark.parametrize(
    "keys",
    [{"size": "x"}, {"size": "-1"}, {"block": "0"}, {"block": "99999999"}],
)
def test_a_map_that_cannot_be_right_is_refused(tmp_path: Path, keys: dict[str, str]) -> None:
    with pytest.raises(ArtefactError, match="is no block map"):
        read_block_map(written(tmp_path / "map", "0-1", **keys))


@pytest.mark.parametrize("text", ["", "no xml", "<bmap>", "<bmap><Range>1-x</Range></bmap>", '<!DOCTYPE b [<!ENTITY a "b">]><bmap/>'])
def test_what_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "map").write_text(text)
    with pytest.raises(ArtefactError, match="is no block map"):
        read_block_map(tmp_path / "map")


NUMBERS = "<ImageSize>1</ImageSize><BlockSize>1</BlockSize>"
HOSTILE = {
    "entities in two bytes a letter": f'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "1">]><bmap>{NUMBERS}<c>&b;</c></bmap>'.encode("utf-16"),
    "an encoding that nobody knows": f'<?xml version="1.0" encoding="nobody"?><bmap>{NUMBERS}</bmap>'.encode(),
    "an encoding of several bytes": f'<?xml version="1.0" encoding="gb18030"?><bmap>{NUMBERS}</bmap>'.encode(),
    "a long number": b"<bmap><ImageSize>" + b"1" * 100_000 + b"</ImageSize></bmap>",
    "deep": b"<bmap>" * 100_000,
    "too long": b"<bmap>" + b" " * (9 << 20) + b"</bmap>",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_map_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.bmap").write_bytes(HOSTILE[name])
    with pytest.raises(ArtefactError, match="no block map"):
        read_block_map(tmp_path / "x.bmap")


def test_elements_that_nobody_reads_take_no_memory(tmp_path: Path) -> None:
    """A tree of them takes a hundred bytes for each byte."""
    (tmp_path / "x.bmap").write_text(f"<bmap>{NUMBERS}{'<x/>' * 200_000}</bmap>")
    tracemalloc.start()
    try:
        read_block_map(tmp_path / "x.bmap")
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
