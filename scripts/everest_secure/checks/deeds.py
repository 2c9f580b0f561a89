"""What units and udev's rules do besides what they are for: their command lines, and the scripts that these run."""

import re
from collections.abc import Iterator
from functools import lru_cache

from everest_secure.checks.common import starts_of
from everest_secure.checks.core import Root
from everest_secure.image.tree import Tree
from everest_secure.parse.scripts import scripts_of
from everest_secure.parse.udev_rules import run_by_rules
from everest_secure.parse.units import Unit


def said_by(root: Root, unit: Unit) -> Iterator[tuple[str, str]]:
    """Yield text and path of every command of a unit, those for reloading and stopping as well, and of each script of the image that one runs."""
    return _said_by(root.tree, unit)


def _said_by(tree: Tree, unit: Unit) -> Iterator[tuple[str, str]]:
    for command in unit.every_command:
        yield " ".join(command), unit.path
        yield from scripts_of(tree, command)


def deeds(root: Root, pattern: re.Pattern[str], *, commands: bool = True) -> Iterator[tuple[str, str]]:
    """Yield who does something that a pattern finds in the text, and the path that shows it: units that start, each once, and udev's rules.

    A check that reads the commands of units itself leaves them out here; then a unit counts by its scripts alone.
    """
    found: set[str] = set()
    for who, text, path, own in _texts(root.tree):
        if who not in found and (commands or not own) and pattern.search(text):
            found.add(who)
            yield who, path


def named_in_scripts(root: Root, pattern: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """Yield who names what a pattern's group finds in a script or a rule of udev, the name, and the path that shows it."""
    for who, text, path, own in _texts(root.tree):
        if not own:
            yield from ((who, found[1], path) for found in pattern.finditer(text))


@lru_cache(maxsize=4)
def _texts(tree: Tree) -> tuple[tuple[str, str, str, bool], ...]:
    """Return who runs what, where it says so, and whether it is a unit's own command; kept, as several checks ask for it."""
    units = {name: start.unit for name, start in starts_of(tree).items()}
    found = [(name, text, path, path == unit.path) for name, unit in units.items() for text, path in _said_by(tree, unit)]
    for run in run_by_rules(tree):
        who = f"udev ({run.path.rpartition('/')[2]}:{run.line})"
        found += [(who, text, path, False) for text, path in ((run.text, run.path), *scripts_of(tree, run.words))]
    return tuple(found)
