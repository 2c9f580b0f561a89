"""Kernel settings as systemd-sysctl makes them at boot (sysctl.d(5); systemd's src/sysctl/sysctl.c)."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places

DIRECTORIES = places("sysctl.d")
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Setting:
    """One assignment."""

    key: str
    """Path below /proc/sys, perhaps with `*`: `net/ipv4/conf/*/rp_filter`."""
    value: str | None
    """None for a line that only takes the key out of patterns: `-net.ipv4.conf.all.rp_filter`."""
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, a key only once, in the order in which they are made."""

    assigned: Mapping[str, Setting]

    def get(self, key: str) -> Setting | None:
        """Return what a key, written with dots or slashes, is set to; None when it is left to the kernel.

        A setting of exactly that key counts, else the last pattern that fits: patterns are made in their order and pass over every key
        that has a setting of its own.
        """
        wanted = normalised(key)
        exact = self.assigned.get(wanted)
        if exact is not None:
            return exact if exact.value is not None else None
        return next((each for each in reversed(tuple(self.assigned.values())) if _fits(each, wanted)), None)


def _fits(setting: Setting, key: str) -> bool:
    """Whether a pattern names a key; a star ends at a slash (glob(3))."""
    parts, pattern = key.split("/"), setting.key.split("/")
    if setting.value is None or not _GLOB.intersection(setting.key) or len(parts) != len(pattern):
        return False
    return all(fnmatchcase(part, wanted) for part, wanted in zip(parts, pattern, strict=True))


def normalised(key: str) -> str:
    """Return a key as a path: when its first separator is a dot, dots and slashes change places (sysctl_normalize)."""
    separators = [character for character in key if character in "./"]
    if separators[:1] == ["."]:
        key = key.translate({ord("."): "/", ord("/"): "."})
    return "/".join(part for part in key.split("/") if part not in ("", "."))


def parse_sysctl(text: str, path: str) -> tuple[Setting, ...]:
    """Parse one file; a line that is neither an assignment nor an exclusion is passed over, as systemd passes over it with a warning."""
    found: list[Setting] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if not equals and not line.startswith("-"):
            continue
        found.append(Setting(normalised(key.removeprefix("-").strip()), value.strip() if equals else None, path, number))
    return tuple(found)


def read_sysctl(tree: Tree) -> Settings:
    """Read all files of the sysctl.d directories; a key that is set anew moves to the end of the order."""
    assigned: dict[str, Setting] = {}
    for node in conf_files(tree, DIRECTORIES):
        for setting in parse_sysctl(tree.text(node.path), node.path):
            before = assigned.get(setting.key)
            if before is not None and before.value == setting.value:
                continue
            assigned.pop(setting.key, None)
            assigned[setting.key] = setting
    return Settings(assigned)
