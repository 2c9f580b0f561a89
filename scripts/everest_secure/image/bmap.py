"""Block maps of bmap-tools, which say which blocks of a disk are to be written (bmap-tools, `BmapCreate.py`, format versions 1 and 2)."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from everest_secure.errors import ArtefactError

_MAX_SIZE = 8 * 1024 * 1024
_KNOWN = ("ImageSize", "BlockSize", "Range")
_LONGEST_TEXT = 64


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
    texts = _Texts()
    try:
        if len(raw) > _MAX_SIZE:
            raise ValueError("too long")
        texts.read(raw)
        size, block = (int(texts.found[name][0]) for name in ("ImageSize", "BlockSize"))
        written = [_range(each) for each in texts.found["Range"]]
    except (expat.ExpatError, LookupError, ValueError):  # LookupError: an encoding that nobody knows, or a missing element
        raise _wrong(path) from None
    if size <= 0 or not 0 < block <= 1024 * 1024:
        raise _wrong(path)
    return BlockMap(path.name, size, tuple(_merged(written, block)))


@dataclass
class _Texts:
    """Collects the texts of the elements that are read; a tree of all elements would take a hundred times the size of the file."""

    found: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in _KNOWN})
    inside: str = ""

    def read(self, raw: bytes) -> None:
        """Parse a whole file. Raises ExpatError for what is no XML, ValueError for a document type: entities are all that makes XML dangerous."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(raw, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("a block map has no document type")

    def _begin(self, name: str, _: object) -> None:
        self.inside = name if name in self.found else ""
        if self.inside:
            self.found[name].append("")

    def _end(self, _: str) -> None:
        self.inside = ""

    def _text(self, text: str) -> None:
        if self.inside:
            texts = self.found[self.inside]
            texts[-1] += text
            if len(texts[-1]) > _LONGEST_TEXT:
                raise ValueError("no number is as long")


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
