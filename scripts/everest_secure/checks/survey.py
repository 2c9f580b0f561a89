"""One pass over the content of all files of a root, for all checks that look at every file.

Each file is opened once, in the order in which the image holds them, and shown to the survey of each such check. Parts of the pass need nothing of each
other, so that several processes share it; what they found comes together again in the check proper.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.tree import Node, Tree
from everest_secure.parse.pieces import first_piece
from everest_secure.policy.parameters import Parameters
from everest_secure.text import printable

if TYPE_CHECKING:
    from everest_secure.checks.core import Root

SLICE = 8 * 1024 * 1024
"""Bytes of content that a process takes before the next one has its turn."""
SMALL = 64 * 1024 * 1024
"""Bytes of content that are not worth a second process."""
MAX_CONTENT = 16 * 1024**3
"""Bytes of all files of a root, holes included: sparse ones may claim terabytes, which nobody would wait for."""


class File:
    """A regular file that is not empty, with what a survey wants of it; its beginning is read once for all surveys."""

    __slots__ = ("_first", "blob", "node")

    def __init__(self, tree: Tree, node: Node) -> None:
        self.node = node
        self.blob: Blob = tree.blob(node)
        self._first: bytes | None = None

    @property
    def first(self) -> bytes:
        """The first piece (see `pieces`); raises ArtefactError when it cannot be read."""
        if self._first is None:
            self._first = first_piece(self.blob)
        return self._first


Survey = Callable[["Root", Parameters, File], Iterable[object]]
"""Yields what a check notes of one file, as values that can travel between processes; raises ArtefactError when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the survey of one check noted, file by file."""

    facts: tuple[object, ...] = ()
    error: str = ""
    """Why it ended early; empty when it saw every file."""

    def __add__(self, other: "Surveyed") -> "Surveyed":
        """Put two parts together; the first error stays."""
        return Surveyed(self.facts + other.facts, self.error or other.error)


def parts(tree: Tree, number: int) -> list[list[Node]]:
    """Share the files that are not empty out to up to `number` passes, each in the order of the image and of about the same number of bytes."""
    files = tree.by_position(node for node in tree.nodes() if node.is_file and node.size)
    ends = list(accumulate(node.size for node in files))
    if number == 1 or not ends or ends[-1] < SMALL:
        return [files]
    shares: list[list[Node]] = [[] for _ in range(number)]
    for node, end in zip(files, ends, strict=True):
        shares[end // SLICE % number].append(node)
    return [share for share in shares if share]


def survey(surveys: Mapping[int, Survey], root: "Root", policy: Parameters, nodes: Sequence[Node]) -> Mapping[int, Surveyed]:
    """Show each file to each survey; one that cannot go on is left out of the rest, and its error is what it says.

    Of a root with more than `MAX_CONTENT` no file is shown to any.
    """
    too_much = _too_much(root.tree)
    if too_much:
        return {key: Surveyed(error=too_much) for key in surveys}
    facts: dict[int, list[object]] = {key: [] for key in surveys}
    errors: dict[int, str] = {}
    running = dict(surveys)
    for node in nodes:
        file = File(root.tree, node)
        for key, look in tuple(running.items()):
            try:
                facts[key] += look(root, policy, file)
            except Exception as error:
                errors[key] = reason_of(error)
                del running[key]
    return {key: Surveyed(tuple(facts[key]), errors.get(key, "")) for key in surveys}


def _too_much(tree: Tree) -> str:
    """Say that the files of a tree have more content than is searched; empty when they have not."""
    files = [node for node in tree.nodes() if node.is_file and node.size]
    size = sum(node.size for node in files)
    if size <= MAX_CONTENT:
        return ""
    largest = max(files, key=lambda node: node.size)
    return (
        f"{tree.name} has files of {size} bytes, more than the {MAX_CONTENT} that are searched; "
        f"make them smaller, {printable(largest.path)} of {largest.size} bytes first"
    )


def reason_of(error: Exception) -> str:
    """Say why a check could not be made: the artefact cannot be read, or the check itself has a fault."""
    if isinstance(error, ArtefactError):
        return str(error)
    return f"the check itself broke down ({type(error).__name__}: {error}); please report it together with the artefact"


def whole(look: Survey, root: "Root", policy: Parameters) -> Surveyed:
    """Return what a survey notes of all files."""
    return survey({0: look}, root, policy, parts(root.tree, 1)[0])[0]
