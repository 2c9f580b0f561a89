"""Directories that systemd-tmpfiles makes at boot (tmpfiles.d(5))."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.image.tree import Tree

DIRECTORIES = ("/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d")
_DIRECTORY_TYPES = frozenset("dDvqQe")


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


def parse_tmpfiles(text: str, source: str) -> Iterator[Directory]:
    """Yield the directories that a file makes; lines of other types, and those that cannot be split, are passed over as systemd does."""
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            fields = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(fields) >= 2 and fields[0][:1] in _DIRECTORY_TYPES:
            mode, user, group = (field if field != "-" else "" for field in [*fields[2:5], "", "", ""][:3])
            digits = mode.lstrip("~:")
            yield Directory(fields[1], int(digits, 8) if digits.isdigit() else 0o755, user or "root", group or "root", source, number)


def read_directories(tree: Tree) -> tuple[Directory, ...]:
    """Read all files, the first directory's file of each name; the first line for a path counts."""
    files: dict[str, str] = {}
    for directory in DIRECTORIES:
        for node in tree.children(directory):
            if node.name.endswith(".conf"):
                files.setdefault(node.name, node.path)
    found: dict[str, Directory] = {}
    for _, path in sorted(files.items()):
        file = tree.resolve(path)
        if file is not None and file.is_file:
            for each in parse_tmpfiles(tree.text(path), path):
                found.setdefault(each.path.rstrip("/"), each)
    return tuple(found.values())
