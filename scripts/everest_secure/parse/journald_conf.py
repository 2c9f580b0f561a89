"""What systemd-journald keeps, where and how much of it (journald.conf(5); systemd's journald-server.c, parse_size())."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.timespan import seconds
from everest_secure.parse.unit_file import Assignment, is_boolean
from everest_secure.parse.unsigned import unsigned

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""syslog(3); the position of each is its number."""
_SIZE = re.compile(r"\s*\+?(\d{1,20})(?:\.(\d{0,20}))?\s*([EPTGMKB]?)", re.ASCII)
_UNITS: tuple[str, ...] = ("E", "P", "T", "G", "M", "K", "B", "")
_FACTOR = {unit: 1024**power for power, unit in enumerate(["B", "K", "M", "G", "T", "P", "E"])} | {"": 1}
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class JournaldConf:
    """The assignments that count."""

    storage: Assignment | None
    """`Storage=`; without one it is `auto`: persistent only if somebody made /var/log/journal."""
    system_max_use: Assignment | None
    """`SystemMaxUse=`; without one it is a tenth of the file system."""
    max_level_store: Assignment | None
    """`MaxLevelStore=`; without one everything is kept."""
    max_retention: Assignment | None
    """`MaxRetentionSec=`; without one the size alone decides."""
    read_kmsg: Assignment | None
    """`ReadKMsg=`; without one the kernel's messages are kept too."""

    @property
    def bytes(self) -> int | None:
        """Bytes that the journal takes at most; None when no such number is set, or 0, with which journald never removes anything."""
        return size(self.system_max_use.value) or None if self.system_max_use else None


def size(text: str) -> int | None:
    """Return a size such as `64M`, `1.5G` or `1G 512M` in bytes, powers of 1024; None when it is none."""
    total, position, units, stripped = 0, 0, _UNITS, text.strip()
    while position < len(stripped) or not position:
        part = _SIZE.match(stripped, position)
        if part is None or part[3] not in units:
            return None
        fraction = int(part[2]) / 10 ** len(part[2]) if part[2] else 0
        total += int(part[1]) * _FACTOR[part[3]] + int(fraction * _FACTOR[part[3]])
        units = units[units.index(part[3]) + 1 :]
        position = part.end()
    return total if total <= _MOST else None


def level(text: str) -> int | None:
    """Return the number of a priority, 0 for `emerg` to 7 for `debug`, given by name or number; None when it is none."""
    number = LEVELS.index(text) if text in LEVELS else unsigned(text)
    return number if number is not None and number < len(LEVELS) else None


_READABLE: Mapping[str, Callable[[str], bool]] = {
    "Storage": lambda text: text in ("none", "volatile", "persistent", "auto"),
    "SystemMaxUse": lambda text: size(text) is not None,
    "MaxLevelStore": lambda text: level(text) is not None,
    "ReadKMsg": is_boolean,
    "MaxRetentionSec": lambda text: text == "infinity" or seconds(text) is not None,
}


def read_journald_conf(tree: Tree) -> JournaldConf:
    """Read journald.conf with its drop-ins; of a key the last value that journald can read counts, and nothing is none of them."""
    lines = (each for each in read_daemon_conf(tree, "journald.conf") if each.section == "Journal")
    last = {each.key: each for each in lines if each.key in _READABLE and _READABLE[each.key](each.value)}
    return JournaldConf(
        last.get("Storage"), last.get("SystemMaxUse"), last.get("MaxLevelStore"), last.get("MaxRetentionSec"), last.get("ReadKMsg")
    )
