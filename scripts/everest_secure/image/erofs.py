"""EROFS (kernel documentation `filesystems/erofs.rst`, Linux `fs/erofs/erofs_fs.h`), read without mounting.

Plain, chunked and compressed files (LZ4, MicroLZMA, deflate, zstd), tails packed inline or in one inode, deduplicated clusters, extended attributes.
"""

import stat
import struct
from collections.abc import Iterator

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.erofs_content import Content
from everest_secure.image.erofs_inode import Inode, read_inode
from everest_secure.image.erofs_super import Superblock, read_superblock
from everest_secure.image.erofs_xattr import Xattrs
from everest_secure.image.modes import PERMISSIONS, node_type
from everest_secure.image.names import entry_name
from everest_secure.image.tree import MAX_LINK, NO_XATTRS, Node, Tree, printable
from everest_secure.image.window import Window

_ENTRY = struct.Struct("<QH2x")
_THIS_AND_PARENT = (b".", b"..")


@opens(order=55)
def open_erofs(blob: Blob, _depth: int) -> Artefact | None:
    """Open an EROFS; see `artefact.Opener`."""
    superblock = read_superblock(blob)
    if superblock is None:
        return None
    return Artefact(name=blob.name, kind="erofs", blob=blob, tree=ErofsTree(blob.slice(0, superblock.size, blob.name), superblock))


class ErofsTree(Tree):
    """An EROFS in a blob."""

    def __init__(self, blob: Blob, superblock: Superblock) -> None:
        super().__init__(blob.name, "erofs")
        self._blob = blob
        self._super = superblock
        self._window = Window(blob)
        self._packed = self._inode(superblock.packed) if superblock.packed else None
        self._content = Content(blob, superblock, self._packed)

    def _inode(self, number: int) -> Inode:
        return read_inode(self._window, self._super, number, self.name)

    def _scan(self) -> Iterator[tuple[Node, object]]:
        xattrs = Xattrs(self._window, self._super, self._content, self._packed, self.name)
        seen = set()
        listed = 0
        todo = [("/", self._super.root)]
        while todo:
            path, number = todo.pop()
            inode = self._inode(number)
            mode = inode.mode
            kind = node_type(mode)
            if kind is None:
                raise self._corrupt(f"the mode of {printable(path)}")
            target = self._target(inode, path) if stat.S_ISLNK(mode) else ""
            size = inode.size if stat.S_ISREG(mode) else 0
            attributes = xattrs.of(inode) if inode.body > inode.xattrs else NO_XATTRS
            yield Node(path, kind, PERMISSIONS[mode & 0o7777], inode.uid, inode.gid, size, target, attributes), number
            if stat.S_ISDIR(mode):
                listed += inode.size
                if number in seen or listed > self._blob.size:
                    raise self._corrupt(f"a second link to the directory {printable(path)}, or its size,")
                seen.add(number)
                todo += self._entries(inode, path)
            elif path == "/":
                raise self._corrupt("the root directory")

    def _target(self, inode: Inode, path: str) -> str:
        if not 0 < inode.size <= MAX_LINK:
            raise self._corrupt(f"the length of the link {printable(path)}")
        return self._content.read(inode, 0, inode.size).decode("utf-8", "surrogateescape")

    def _entries(self, inode: Inode, path: str) -> list[tuple[str, int]]:
        """Return path and inode number of each entry but `.` and `..`; each block begins with its entries, and their names follow."""
        parent = "/" if path == "/" else f"{path}/"
        block = 1 << self._super.directory_bits
        found = []
        for at in range(0, inode.size, block):
            raw = self._content.read(inode, at, min(block, inode.size - at))
            first = int.from_bytes(raw[8:10], "little")
            if first < _ENTRY.size or first % _ENTRY.size or first > len(raw):
                raise self._corrupt(f"the directory {printable(path)}")
            end = len(raw)
            for number, begin in reversed(list(_ENTRY.iter_unpack(raw[:first]))):
                if not first <= begin < end:
                    raise self._corrupt(f"the directory {printable(path)}")
                name = raw[begin:end].partition(b"\0")[0] if end == len(raw) else raw[begin:end]
                end = begin
                if name not in _THIS_AND_PARENT:
                    found.append((parent + entry_name(name, self.name), number))
        return found

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, int):
            raise TypeError(handle)
        return self._content.read(self._inode(handle), offset, length)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self.name} is corrupt: {what} of its EROFS is wrong; build or fetch it again")
