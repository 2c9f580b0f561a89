"""ELF files, as far as the kernel's loader and ld.so read them (elf(5), System V ABI): headers, segments, dynamic section, symbols.

32 and 64 bit, either byte order. Whatever a file says of itself is bounded by its size and by the limits below.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

MAGIC = b"\x7fELF"
HEAD = 64 * 1024
"""Bytes that are read at once: in most programs everything but the dynamic section."""
MAX_SEGMENTS = 512
MAX_DYNAMIC = 4096
"""Entries of a dynamic section."""
MAX_SYMBOLS = 1_000_000
MAX_STRINGS = 64 * 1024 * 1024
"""Bytes of a string table, and of all names of a symbol table together, as names may share their ends."""

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
PF_X, PF_W = 1, 2
SHT_SYMTAB, SHT_DYNSYM = 2, 11
DT_NEEDED, DT_PLTRELSZ, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_STRSZ = 1, 2, 4, 5, 6, 7, 8, 10
DT_RPATH, DT_REL, DT_RELSZ, DT_TEXTREL, DT_JMPREL, DT_BIND_NOW, DT_RUNPATH, DT_FLAGS = 15, 17, 18, 22, 23, 24, 29, 30
DT_PLTREL, DT_FLAGS_1 = 20, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
_UNDEFINED = 0


class Kind(IntEnum):
    """What sort of file it is (e_type); any other value is of no interest to a loader."""

    RELOCATABLE = 1
    EXECUTABLE = 2
    SHARED = 3
    CORE = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header; the flags are PF_X, PF_W and PF_R (4)."""

    type: int
    flags: int
    offset: int
    address: int
    size: int
    """Bytes in the file."""


@dataclass(frozen=True, slots=True)
class Elf:
    """What the headers of an ELF file say."""

    bits: int
    """32 or 64."""
    machine: int
    """EM_X86_64 62, EM_ARM 40, EM_AARCH64 183, EM_RISCV 243 ..."""
    kind: int
    segments: tuple[Segment, ...]
    dynamic: Mapping[int, tuple[int, ...]]
    """Values by tag, in order; empty without a dynamic section."""
    needed: tuple[str, ...]
    """Shared objects that it names (DT_NEEDED)."""
    run_paths: tuple[str, ...]
    """Directories of DT_RPATH and DT_RUNPATH, split at `:`; an empty one is the current directory (ld.so(8))."""
    imports: frozenset[str] | None
    """Names that other objects have to bring; None without a dynamic section."""
    names: frozenset[str] | None
    """Names of the full symbol table, read only where there are no imports; None when it was stripped."""

    def segment(self, kind: int) -> Segment | None:
        """Return the first segment of a type."""
        return next((segment for segment in self.segments if segment.type == kind), None)

    def last(self, tag: int) -> int:
        """Return the last value of a tag of the dynamic section; 0 without one."""
        return self.dynamic.get(tag, (0,))[-1]

    @property
    def loadable(self) -> bool:
        """Whether it is a program or a shared object, and so ever runs as it is."""
        return self.kind in (Kind.EXECUTABLE, Kind.SHARED)


def read_elf(blob: Blob, head: bytes = b"") -> Elf | None:
    """Read an ELF file; None when it is none. `head` is its beginning, when that is at hand.

    Raises ArtefactError when it is truncated, its tables contradict each other, or its class or byte order is one that no system has: Linux looks at neither
    before it starts a program (fs/binfmt_elf.c).
    """
    head = head or blob.head(HEAD)
    if head[:4] != MAGIC or len(head) < 52:
        return None
    if head[4] not in (1, 2) or head[5] not in (1, 2):
        raise ArtefactError(f"{blob.name} is a damaged ELF file: it has no known class or byte order; build or fetch it again")
    try:
        return _Reader(blob, head).read()
    except (struct.error, ValueError):
        raise ArtefactError(f"{blob.name} is a damaged ELF file: its headers point outside of it; build or fetch it again") from None


