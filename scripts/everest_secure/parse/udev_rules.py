"""USB devices that udev lets in (udev(7), `authorized` of Documentation/usb/authorization.rst)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places

_TOKEN = re.compile(r'([A-Z_]+)(?:\{([^}]*)\})?\s*(==|!=|\+=|-=|:=|=)\s*[ei]?"((?:[^"\\]|\\.)*)"')
_RUNS = ("RUN", "PROGRAM", "IMPORT")


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A rule that authorises USB devices, or runs a program that may."""

    path: str
    line: int
    device: str
    """`VENDOR:PRODUCT` as lsusb writes it; empty when the rule is not for one kind of device alone."""


def authorisations(tree: Tree) -> Iterator[Authorisation]:
    """Yield every rule that sets an attribute `authorized` or `authorized_default` to anything but 0."""
    for node in conf_files(tree, (*places("udev/rules.d"), "/lib/udev/rules.d"), ".rules"):
        for number, line in _lines(tree.text(node.path)):
            tokens = _TOKEN.findall(line)
            if any(_authorises(*token) for token in tokens):
                matched = {name: value for key, name, operator, value in tokens if key == "ATTR" and operator == "=="}
                ids = (matched.get("idVendor", ""), matched.get("idProduct", ""))
                single = all(re.fullmatch(r"[0-9a-fA-F]{4}", each) for each in ids)
                yield Authorisation(node.path, number, ":".join(ids).lower() if single else "")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield rules with the number of the line that they begin in; a line that ends in a backslash goes on in the next, a comment ends with its line."""
    held, start = "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        if not held and raw.lstrip().startswith("#"):
            continue
        start = start if held else number
        held += raw.removesuffix("\\")
        if raw.endswith("\\"):
            held += " "
            continue
        yield start, held
        held = ""
    if held:
        yield start, held


def _authorises(key: str, name: str, operator: str, value: str) -> bool:
    if operator in ("==", "!="):
        return False
    if key == "ATTR" and name.rsplit("/", 1)[-1] in ("authorized", "authorized_default"):
        return value != "0"
    return key in _RUNS and "authorized" in value
