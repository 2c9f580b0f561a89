"""Block maps of bmap-tools, which say which blocks of a disk are to be written (bmap-tools, `BmapCreate.py`, format versions 1 and 2)."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from everest_secure.errors import ArtefactError

_MAX_SIZE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BlockMap:
    """What a block map says."""

    name: str
    image_size: int
    """Bytes."""
    ranges: tuple[tuple[int, int], ...]
    """Beginning and end, in bytes, of what is written; in order, and none touches another."""

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield beginning and end of the parts of `start` to `end` that are not written."""
        at = start
        index = max(bisect_left(self.ranges, (start, 0)) - 1, 0)
        while index < len(self.ranges) and self.ranges[index][0] < end:
            first, last = self.ranges[index]
            if first > at:
                yield at, first
            at = max(at, last)
            index += 1
        if at < end:
            yield at, end


def read_block_map(path: Path) -> BlockMap:
    """Read a block map; raises ArtefactError when it is none or cannot be right."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    # Entities are all that makes XML dangerous, and block maps have none.
    if len(raw) > _MAX_SIZE or b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise _wrong(path)
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314 - without entities
        size, block = (int(root.findtext(name, "")) for name in ("ImageSize", "BlockSize"))
        written = [_range(each.text or "") for each in root.iter("Range")]
    except (ElementTree.ParseError, ValueError):
        raise _wrong(path) from None
    if size <= 0 or not 0 < block <= 1024 * 1024:
        raise _wrong(path)
    return BlockMap(path.name, size, tuple(_merged(written, block)))


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.strip().partition("-")
    return int(first), int(last or first)


def _merged(written: list[tuple[int, int]], block: int) -> Iterator[tuple[int, int]]:
    at = end = 0
    for first, last in sorted(written):
        if first * block > end:
            if at < end:
                yield at, end
            at = first * block
        end = max(end, (last + 1) * block)
    if at < end:
        yield at, end


def _wrong(path: Path) -> ArtefactError:
    return ArtefactError(f"{path} is no block map of bmap-tools; make it again or remove it")
