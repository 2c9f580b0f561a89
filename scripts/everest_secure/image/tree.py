"""One read-only view of a file system, whatever holds it.

A reader of a format subclasses `Tree`, yields its nodes from `_scan` and content from `_read`; links, lookups and limits are here, once.
Nothing is mounted, extracted or written, and no link leads out of the tree.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from posixpath import dirname, join
from types import MappingProxyType
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob, from_bytes
from everest_secure.text import printable as printable  # noqa: PLC0414 - readers import it from here

MAX_LINKS = 40
"""Links followed before a path is taken for a loop, as the kernel does (path_resolution(7))."""
MAX_NODES = 1_048_576
"""Nodes in one file system before it is taken for hostile: as many as half a gigabyte of memory holds."""
MAX_LINK = 4096
"""Bytes of a symbolic link's target (PATH_MAX of linux/limits.h)."""
MAX_NAMES = 256 * 1024 * 1024
"""Characters of all paths and links, and bytes of all attributes, of a file system together before it is taken for hostile."""
NO_XATTRS: Mapping[str, bytes] = MappingProxyType({})
MAX_TEXT = 16 * 1024 * 1024
"""Bytes of a file that is read whole as text."""


class NodeType(StrEnum):
    """What kind of inode a node is (inode(7))."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    CHARACTER = "character device"
    BLOCK = "block device"
    FIFO = "fifo"
    SOCKET = "socket"


class Node(NamedTuple):
    """One inode under one name."""

    path: str
    """Absolute and normalised, `/` for the root; bytes that are not UTF-8 as surrogates (PEP 383)."""
    type: NodeType
    mode: int
    """Permission bits with setuid, setgid and sticky: at most 0o7777."""
    uid: int
    gid: int
    size: int
    """Bytes of content; 0 unless a regular file."""
    target: str = ""
    """Where a symbolic link points, unresolved."""
    xattrs: Mapping[str, bytes] = NO_XATTRS
    """Extended attributes by full name, as listxattr(2) and getxattr(2) would say."""

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.type is NodeType.FILE

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.type is NodeType.DIRECTORY


class Tree(ABC):
    """A whole file system, scanned once and then looked up in memory."""

    def __init__(self, name: str, kind: str) -> None:
        """`name` is what messages call it, `kind` the format (`ext4`, `squashfs`, `vfat`, `directory` ...)."""
        self.name = name
        self.kind = kind
        self._handles: dict[str, object] = {}

    @abstractmethod
    def _scan(self) -> Iterator[tuple[Node, object]]:
        """Yield every node once with a handle for `_read`, which only that of a file with content needs; raises ArtefactError on corruption.

        A million of them are kept: the smaller a handle is, the better.
        """

    @abstractmethod
    def _read(self, handle: object, offset: int, length: int) -> bytes:
        """Return content of a regular file; `offset + length` is within its size."""

    def _position(self, handle: object) -> int:
        """Return where in the image a file's content begins, as far as that is known without reading more."""
        return 0

    @cached_property
    def _index(self) -> dict[str, Node]:
        index: dict[str, Node] = {}
        handles = self._handles
        names = 0
        for node, handle in self._scan():
            path = node.path
            if path in index:
                raise ArtefactError(f"{self.name} is corrupt: it holds the path {printable(path)} twice; build or fetch it again")
            index[path] = node
            if node.size:
                handles[path] = handle
            names += len(path) + len(node.target)
            if node.xattrs:
                names += sum(map(len, node.xattrs.values()))
            if len(index) > MAX_NODES or names > MAX_NAMES:
                raise ArtefactError(
                    f"{self.name} holds too many files ({len(index)}), or too much of paths, links and attributes; it is taken for hostile and not read"
                )
        if "/" not in index:
            raise ArtefactError(f"{self.name} is corrupt: its {self.kind} file system has no root directory; build or fetch it again")
        return index

    @cached_property
    def _sorted(self) -> list[Node]:
        index = self._index
        return [index[path] for path in sorted(index)]

    @cached_property
    def _names(self) -> dict[str, list[Node]]:
        """Return the entries of each directory, sorted by path."""
        names: dict[str, list[Node]] = {}
        for node in self._sorted[1:]:
            parent = node.path.rpartition("/")[0] or "/"
            if parent in names:
                names[parent].append(node)
            else:
                names[parent] = [node]
        return names

    def nodes(self) -> list[Node]:
        """Return every node, sorted by path."""
        return self._sorted.copy()

    def by_position(self, nodes: Iterable[Node]) -> list[Node]:
        """Return nodes in the order in which their content lies in the image, so that reading all decompresses no block twice."""
        return sorted(nodes, key=lambda node: self._position(self._handles[node.path]) if node.size else 0)

    def get(self, path: str) -> Node | None:
        """Return the node of exactly this path, following no link."""
        return self._index.get(path)

    def resolve(self, path: str, *, follow_last: bool = True) -> Node | None:
        """Return what `path` leads to, links followed as if the tree were `/`; None when nothing is there or links loop."""
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        here, links = "/", 0
        while todo:
            part = todo.pop()
            if part == "..":
                here = dirname(here)
                continue
            step = join(here, part)
            node = self.get(step)
            if node is None:
                return None
            if node.type is NodeType.SYMLINK and (todo or follow_last):
                links += 1
                if links > MAX_LINKS:
                    return None
                if node.target.startswith("/"):
                    here = "/"
                todo += [part for part in reversed(node.target.split("/")) if part not in ("", ".")]
                continue
            if todo and not node.is_directory:
                return None
            here = step
        return self.get(here)

    def children(self, path: str) -> list[Node]:
        """Return the entries of the directory that `path` leads to, sorted by name; empty when it is none."""
        node = self.resolve(path)
        if node is None:
            return []
        return self._names.get(node.path, []).copy()

    def under(self, path: str) -> Iterator[Node]:
        """Yield all nodes below the directory `path`, depth first, following no link inside it."""
        todo = self.children(path)[::-1]
        while todo:
            node = todo.pop()
            yield node
            if node.is_directory:
                todo += self._names.get(node.path, [])[::-1]

    def blob(self, node: Node) -> Blob:
        """Return the content of a regular file for random access; raises ArtefactError for any other type."""
        if not node.is_file:
            raise ArtefactError(f"{self.name}: {printable(node.path)} is a {node.type}, not a file; put a file there")
        name = f"{self.name}:{printable(node.path)}"
        if not node.size:
            return from_bytes(b"", name)
        handle = self._handles[node.path]
        return Blob(name, node.size, lambda offset, length: self._read(handle, offset, length))

    def read(self, path: str, limit: int = MAX_TEXT) -> bytes:
        """Return the content of the file that `path` leads to.

        Raises ArtefactError when it is missing, no regular file, or larger than `limit` bytes.
        """
        node = self.resolve(path)
        if node is None:
            raise ArtefactError(f"{self.name} has no file {path}; install it")
        if node.size > limit:
            raise ArtefactError(
                f"{self.name}: {printable(path)} has {node.size} bytes, more than the {limit} that are read; make it smaller"
            )
        return self.blob(node).read(0, node.size)

    def text(self, path: str) -> str:
        """Return a file as text; bytes that are not UTF-8 become replacement characters. Raises as `read`."""
        return self.read(path).decode("utf-8", errors="replace")
