"""Versions of packages, compared as dpkg and opkg compare them (deb-version(7)); of the marks that rpm knows besides, `^` sorts as a letter."""

import operator
import re
from collections.abc import Callable, Mapping
from itertools import zip_longest

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_COUNTER = "AUTOINC"
_EPOCH = re.compile(r"[0-9]+:")
MAX_LENGTH = 256
"""Characters of a version that are looked at."""


RELATIONS: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def satisfies(version: str, relation: str, wanted: str) -> bool:
    """Whether a whole version, with epoch and revision, stands in one of the `RELATIONS` to another."""
    return RELATIONS[relation](_compare_whole(version[:MAX_LENGTH], wanted[:MAX_LENGTH]), 0)


def _compare_whole(one: str, other: str) -> int:
    epochs = [int(found[0][:-1]) if (found := _EPOCH.match(each)) else 0 for each in (one, other)]
    revisions = [bare.rpartition("-")[2] if "-" in bare else "" for bare in (_EPOCH.sub("", one, count=1), _EPOCH.sub("", other, count=1))]
    return (epochs[0] > epochs[1]) - (epochs[0] < epochs[1]) or compare(upstream(one), upstream(other)) or compare(*revisions)


def upstream(version: str) -> str:
    """Return the upstream part: without the epoch, and without the packager's revision after the last hyphen."""
    bare = _EPOCH.sub("", version[:MAX_LENGTH], count=1)
    return bare.rpartition("-")[0] or bare


def is_built_from(version: str, source: str) -> bool:
    """Whether a package of a whole version was built from a source of a version.

    OE-Core adds epoch and revision to PV, the commit to one that ends with `+git`, a number in the place of `AUTOINC`
    (package.bbclass, package_setup_pkgv), and writes `+` for `-` in the versions of rpm (package_rpm.bbclass).
    """
    wanted = source[:MAX_LENGTH].replace("-", "+")
    bare = _EPOCH.sub("", version[:MAX_LENGTH], count=1)
    forms = [each.replace("-", "+") for each in (version[:MAX_LENGTH], bare, upstream(version))]
    pattern = r"\d+".join(map(re.escape, wanted.split(_COUNTER, 1)))
    open_end = "+" in wanted and wanted[-1:].isalpha()
    return bool(wanted) and any(re.fullmatch(f"{pattern}.*" if open_end else pattern, each) for each in forms)


def compare(one: str, other: str) -> int:
    """Return whether an upstream version sorts before (-1), with (0) or after (1) another.

    Runs of digits compare as numbers, all else character by character: `~` before the end, letters before other characters.
    """
    for (word, number), (other_word, other_number) in zip_longest(_parts(one), _parts(other), fillvalue=("", "")):
        for left, right in zip_longest(map(_order, word), map(_order, other_word), fillvalue=0):
            if left != right:
                return 1 if left > right else -1
        difference = int(number or 0) - int(other_number or 0)
        if difference:
            return 1 if difference > 0 else -1
    return 0


def _parts(version: str) -> list[tuple[str, str]]:
    return [(found[1], found[2]) for found in _PARTS.finditer(version[:MAX_LENGTH]) if found[0]]


def _order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 0x110000
