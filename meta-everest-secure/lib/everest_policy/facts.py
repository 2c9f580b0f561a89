"""What the functions of this package know of BitBake and of the layer's knobs."""

from __future__ import annotations

import re
from typing import Protocol


class Data(Protocol):
    """What is used of BitBake's datastore; the names are BitBake's."""

    def getVar(self, name: str) -> str | None:  # noqa: N802 - BitBake's name
        """Return a variable's value, expanded."""
        ...

    def getVarFlag(self, name: str, flag: str) -> str | None:  # noqa: N802 - BitBake's name
        """Return a variable's flag, expanded."""
        ...


def words(d: Data, name: str) -> list[str]:
    """Return the words of a variable; none when it is unset."""
    return (d.getVar(name) or "").split()


def is_on(d: Data, name: str) -> bool:
    """Whether a knob that is "1" or "0" is on."""
    return d.getVar(name) == "1"


def tagged(d: Data, knob: str, sentence: str) -> str:
    """Put the ID that a knob's [doc] names first before a sentence about that knob."""
    found = re.search(r"[A-Z]+-\d\d", d.getVarFlag(knob, "doc") or "")
    return f"{found[0]}: {sentence}" if found else sentence


def meaning(d: Data, knob: str) -> str:
    """Return what a knob's [doc] says first."""
    return re.split(r"; | \(|\. ", (d.getVarFlag(knob, "doc") or knob).rstrip("."))[0]
