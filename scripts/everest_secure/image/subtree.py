"""A directory of one file system, seen as if it lay elsewhere: a certificate store by itself is judged where EVerest will find it."""

from collections.abc import Iterator
from posixpath import dirname

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Node, NodeType, Tree


class Subtree(Tree):
    """A tree that holds nothing but one directory of another tree, under another path, and the directories above it.

    Links are resolved in this tree: one that leads out of the directory leads to nothing.
    """

    def __init__(self, base: Tree, directory: str, *, known_as: str) -> None:
        """`directory` is the directory in `base`, with no link in it; `known_as` is its absolute path here."""
        super().__init__(base.name, base.kind)
        self._base, self._directory, self._known_as = base, directory, known_as

    def _scan(self) -> Iterator[tuple[Node, object]]:
        top = self._base.get(self._directory)
        if top is None or not top.is_directory:
            raise ArtefactError(f"{self.name} has no directory {self._directory}; name another artefact")
        above = self._known_as
        while above != "/":
            above = dirname(above)
            yield Node(above, NodeType.DIRECTORY, 0o755, 0, 0, 0), None
        yield top._replace(path=self._known_as), None
        for node in self._base.under(self._directory):
            yield node._replace(path=self._known_as + node.path.removeprefix(self._directory.rstrip("/"))), node

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, Node):
            raise TypeError(handle)
        return self._base.blob(handle).read(offset, length)
