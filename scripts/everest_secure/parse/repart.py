"""Partitions that systemd-repart makes at first boot (repart.d(5))."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places, read_with_drop_ins

DIRECTORIES = places("repart.d")
DEFAULT_LEAST = 10 << 20
"""SizeMinBytes= when it is not set."""
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that will be made."""

    path: str
    label: str
    least: int
    """Bytes that it has at least; without room for them the device does not come up."""
    encrypt: str = "off"
    """`off`, `key-file`, `tpm2` or `key-file+tpm2`: what opens it."""


def partitions(tree: Tree) -> Iterator[Partition]:
    """Yield the partitions of all files with their drop-ins, the first directory's file of each name."""
    for node in conf_files(tree, DIRECTORIES):
        assignments = read_with_drop_ins(tree, node, DIRECTORIES)
        values = {each.key: each.value for each in assignments if each.section == "Partition"}
        least, encrypt = _size(values.get("SizeMinBytes", "")), _encryption(values.get("Encrypt", ""))
        yield Partition(node.path, values.get("Label", ""), least, encrypt)


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)B?", text.strip())
    return int(found[1]) * _UNITS.get(found[2], 1) if found else DEFAULT_LEAST


def _encryption(text: str) -> str:
    """Return `Encrypt=` as systemd takes it: a boolean that is true is a key file (partition.c, config_parse_encrypt)."""
    word = text.lower()
    if word in ("", "off", "no", "n", "f", "false", "0"):
        return "off"
    return "key-file" if word in ("1", "yes", "y", "true", "t", "on") else word
