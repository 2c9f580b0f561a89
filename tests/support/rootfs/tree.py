"""A root file system in memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from everest_secure.checks.core import Root
from everest_secure.image.artefact import Artefact
from everest_secure.image.tree import Node, NodeType, Tree


class MemoryTree(Tree):
    """A tree whose nodes and contents are given."""

    def __init__(self, nodes: dict[str, tuple[Node, bytes]], kind: str = "squashfs") -> None:
        super().__init__("rootfs", kind)
        self._given = nodes

    def _scan(self) -> Iterator[tuple[Node, object]]:
        yield from self._given.values()

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        assert isinstance(handle, bytes)
        return handle[offset : offset + length]


@dataclass
class RootFs:
    """A root file system being built; directories appear as needed, owned by root with mode 0755. Calls can be chained."""

    kind: str = "squashfs"
    nodes: dict[str, tuple[Node, bytes]] = field(default_factory=dict)

    def directory(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> "RootFs":
        if path != "/":
            self._parents(path)
        self.nodes[path] = (Node(path, NodeType.DIRECTORY, mode, uid, gid, 0), b"")
        return self

    def file(
        self, path: str, text: str | bytes = "", *, mode: int = 0o644, uid: int = 0, gid: int = 0, xattrs: dict[str, bytes] | None = None
    ) -> "RootFs":
        content = text.encode() if isinstance(text, str) else text
        self._parents(path)
        self.nodes[path] = (Node(path, NodeType.FILE, mode, uid, gid, len(content), xattrs=xattrs or {}), content)
        return self

    def link(self, path: str, target: str) -> "RootFs":
        self._parents(path)
        self.nodes[path] = (Node(path, NodeType.SYMLINK, 0o777, 0, 0, 0, target=target), b"")
        return self

    def remove(self, path: str) -> "RootFs":
        assert path in self.nodes, f"{path} is not there to be removed"
        self.nodes = {name: node for name, node in self.nodes.items() if name != path and not name.startswith(f"{path}/")}
        return self

    def replace(self, path: str, pattern: str, new: str) -> "RootFs":
        """Put `new` for each match of a regular expression; it must match."""
        node, content = self.nodes[path]
        text, count = re.subn(pattern, new, content.decode(), flags=re.MULTILINE)
        assert count, f"{pattern} matches nothing in {path}"
        self.file(path, text, mode=node.mode, uid=node.uid, gid=node.gid)
        return self

    def append(self, path: str, text: str) -> "RootFs":
        node, content = self.nodes[path]
        self.file(path, content + text.encode(), mode=node.mode, uid=node.uid, gid=node.gid)
        return self

    def chmod(self, path: str, mode: int) -> "RootFs":
        node, content = self.nodes[path]
        self.nodes[path] = (node._replace(mode=mode), content)
        return self

    def chown(self, path: str, uid: int, gid: int) -> "RootFs":
        node, content = self.nodes[path]
        self.nodes[path] = (node._replace(uid=uid, gid=gid), content)
        return self

    def _parents(self, path: str) -> None:
        parent = path.rpartition("/")[0] or "/"
        if parent not in self.nodes:
            self.directory(parent)

    @property
    def tree(self) -> MemoryTree:
        return MemoryTree(dict(self.nodes), self.kind)

    @property
    def root(self) -> Root:
        tree = self.tree
        artefact = Artefact("rootfs", self.kind, tree=tree)
        return Root(artefact, tree, artefact)
