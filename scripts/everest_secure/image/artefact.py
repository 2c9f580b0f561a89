"""What was given to check: a file or a directory, opened down to the file systems inside.

`open_artefact` finds the format by content. A format is a module of this package with a function that opens it, registered with `opens`;
nothing here lists the formats.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.errors import ArtefactError
from everest_secure.image import blob as blobs
from everest_secure.image.blob import Blob
from everest_secure.image.tree import Tree
from everest_secure.image.unread import refuse_unread

if TYPE_CHECKING:
    from everest_secure.image.companions import Companion

MAX_DEPTH = 6
"""Levels of artefacts within artefacts."""

EMPTY_HEAD = 1024 * 1024
"""Bytes that must be zero for a part to be empty."""
_SUPERBLOCKS = 4096
"""Bytes in which file systems say how long they are."""
_ARCHIVES = ("cpio", "tar")
"""Formats that do not say how long they are."""
_COMPARED = 1024 * 1024
"""Bytes that are compared at once."""


@dataclass(frozen=True)
class Artefact:
    """One thing of a known format, with what was found inside it."""

    name: str
    """Path-like name: `disk.raw`, `disk.raw:rootfs-a`, `update.raucb:rootfs.img`."""
    kind: str
    """Format: `directory`, `ext4`, `erofs`, `squashfs`, `vfat`, `gpt`, `verity`, `rauc-bundle`, `uki`, `efi-program`, `fit`, `device-tree` ...; `empty` and `unknown` only inside others."""
    blob: Blob | None = None
    """Its bytes; None for a directory."""
    tree: Tree | None = None
    """The file system, when the format is one."""
    facts: object | None = None
    """What the format itself says, a frozen dataclass of its module: partition table, verity parameters, CMS of a bundle, sections of a UKI."""
    children: tuple["Artefact", ...] = field(default=())
    companions: tuple["Companion", ...] = field(default=())
    """What its build left beside it; only on the outermost artefact."""

    def walk(self) -> Iterator["Artefact"]:
        """Yield this artefact and everything inside it, outermost first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def same_content(self, other: "Artefact") -> bool:
        """Whether two file systems of the same format hold the same bytes, up to the end of the shorter blob, which both lie within.

        Of an archive the whole blob counts: what follows the end of one may be a second that changes the first.
        """
        mine, its = self.blob, other.blob
        if self.kind in _ARCHIVES and mine is not None and its is not None and mine.size != its.size:
            return False
        if mine is None or its is None or self.kind != other.kind or mine.head(_SUPERBLOCKS) != its.head(_SUPERBLOCKS):
            return False
        size = min(mine.size, its.size)
        ranges = ((at, min(_COMPARED, size - at)) for at in range(0, size, _COMPARED))
        return all(mine.read(at, length) == its.read(at, length) for at, length in ranges)


Opener = Callable[[Blob, int], Artefact | None]
"""Opens a blob of its own format at a nesting depth; returns None when the content is of another format; raises ArtefactError when it is of
this format and cannot be read."""

_openers: list[tuple[int, Opener]] = []


def opens(*, order: int) -> Callable[[Opener], Opener]:
    """Register an opener; those with a lower `order` are asked first (wrapping formats before what they wrap)."""

    def register(opener: Opener) -> Opener:
        _openers.append((order, opener))
        _openers.sort(key=lambda entry: entry[0])
        return opener

    return register


def open_blob(blob: Blob, depth: int = 0) -> Artefact | None:
    """Open bytes of any known format; None when no format knows them. Raises ArtefactError when they are known and unreadable."""
    if depth > MAX_DEPTH:
        raise ArtefactError(f"{blob.name} is nested more than {MAX_DEPTH} levels deep; it is taken for hostile and not read")
    for _, opener in _openers:
        artefact = opener(blob, depth)
        if artefact is not None:
            return artefact
    return None


def open_part(blob: Blob, depth: int) -> Artefact:
    """Open bytes found inside another artefact; those that no format knows become an artefact of kind `empty` or `unknown`.

    Empty means that the first MiB is zero, so that an unused slot costs no time. Raises as `open_blob`.
    """
    artefact = open_blob(blob, depth)
    if artefact is not None:
        return artefact
    head = blob.head(EMPTY_HEAD)
    return Artefact(name=blob.name, kind="unknown" if head.strip(b"\0") else "empty", blob=blob)


def open_artefact(path: Path) -> Artefact:
    """Open a directory or a file of any known format.

    Raises ArtefactError when it is missing, empty, of unknown type, truncated or corrupt.
    """
    artefact = find_artefact(path)
    if artefact is None:
        raise ArtefactError(f"{path} is of no known type; give a directory, a file system image, a disk or a RAUC bundle")
    return artefact


def find_artefact(path: Path) -> Artefact | None:
    """Open a directory or a file; None when no format knows the file. Raises as `open_artefact` for the rest, and for what is known and not read."""
    from everest_secure.image import formats
    from everest_secure.image.companions import companions_of
    from everest_secure.image.directory import open_directory

    formats.load()
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it has no opinion on paths that may not be looked up; from_file names those
        return open_directory(path)
    blob = blobs.from_file(path)
    artefact = open_blob(blob)
    if artefact is None:
        refuse_unread(blob)
    return replace(artefact, companions=companions_of(path)) if artefact else None
