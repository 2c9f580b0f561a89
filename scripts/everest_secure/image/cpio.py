"""Initial RAM disks: cpio archives in the form `newc` or `crc`, one behind the other and compressed, as the kernel unpacks them.

(Linux, `Documentation/driver-api/early-userspace/buffer-format.rst` and `init/initramfs.c`.) Nothing is decompressed before somebody asks for a file: several
unified kernel images of a disk carry the same one. An initial RAM disk is no root file system, even if it has everything that one has.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from posixpath import dirname

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.modes import node_type
from everest_secure.image.scratch import gathered
from everest_secure.image.streams import beginning, decompressed, method_of
from everest_secure.image.tree import MAX_LINK, MAX_NODES, Node, NodeType, Tree, printable

KIND = "cpio"
_MAGIC = (b"070701", b"070702")
_HEADER = 110
_TRAILER = b"TRAILER!!!"
_MAX_ARCHIVES = 16
_CHUNK = 1024 * 1024


@opens(order=4)
def open_cpio(blob: Blob, _depth: int) -> Artefact | None:
    """Open an initial RAM disk, compressed or not; see `artefact.Opener`. The blob is as it lies there, compressed."""
    method = method_of(blob)
    first = beginning(blob, method) if method else blob.head(6)
    if not first.startswith(_MAGIC):
        return None
    return Artefact(name=blob.name, kind=KIND, blob=blob, tree=CpioTree(blob))


@dataclass(frozen=True, slots=True)
class _Entry:
    """The header of a member."""

    name: bytes
    inode: tuple[int, int, int]
    mode: int
    uid: int
    gid: int
    links: int
    content: Blob


class CpioTree(Tree):
    """What the kernel unpacks from an initial RAM disk."""

    def __init__(self, blob: Blob) -> None:
        """`blob` is the initial RAM disk as a boot loader hands it over."""
        super().__init__(blob.name, KIND)
        self._blob = blob

    def _scan(self) -> Iterator[tuple[Node, object]]:
        found: dict[str, tuple[Node, Blob | None]] = {"/": (Node("/", NodeType.DIRECTORY, 0o755, 0, 0, 0), None)}
        linked: dict[tuple[int, int, int], list[str]] = {}
        for entry in _entries(self._blob):
            path = self._path(entry.name)
            if path != "/":
                self._require_parent(path, found)
            node = self._node(path, entry)
            found[path] = (node, entry.content)
            if node.is_file and entry.links > 1:
                self._share(path, entry, linked, found)
            if len(found) > MAX_NODES:
                raise ArtefactError(f"{self.name} holds too many files ({len(found)}); it is taken for hostile and not read")
        yield from found.values()

    def _share(
        self,
        path: str,
        entry: _Entry,
        linked: dict[tuple[int, int, int], list[str]],
        found: dict[str, tuple[Node, Blob | None]],
    ) -> None:
        """Give all names of one inode the content that lies with one of them."""
        names = linked.setdefault(entry.inode, [])
        names.append(path)
        content = next((held for name in reversed(names) if (held := found[name][1]) is not None and held.size), None)
        if content:
            for name in names:
                found[name] = (found[name][0]._replace(size=content.size), content)

    def _path(self, name: bytes) -> str:
        parts = [part for part in name.decode("utf-8", "surrogateescape").split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ArtefactError(f"{self.name} is corrupt or hostile: it has a member with '..' in its name; build or fetch it again")
        return "/" + "/".join(parts)

    def _require_parent(self, path: str, found: dict[str, tuple[Node, Blob | None]]) -> None:
        """Refuse a member below nothing or a link: the kernel makes no directories of its own, and would follow the link."""
        parent = found.get(dirname(path))
        if parent is None or not parent[0].is_directory:
            raise ArtefactError(f"{self.name} is corrupt: its member {printable(path[:200])} lies in no directory; build or fetch it again")

    def _node(self, path: str, entry: _Entry) -> Node:
        kind = node_type(entry.mode)
        if kind is None or (kind is NodeType.SYMLINK and entry.content.size > MAX_LINK):
            raise ArtefactError(f"{self.name} is corrupt: its member {printable(path[:200])} is of no type; build or fetch it again")
        target = entry.content.read(0, entry.content.size).split(b"\0", 1)[0] if kind is NodeType.SYMLINK else b""
        return Node(
            path=path,
            type=kind,
            mode=entry.mode & 0o7777,
            uid=entry.uid,
            gid=entry.gid,
            size=entry.content.size if kind is NodeType.FILE else 0,
            target=target.decode("utf-8", "surrogateescape"),
        )

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, Blob):
            raise TypeError(handle)
        return handle.read(offset, length)


def _entries(blob: Blob) -> Iterator[_Entry]:
    """Yield the members of all archives, one behind the other with zeros between them."""
    at = 0
    for _ in range(_MAX_ARCHIVES):
        at = _behind_zeros(blob, at)
        if at == blob.size:
            return
        rest = blob.slice(at, blob.size - at, blob.name)
        method = method_of(rest)
        if method:
            blob, at = gathered(decompressed(rest, method), blob.name), 0
        at = yield from _archive(blob, at)
    raise ArtefactError(f"{blob.name} holds more than {_MAX_ARCHIVES} cpio archives; it is taken for hostile and not read")


def _archive(blob: Blob, start: int) -> Generator[_Entry, None, int]:
    """Yield the members of one archive and return where it ends."""
    at = start
    while True:
        head = blob.read(at, _HEADER)
        try:
            if not head.startswith(_MAGIC):
                raise ValueError
            fields = [int(head[position : position + 8], 16) for position in range(6, _HEADER, 8)]
        except ValueError:
            raise ArtefactError(
                f"{blob.name} is corrupt: there is no header of a cpio archive in the form newc at {at}, nor gzip, xz, zstd, bzip2 or lz4; build it again"
            ) from None
        inode, mode, uid, gid, links, _, size, major, minor, _, _, length, _ = fields
        if not 1 < length <= MAX_LINK:
            raise ArtefactError(f"{blob.name} is corrupt: a name of its cpio archive has {length} bytes at {at}; build or fetch it again")
        name = blob.read(at + _HEADER, length).rstrip(b"\0")
        data = start + _aligned(at - start + _HEADER + length)
        at = start + _aligned(data - start + size)
        if name == _TRAILER:
            return at
        yield _Entry(name, (major, minor, inode), mode, uid, gid, links, blob.slice(data, size, blob.name))


def _behind_zeros(blob: Blob, at: int) -> int:
    while at < blob.size:
        chunk = blob.read(at, min(_CHUNK, blob.size - at))
        left = chunk.lstrip(b"\0")
        at += len(chunk) - len(left)
        if left:
            return at
    return at


def _aligned(offset: int) -> int:
    return -(-offset // 4) * 4
