"""What units and udev's rules do besides what they are for: their command lines, and the scripts that these run."""

import re
from collections.abc import Iterator
from functools import lru_cache

from everest_secure.checks.common import starts_of
from everest_secure.checks.core import Root
from everest_secure.image.tree import Tree
from everest_secure.parse.udev_rules import RUNNING, rules
from everest_secure.parse.units import Unit

_SCRIPT_BYTES = 64 * 1024


def said_by(root: Root, unit: Unit) -> Iterator[tuple[str, str]]:
    """Yield text and path of every command of a unit, those for reloading and stopping as well, and of each script of the image that one runs."""
    return _said_by(root.tree, unit)


def _said_by(tree: Tree, unit: Unit) -> Iterator[tuple[str, str]]:
    for command in unit.every_command:
        yield " ".join(command), unit.path
        for word in command:
            text = _script(tree, word) if word.startswith("/") else ""
            if text:
                yield text, word


def deeds(root: Root, pattern: re.Pattern[str], *, commands: bool = True) -> Iterator[tuple[str, str]]:
    """Yield who does something that a pattern finds in the text, and the path that shows it: units that start, each once, and udev's rules.

    A check that reads the commands of units itself leaves them out here; then a unit counts by its scripts alone.
    """
    found: set[str] = set()
    for who, text, path, own in _texts(root.tree):
        if who not in found and (commands or not own) and pattern.search(text):
            found.add(who)
            yield who, path


@lru_cache(maxsize=4)
def _texts(tree: Tree) -> tuple[tuple[str, str, str, bool], ...]:
    """Return who runs what, where it says so, and whether it is a unit's own command; kept, as several checks ask for it."""
    units = {name: start.unit for name, start in starts_of(tree).items()}
    found = [(name, text, path, path == unit.path) for name, unit in units.items() for text, path in _said_by(tree, unit)]
    for path, line, keys in rules(tree):
        who = f"udev ({path.rpartition('/')[2]}:{line})"
        found += [(who, value, path, False) for key, _, value in keys if RUNNING.fullmatch(key)]
    return tuple(found)


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
