"""What systemd-journald keeps, where and how much of it (journald.conf(5); systemd's journald-server.c, parse_size())."""

import re
from dataclasses import dataclass

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.unit_file import Assignment

_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMGTPE]?)B?", re.ASCII)
_FACTOR = {unit: 1024**power for power, unit in enumerate(["", "K", "M", "G", "T", "P", "E"])}


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

    @property
    def bytes(self) -> int | None:
        """Bytes that the journal takes at most; None when no such number is set."""
        return size(self.system_max_use.value) if self.system_max_use else None


def size(text: str) -> int | None:
    """Return a size such as `64M` or `1.5G` in bytes, powers of 1024; None when it is none, or nothing."""
    found = _SIZE.fullmatch(text.strip())
    return int(float(found[1]) * _FACTOR[found[2]]) or None if found else None


def read_journald_conf(tree: Tree) -> JournaldConf:
    """Read journald.conf with its drop-ins; of a key the last assignment counts, and an empty one is the default again."""
    last = {each.key: each for each in read_daemon_conf(tree, "journald.conf") if each.section == "Journal"}
    kept = {key: each for key, each in last.items() if each.value}
    return JournaldConf(kept.get("Storage"), kept.get("SystemMaxUse"), kept.get("MaxLevelStore"), kept.get("MaxRetentionSec"))
