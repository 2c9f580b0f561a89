"""What udev's rules make of one device node: group and mode (udev(7)); for devices of which kernel name and subsystem are known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from everest_secure.image.tree import Tree
from everest_secure.parse.udev_rules import MATCHING, RUNNING, Keys, rules

_NODE = re.compile(r"\$(?:devnode|tempnode)\b|%N|/dev/(?:%k|%D|\$kernel\b|\$name\b)")
"""What udev puts the path of the device's node in the place of (udev(7), "substitutions")."""


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
    for path, number, keys in rules(tree):
        # A jump stays in its file.
        file, skip = path, skip if path == file else ""
        if any(key == "LABEL" and value == skip for key, _, value in keys):
            skip = ""
        if skip or not all(_holds(device, key, operator, value) for key, operator, value in keys if operator in MATCHING):
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


def open_to_others(tree: Tree, *, kernel: str, subsystem: str) -> Iterator[NodeAccess]:
    """Yield the rules that may be for a device, whatever else they ask for, and let everyone open it."""
    for path, number, keys in _rules_for(tree, kernel, subsystem):
        for key, operator, value in keys:
            if key == "MODE" and operator not in MATCHING and re.fullmatch("[0-7]{1,5}", value) and int(value, 8) & 0o007:
                yield NodeAccess("", int(value, 8), path, number)


def commands_on(tree: Tree, *, kernel: str, subsystem: str) -> Iterator[tuple[str, str, int]]:
    """Yield each command that a rule which may be for a device runs, with the node in its place, and the rule's path and line."""
    for path, number, keys in _rules_for(tree, kernel, subsystem):
        for key, _, value in keys:
            if RUNNING.fullmatch(key):
                yield _NODE.sub(f"/dev/{kernel}", value), path, number


def _rules_for(tree: Tree, kernel: str, subsystem: str) -> Iterator[tuple[str, int, Keys]]:
    device = {"KERNEL": kernel, "SUBSYSTEM": subsystem, "ACTION": "add"}
    for path, number, keys in rules(tree):
        asked = [(key, operator, value) for key, operator, value in keys if operator in MATCHING and key in device]
        if any(key in ("KERNEL", "SUBSYSTEM") for key, _, _ in asked) and all(_holds(device, *each) for each in asked):
            yield path, number, keys


def _holds(device: Mapping[str, str], key: str, operator: str, value: str) -> bool:
    if key not in device:
        return False
    return any(fnmatchcase(device[key], pattern) for pattern in value.split("|")) is (operator == "==")
