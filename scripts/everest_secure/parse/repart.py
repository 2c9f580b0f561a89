"""Partitions that systemd-repart makes at first boot (repart.d(5))."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import places
from everest_secure.parse.unit_file import parse_unit_file

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
    for path, texts in _definitions(tree).items():
        assignments = [each for text in texts for each in parse_unit_file(text, path) if each.section == "Partition"]
        values = {each.key: each.value for each in assignments}
        yield Partition(path, values.get("Label", ""), _size(values.get("SizeMinBytes", "")), _encryption(values.get("Encrypt", "")))


def _definitions(tree: Tree) -> dict[str, list[str]]:
    files: dict[str, str] = {}
    extras: dict[tuple[str, str], str] = {}
    for directory in DIRECTORIES:
        for node in tree.children(directory):
            if node.name.endswith(".conf"):
                files.setdefault(node.name, node.path)
            elif node.name.endswith(".conf.d"):
                for extra in tree.children(node.path):
                    if extra.name.endswith(".conf"):
                        extras.setdefault((node.name.removesuffix(".d"), extra.name), extra.path)
    wanted = {path: [path, *(extra for (of, _), extra in sorted(extras.items()) if of == name)] for name, path in sorted(files.items())}
    return {path: [tree.text(each) for each in each_file if _is_file(tree, each)] for path, each_file in wanted.items()}


def _is_file(tree: Tree, path: str) -> bool:
    node = tree.resolve(path)
    return node is not None and node.is_file


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)B?", text.strip())
    return int(found[1]) * _UNITS.get(found[2], 1) if found else DEFAULT_LEAST


def _encryption(text: str) -> str:
    """Return `Encrypt=` as systemd takes it: a boolean that is true is a key file (partition.c, config_parse_encrypt)."""
    word = text.lower()
    if word in ("", "off", "no", "n", "f", "false", "0"):
        return "off"
    return "key-file" if word in ("1", "yes", "y", "true", "t", "on") else word
