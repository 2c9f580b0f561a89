"""What udev's rules make of one device node: group and mode (udev(7)); for devices of which kernel name and subsystem are known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from everest_secure.image.tree import Tree
from everest_secure.parse.generated import UDEV_RULES

_KEY = re.compile(r'\s*(?P<key>[A-Z_]+(?:\{[^}]*\})?)\s*(?P<operator>==|!=|:=|\+=|-=|=)\s*e?"(?P<value>(?:[^"\\]|\\.)*)"\s*,?')
_MATCHING = ("==", "!=")


@dataclass(frozen=True, slots=True)
class NodeAccess:
    """Who may open a device node, and the rule that said so last."""

    group: str
    """Name or number; `root` when no rule says anything."""
    mode: int
    path: str
    line: int


def node_access(tree: Tree, *, kernel: str, subsystem: str) -> NodeAccess:
    """Follow the rules for a device that is added; a rule that asks for anything but kernel name, subsystem and action is not taken to match."""
    device = {"KERNEL": kernel, "SUBSYSTEM": subsystem, "ACTION": "add"}
    found, final = NodeAccess("root", 0o600, "", 0), set[str]()
    file = skip = ""
    for path, number, keys in _rules(tree):
        # A jump stays in its file.
        file, skip = path, skip if path == file else ""
        if any(key == "LABEL" and value == skip for key, _, value in keys):
            skip = ""
        if skip or not all(_holds(device, key, operator, value) for key, operator, value in keys if operator in _MATCHING):
            continue
        for key, operator, value in keys:
            if key == "GOTO":
                skip = value
            if key in final or operator not in ("=", ":="):
                continue
            if key == "GROUP":
                found = NodeAccess(value, found.mode if found.mode != 0o600 else 0o660, path, number)
            elif key == "MODE" and re.fullmatch("[0-7]{1,5}", value):
                found = NodeAccess(found.group, int(value, 8), path, number)
            if operator == ":=":
                final.add(key)
    return found


def _holds(device: Mapping[str, str], key: str, operator: str, value: str) -> bool:
    if key not in device:
        return False
    return any(fnmatchcase(device[key], pattern) for pattern in value.split("|")) is (operator == "==")


def _rules(tree: Tree) -> Iterator[tuple[str, int, list[tuple[str, str, str]]]]:
    """Yield path, line and keys of each rule: files by name, the first directory's file of each name, continued lines joined."""
    files: dict[str, str] = {}
    for node in (node for directory in UDEV_RULES for node in tree.children(directory) if node.name.endswith(".rules")):
        files.setdefault(node.name, node.path)
    for _, path in sorted(files.items()):
        file = tree.resolve(path)
        if file is None or not file.is_file:
            continue
        held, start = "", 0
        for number, line in enumerate(tree.text(path).split("\n"), start=1):
            if not held and line.lstrip().startswith("#"):
                continue
            start = start or number
            if line.endswith("\\"):
                held += line[:-1]
                continue
            yield path, start, [(each["key"], each["operator"], each["value"]) for each in _KEY.finditer(held + line)]
            held, start = "", 0
