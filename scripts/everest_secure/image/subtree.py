"""A directory of one file system, seen as if it lay elsewhere: a certificate store by itself is judged where EVerest will find it."""

from collections.abc import Iterator, Mapping
from posixpath import dirname
from types import MappingProxyType

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Node, NodeType, Tree


class Subtree(Tree):
    """A tree that holds nothing but one directory of another tree, under another path, the directories above it, and single files beside it.

    Links are resolved in this tree: one that leads out of the directory leads to nothing.
    """

    def __init__(self, base: Tree, directory: str, *, known_as: str, beside: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """`directory` is the directory in `base`, with no link in it; `known_as` is its absolute path here.

        `beside` are files of root in the directories above, by their absolute paths.
        """
        super().__init__(base.name, base.kind)
        self._base, self._directory, self._known_as, self._beside = base, directory, known_as, beside

    def _scan(self) -> Iterator[tuple[Node, object]]:
        top = self._base.get(self._directory)
        if top is None or not top.is_directory:
            raise ArtefactError(f"{self.name} has no directory {self._directory}; name another artefact")
        above = self._known_as
        while above != "/":
            above = dirname(above)
            yield Node(above, NodeType.DIRECTORY, 0o755, 0, 0, 0), None
        for path, content in self._beside.items():
            yield Node(path, NodeType.FILE, 0o644, 0, 0, len(content)), content
        yield top._replace(path=self._known_as), None
        for node in self._base.under(self._directory):
            yield node._replace(path=self._known_as + node.path.removeprefix(self._directory.rstrip("/"))), node

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if isinstance(handle, bytes):
            return handle[offset : offset + length]
        if not isinstance(handle, Node):
            raise TypeError(handle)
        return self._base.blob(handle).read(offset, length)
