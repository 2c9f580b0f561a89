"""What systemd-tmpfiles makes, changes and removes at boot (tmpfiles.d(5))."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places
from everest_secure.parse.timespan import seconds

DIRECTORIES = places("tmpfiles.d")
_ADJUSTING_TYPES = frozenset("zZm")
_WRITING_TYPES = frozenset(["w", "w+", "f+", "F"])
_DIRECTORY_TYPES = frozenset("dDvqQe")
_REMOVING_TYPES = frozenset("rRD")
_OWNING_TYPES = frozenset("fFdDvqQepLcbC")
"""Types that say what a path is."""
_AGE = re.compile("~?(?:[abcmABCM]+:)?([^:]*)")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory and how it will be."""

    path: str
    mode: int
    user: str
    """Name or number, `root` when the line leaves it out."""
    group: str
    source: str
    line: int
    age: str = ""
    """Age at which what lies in it is removed; empty when it never is."""


def age_seconds(age: str) -> float | None:
    """Return an age in seconds; before the span may stand `~` and which times count. None for `infinity`, and for what systemd refuses."""
    span = _AGE.fullmatch(age)
    return seconds(span[1]) if span else None


def _lines(text: str, source: str) -> Iterator[tuple[str, Directory]]:
    """Yield the type of each line with what it says; those that cannot be split are passed over, as systemd passes over them."""
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            fields = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(fields) >= 2:
            mode, user, group, age = (field if field != "-" else "" for field in [*fields[2:6], "", "", "", ""][:4])
            # What is for the start alone is nothing to systemd-tmpfiles-clean.service.
            if "!" in fields[0] or age_seconds(age) is None:
                age = ""
            digits = mode.lstrip("~:")
            octal = int(digits, 8) if re.fullmatch("[0-7]{1,5}", digits) else 0o755
            yield fields[0][:1], Directory(fields[1], octal, user or "root", group or "root", source, number, age)


def read_directories(tree: Tree) -> tuple[Directory, ...]:
    """Read all files, the first directory's file of each name; the first line for a path counts.

    Lines of the types `z`, `Z` and `m` come after all others and change mode and owner of what is there.
    """
    found: dict[str, Directory] = {}
    changes: list[tuple[str, Directory]] = []
    for kind, each in _read(tree):
        if kind in _DIRECTORY_TYPES:
            found.setdefault(each.path.rstrip("/"), each)
        elif kind in _ADJUSTING_TYPES:
            changes.append((kind, each))
    return tuple(_changed(directory, changes) for directory in found.values())


@dataclass(frozen=True, slots=True)
class Write:
    """A line that writes into a file that is there, such as one of /proc/sys or /sys."""

    path: str
    """May be a pattern of glob(7)."""
    value: str
    source: str
    line: int


def read_writes(tree: Tree) -> Iterator[Write]:
    """Yield the lines of the types `w`, `w+`, `f+` and `F`, which write their argument."""
    for text, source in _files(tree):
        for number, line in enumerate(text.split("\n"), start=1):
            fields = line.split(None, 6)
            if len(fields) == 7 and fields[0].rstrip("!-=~^$") in _WRITING_TYPES:
                yield Write(fields[1].strip("\"'"), fields[6].strip().strip("\"'"), source, number)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link that is made."""

    path: str
    target: str
    """May be relative to the link's directory."""
    source: str
    line: int


def read_links(tree: Tree) -> tuple[Link, ...]:
    """Return the links that lines of type `L` make; one for a path that an earlier line makes otherwise counts with `+` alone (item_compatible)."""
    made: set[str] = set()
    found = []
    for text, source in _files(tree):
        for number, line in enumerate(text.split("\n"), start=1):
            fields = [field.strip("\"'") for field in line.split(None, 6)]
            if len(fields) < 2 or fields[0][:1] not in _OWNING_TYPES:
                continue
            path = fields[1].rstrip("/")
            if fields[0][:1] == "L" and len(fields) == 7 and (path not in made or "+" in fields[0]):
                found.append(Link(path, fields[6].strip().strip("\"'"), source, number))
            made.add(path)
    return tuple(found)


def read_made(tree: Tree, directory: str) -> Iterator[Directory]:
    """Yield the lines that make something in a directory."""
    for kind, each in _read(tree):
        if kind in _OWNING_TYPES and each.path.rpartition("/")[0] == directory:
            yield each


def read_removals(tree: Tree) -> Iterator[Directory]:
    """Yield what is removed, or emptied, at every boot: lines of the types `r`, `R` and `D`, whose paths but the last one's may be patterns."""
    yield from (each for kind, each in _read(tree) if kind in _REMOVING_TYPES)


def read_changes(tree: Tree, path: str) -> Iterator[Directory]:
    """Yield the lines that change mode or owner of a file that something else makes: types `z`, `Z` and `m`."""
    for kind, each in _read(tree):
        if kind in _ADJUSTING_TYPES and fnmatchcase(path, each.path):
            yield each


def read_ages(tree: Tree) -> tuple[Directory, ...]:
    """Return the directories that systemd-tmpfiles-clean.service empties of what is old, one for each line that has an age."""
    return tuple(each for kind, each in _read(tree) if kind in _DIRECTORY_TYPES and each.age)


def read_cleaning(tree: Tree, path: str) -> Directory | None:
    """Return the line by which systemd-tmpfiles-clean.service empties a directory of what is old; None without one, or where a line keeps what is in it."""
    lines = _read(tree)
    if any(kind == "x" and _keeps_below(each.path, path) for kind, each in lines):
        return None
    for kind, each in lines:
        if each.path.rstrip("/") == path:
            if kind == "x":
                return None
            if kind in _DIRECTORY_TYPES and each.age:
                return each
    return None


def _keeps_below(pattern: str, path: str) -> bool:
    return pattern.startswith(f"{path}/") or fnmatchcase(f"{path}/name", pattern)


@lru_cache(maxsize=4)
def _read(tree: Tree) -> tuple[tuple[str, Directory], ...]:
    return tuple(line for text, path in _files(tree) for line in _lines(text, path))


def _files(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield text and path of every file."""
    return ((tree.text(file.path), file.path) for file in conf_files(tree, DIRECTORIES))


def _changed(directory: Directory, changes: list[tuple[str, Directory]]) -> Directory:
    for kind, change in changes:
        pattern = change.path.rstrip("/")
        if fnmatchcase(directory.path.rstrip("/"), pattern) or (kind == "Z" and fnmatchcase(directory.path, f"{pattern}/*")):
            directory = replace(change, path=directory.path)
    return directory
