"""Scripts of an image that units and udev's rules run: what is written in them."""

from collections.abc import Iterator
from functools import lru_cache

from everest_secure.image.tree import Tree

_SCRIPT_BYTES = 64 * 1024


def scripts_of(tree: Tree, command: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield text and path of each script of the image that a command names, as its program or behind it."""
    for word in command:
        text = _script(tree, word) if word.startswith("/") else ""
        if text:
            yield text, word


@lru_cache(maxsize=512)
def _script(tree: Tree, path: str) -> str:
    """Return the text of a script, its comments left out; empty when the path is no script of the image, or an unusually long one."""
    node = tree.resolve(path)
    if node is None or not node.is_file or not 2 < node.size <= _SCRIPT_BYTES:
        return ""
    blob = tree.blob(node)
    if blob.head(2) != b"#!":
        return ""
    text = blob.read(0, blob.size).decode("utf-8", "replace")
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))
