"""Kernel settings that something else than systemd-sysctl makes at boot: systemd-tmpfiles and udev."""

import re
from collections.abc import Iterator

from everest_secure.image.tree import Tree
from everest_secure.parse.sysctl import normalised
from everest_secure.parse.tmpfiles import Write, read_writes
from everest_secure.parse.udev_rules import MATCHING, rules

PROC = "/proc/sys/"
_SYSCTL = re.compile(r"SYSCTL\{(?P<key>[^}]*)\}")


def written(tree: Tree) -> Iterator[Write]:
    """Yield what tmpfiles.d(5) writes below /proc/sys, and what rules of udev assign to `SYSCTL{key}` (udev(7))."""
    yield from (each for each in read_writes(tree) if each.path.startswith(PROC))
    for path, line, keys in rules(tree):
        for key, operator, value in keys:
            setting = _SYSCTL.fullmatch(key)
            if setting and operator not in MATCHING:
                yield Write(f"{PROC}{normalised(setting['key'])}", value, path, line)
