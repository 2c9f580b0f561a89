"""Texts inside programs and libraries."""

import re
from collections.abc import Iterator

from everest_secure.image.blob import Blob
from everest_secure.image.tree import Node, Tree

CHUNK = 1 << 20
LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_MULTIARCH = re.compile(r"[a-z0-9_]+-linux-[a-z0-9]+")


def holds(blob: Blob, text: bytes) -> bool:
    """Whether a file holds some bytes."""
    return any(text in piece for piece in _pieces(blob, len(text)))


def texts_like(blob: Blob, pattern: re.Pattern[bytes], longest: int = 64) -> frozenset[str]:
    """Return the texts between two NUL bytes, ASCII and at most `longest` long, that match a pattern from end to end."""
    found: set[str] = set()
    for piece in _pieces(blob, longest + 2):
        # The first and the last of a piece are whole in a neighbour's overlap, or were never between two NUL bytes.
        found.update(
            text.decode("ascii", "replace") for text in piece.split(b"\0")[1:-1] if len(text) <= longest and pattern.fullmatch(text)
        )
    return frozenset(found)


def _pieces(blob: Blob, overlap: int) -> Iterator[bytes]:
    for at in range(0, blob.size, CHUNK):
        yield blob.read(at, min(CHUNK + overlap, blob.size - at))


def library_directories(tree: Tree) -> tuple[str, ...]:
    """Return the directories of ld.so(8) that the image has, with those of Debian's multiarch; each once."""
    found: list[str] = []
    for directory in LIBRARIES:
        for place in (directory, *(node.path for node in tree.children(directory) if _MULTIARCH.fullmatch(node.name))):
            node = tree.resolve(place)
            if node is not None and node.is_directory and node.path not in found:
                found.append(node.path)
    return tuple(found)


def libraries(tree: Tree, name: str) -> tuple[Node, ...]:
    """Return the files of a library, whatever the version at the end of their names: `libtss2-tcti-device.so`, `ossl-modules/tpm2.so`."""
    found: list[Node] = []
    for directory in library_directories(tree):
        place, _, stem = f"{directory}/{name}".rpartition("/")
        for node in tree.children(place):
            file = tree.resolve(node.path)
            if (node.name == stem or node.name.startswith(f"{stem}.")) and file is not None and file.is_file and file not in found:
                found.append(file)
    return tuple(found)
