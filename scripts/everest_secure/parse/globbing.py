"""Patterns of paths, as glob(3) of the target's C library expands them."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

WILD = frozenset("*?[")
MAX_PATHS = 1000
"""Paths that one pattern may stand for."""


def globbed(tree: Tree, pattern: str) -> list[str]:
    """Return the paths of a tree that an absolute pattern stands for, in their order; raises ArtefactError when there are too many.

    A wildcard stands for no slash, nor for the point at the beginning of a hidden name. A link counts wherever it leads.
    """
    found = [""]
    for part in pattern.strip("/").split("/"):
        found = list(islice(_entered(tree, found, part), MAX_PATHS + 1))
        if len(found) > MAX_PATHS:
            raise ArtefactError(f"'{pattern}' stands for more than {MAX_PATHS} paths; it is taken for hostile and not followed")
    return [path for path in found if tree.resolve(path, follow_last=False) is not None]


def _entered(tree: Tree, paths: list[str], part: str) -> Iterator[str]:
    for path in paths:
        if WILD.intersection(part):
            yield from (f"{path}/{node.name}" for node in tree.children(path or "/") if _fits(node.name, part))
        else:
            yield f"{path}/{part}"


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(".") <= pattern.startswith(".") and fnmatchcase(name, pattern)
