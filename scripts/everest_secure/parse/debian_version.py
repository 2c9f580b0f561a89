"""Order of the versions of dpkg and opkg (deb-version(7): epoch, upstream version, revision; a tilde comes before the end)."""

import re
from itertools import zip_longest

RELATIONS = ("<", "<=", "=", ">=", ">")
_PIECE = re.compile(r"(\D*)(\d*)", re.ASCII)


def satisfies(version: str, relation: str, wanted: str) -> bool:
    """Whether `version` stands in one of the `RELATIONS` to `wanted`."""
    order = _compare(version, wanted)
    return {"<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">": order > 0}[relation]


def _compare(one: str, other: str) -> int:
    (epoch, upstream, revision), (epoch2, upstream2, revision2) = _parts(one), _parts(other)
    return (epoch > epoch2) - (epoch < epoch2) or _order(upstream, upstream2) or _order(revision, revision2)


def _parts(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.strip().partition(":")
    if not colon or not epoch.isascii() or not epoch.isdigit():
        epoch, rest = "0", version.strip()
    upstream, dash, revision = rest.rpartition("-")
    return int(epoch[:18]), upstream if dash else rest, revision if dash else ""


def _order(one: str, other: str) -> int:
    """Compare piece by piece: what is no digit by character, letters before others, then the number behind it."""
    for (text, number), (text2, number2) in zip_longest(_PIECE.findall(one), _PIECE.findall(other), fillvalue=("", "")):
        left, right = [*map(_weight, text), 0], [*map(_weight, text2), 0]
        if left != right:
            return 1 if left > right else -1
        if (value := int(number or 0)) != (value2 := int(number2 or 0)):
            return 1 if value > value2 else -1
    return 0


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