class _Reader:
    """One ELF file while it is read."""

    def __init__(self, blob: Blob, head: bytes) -> None:
        self._blob = blob
        self._head = head
        self._wide = head[4] == 2
        self._order = "<" if head[5] == 1 else ">"
        self._word = "Q" if self._wide else "I"

    def read(self) -> Elf:
        kind, machine = self._unpack("HH", 16)
        segments = tuple(self._segments())
        dynamic = self._dynamic(segments)
        strings = self._strings(dynamic, segments) if dynamic else ""
        names = {tag: tuple(_text(strings, at) for at in dynamic.get(tag, ())) for tag in (DT_NEEDED, DT_RPATH, DT_RUNPATH)}
        imports = self._dynamic_symbols(dynamic, segments, strings) if dynamic else None
        return Elf(
            bits=64 if self._wide else 32,
            machine=machine,
            kind=kind,
            segments=segments,
            dynamic=dynamic,
            needed=names[DT_NEEDED],
            run_paths=tuple(directory for path in (*names[DT_RPATH], *names[DT_RUNPATH]) for directory in path.split(":")),
            imports=imports,
            names=None if imports or kind not in (Kind.EXECUTABLE, Kind.SHARED) else self._symbol_table(),
        )

    def _bytes(self, at: int, length: int) -> bytes:
        if at + length <= len(self._head):
            return self._head[at : at + length]
        return self._blob.read(at, length)

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        layout = struct.Struct(self._order + form)
        return layout.unpack(self._bytes(at, layout.size))

    def _table(self, form: str, at: int, count: int, stride: int) -> Iterator[tuple[int, ...]]:
        """Yield `count` records of at least the form's size."""
        layout = struct.Struct(f"{self._order}{form}")
        padding = stride - layout.size
        if padding < 0:
            raise struct.error
        return struct.iter_unpack(f"{self._order}{form}{padding}x", self._bytes(at, count * stride))

    def _segments(self) -> Iterator[Segment]:
        (at,) = self._unpack(self._word, 32 if self._wide else 28)
        stride, count = self._unpack("HH", 54 if self._wide else 42)
        if not count:
            return
        if count > MAX_SEGMENTS:
            raise struct.error
        form = "IIQQ8xQ16x" if self._wide else "III4xI4xI4x"
        for kind, second, third, fourth, last in self._table(form, at, count, stride):
            if self._wide:
                yield Segment(kind, second, third, fourth, last)
            else:
                yield Segment(kind, last, second, third, fourth)

    def _dynamic(self, segments: tuple[Segment, ...]) -> dict[int, tuple[int, ...]]:
        found: dict[int, list[int]] = {}
        segment = next((segment for segment in segments if segment.type == PT_DYNAMIC), None)
        stride = 16 if self._wide else 8
        if segment is None:
            return {}
        count = min(segment.size // stride, MAX_DYNAMIC)
        for tag, value in self._table(self._word * 2, segment.offset, count, stride):
            if not tag:
                break
            found.setdefault(tag, []).append(value)
        return {tag: tuple(values) for tag, values in found.items()}

    def _offset(self, address: int, segments: tuple[Segment, ...]) -> int:
        """Return where in the file an address of memory comes from."""
        for segment in segments:
            if segment.type == PT_LOAD and segment.address <= address < segment.address + segment.size:
                return address - segment.address + segment.offset
        raise struct.error

    def _strings(self, dynamic: Mapping[int, tuple[int, ...]], segments: tuple[Segment, ...]) -> str:
        if DT_STRTAB not in dynamic:
            return ""
        size = dynamic.get(DT_STRSZ, (0,))[-1]
        return self._string_table(self._offset(dynamic[DT_STRTAB][-1], segments), size)

    def _string_table(self, at: int, size: int) -> str:
        """Return a string table; one character for each byte, so that offsets stay what they are."""
        if size > MAX_STRINGS:
            raise struct.error
        return self._bytes(at, size).decode("latin-1")

    def _dynamic_symbols(self, dynamic: Mapping[int, tuple[int, ...]], segments: tuple[Segment, ...], strings: str) -> frozenset[str]:
        """Dynamic symbols; their number is in the section headers, and in the hash table and relocations for whoever stripped those."""
        if DT_SYMTAB not in dynamic or not strings:
            return frozenset()
        at = self._offset(dynamic[DT_SYMTAB][-1], segments)
        stride = 24 if self._wide else 16
        counts = [size // stride for kind, _, size, _ in self._sections() if kind == SHT_DYNSYM]
        count = counts[0] if counts else self._counted(dynamic, segments)
        return self._symbols(at, count, strings, imported=True)

    def _counted(self, dynamic: Mapping[int, tuple[int, ...]], segments: tuple[Segment, ...]) -> int:
        """Return the number of dynamic symbols without section headers: that of DT_HASH, or one more than any relocation names.

        DT_GNU_HASH counts only what is exported, which comes last, and says nothing where nothing is.
        """
        if DT_HASH in dynamic:
            return self._unpack("II", self._offset(dynamic[DT_HASH][-1], segments))[1]
        highest = 0
        shift = 32 if self._wide else 8
        tables = [
            (DT_RELA, DT_RELASZ, 3),
            (DT_REL, DT_RELSZ, 2),
            (DT_JMPREL, DT_PLTRELSZ, 3 if dynamic.get(DT_PLTREL) == (DT_RELA,) else 2),
        ]
        for table, length, words in tables:
            if table in dynamic and length in dynamic:
                stride = words * (8 if self._wide else 4)
                count = min(dynamic[length][-1] // stride, MAX_SYMBOLS)
                records = self._table(self._word * 2, self._offset(dynamic[table][-1], segments), count, stride)
                highest = max((info >> shift for _, info in records), default=highest)
        return highest + 1

    def _sections(self) -> Iterator[tuple[int, ...]]:
        """Yield type, offset, size and link of each section."""
        (at,) = self._unpack(self._word, 40 if self._wide else 32)
        stride, count = self._unpack("HH", 58 if self._wide else 46)
        if not at or not count:
            return
        if at + count * stride > self._blob.size:
            raise struct.error
        form = "4xI16xQQI20x" if self._wide else "4xI8xIII12x"
        yield from self._table(form, at, count, stride)

    def _symbol_table(self) -> frozenset[str] | None:
        sections = list(self._sections())
        for kind, offset, size, link in sections:
            if kind == SHT_SYMTAB and link < len(sections):
                _, at, length, _ = sections[link]
                return self._symbols(offset, size // (24 if self._wide else 16), self._string_table(at, length), imported=False)
        return None

    def _symbols(self, at: int, count: int, strings: str, *, imported: bool) -> frozenset[str]:
        """Return the names of symbols that are undefined, or of all."""
        if count > MAX_SYMBOLS:
            raise struct.error
        form = "I2xH16x" if self._wide else "I10xH"
        table = self._table(form, at, count, 24 if self._wide else 16)
        offsets = [name for name, section in table if name and section == _UNDEFINED] if imported else [name for name, _ in table if name]
        names, budget = set(), MAX_STRINGS
        for offset in offsets:
            end = strings.index("\0", offset)
            budget -= end - offset
            if budget < 0:
                raise struct.error
            names.add(strings[offset:end])
        return frozenset(names)


def _text(strings: str, at: int) -> str:
    return strings[at : strings.index("\0", at)]
