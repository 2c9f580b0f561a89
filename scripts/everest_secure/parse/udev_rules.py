"""udev's rules (udev(7)), the units that they start, and the USB devices that they let in (`authorized` of Documentation/usb/authorization.rst)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places

DIRECTORIES = places("udev/rules.d")
MATCHING = ("==", "!=")
"""Operators that ask; all others assign."""
_KEY = re.compile(r'(?<![A-Z_])(?P<key>[A-Z_]+(?:\{[^{}"]*\})?)\s*(?P<operator>==|!=|:=|\+=|-=|=)\s*[ei]?"(?P<value>(?:[^"\\]|\\.)*)"\s*,?')
_AUTHORISING = re.compile(r"ATTR\{(?:.*[/\]])?authorized(?:_default)?\}")
_PROGRAMS = "/usr/lib/udev"
RUNNING = re.compile(r"(?:RUN|PROGRAM|IMPORT)(?:\{.*\})?")
"""Keys whose value is a command."""

Keys = list[tuple[str, str, str]]
"""Key with its attribute, operator and value."""


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A rule that authorises USB devices, or runs a program that may."""

    path: str
    line: int
    device: str
    """`VENDOR:PRODUCT` as lsusb writes it; empty when the rule is not for one kind of device alone."""


@lru_cache(maxsize=4)
def rules(tree: Tree) -> tuple[tuple[str, int, Keys], ...]:
    """Return path, line and keys of each rule: files by name, the first directory's file of each name, continued lines joined.

    Those of the last few trees are kept, as several checks ask for them.
    """
    return tuple(_rules(tree))


def _rules(tree: Tree) -> Iterator[tuple[str, int, Keys]]:
    for file in conf_files(tree, DIRECTORIES, ".rules"):
        held, start = "", 0
        for number, line in enumerate(tree.text(file.path).split("\n"), start=1):
            if not held and line.lstrip().startswith("#"):
                continue
            start = start or number
            if line.endswith("\\"):
                held += line[:-1]
                continue
            yield file.path, start, [(each["key"], each["operator"], each["value"]) for each in _KEY.finditer(held + line)]
            held, start = "", 0


def wanted_by_devices(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the units that rules start and their paths (systemd.device(5), SYSTEMD_WANTS); what a device fills in stands as it is in the rule."""
    for path, _, keys in rules(tree):
        for key, operator, value in keys:
            if key == "ENV{SYSTEMD_WANTS}" and operator not in (*MATCHING, "-="):
                yield from ((name, path) for name in value.split())


@dataclass(frozen=True, slots=True)
class Run:
    """A command that a rule runs."""

    path: str
    line: int
    text: str
    """As it is written in the rule."""

    @property
    def words(self) -> tuple[str, ...]:
        """Program and arguments; a program without a directory is one of udev's own (udev(7), `RUN`)."""
        program, *others = self.text.replace("'", " ").split() or [""]
        return (program if "/" in program else f"{_PROGRAMS}/{program}", *others)


def run_by_rules(tree: Tree) -> Iterator[Run]:
    """Yield every command that a rule runs."""
    for path, line, keys in rules(tree):
        yield from (Run(path, line, value) for key, operator, value in keys if RUNNING.fullmatch(key) and operator != "-=")


def authorisations(tree: Tree) -> Iterator[Authorisation]:
    """Yield every rule that sets an attribute `authorized` or `authorized_default` to anything but 0, or runs a program that names one."""
    for path, line, keys in rules(tree):
        if any(_authorises(*each) for each in keys):
            asked = {key: value for key, operator, value in keys if operator == "=="}
            ids = (asked.get("ATTR{idVendor}", ""), asked.get("ATTR{idProduct}", ""))
            single = all(re.fullmatch(r"[0-9a-fA-F]{4}", each) for each in ids)
            yield Authorisation(path, line, ":".join(ids).lower() if single else "")


def _authorises(key: str, operator: str, value: str) -> bool:
    if operator in MATCHING:
        return False
    return (_AUTHORISING.fullmatch(key) is not None and value != "0") or (RUNNING.fullmatch(key) is not None and "authorized" in value)
