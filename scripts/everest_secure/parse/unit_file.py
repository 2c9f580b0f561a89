"""Syntax of systemd unit files (systemd.syntax(7)) and the meaning of lists, booleans and capability sets in them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.parse.unit_words import split_words

_NAMES_OF_UNITS = ("Unit", "Install")
_TRUE = frozenset(("1", "yes", "y", "true", "t", "on"))
_FALSE = frozenset(("0", "no", "n", "false", "f", "off"))


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment, specifiers left as they are."""

    section: str
    key: str
    value: str
    path: str
    line: int


def parse_unit_file(text: str, path: str) -> tuple[Assignment, ...]:
    """Parse a unit file or drop-in; lines outside a section and without `=` are ignored, as systemd ignores them with a warning."""
    found: list[Assignment] = []
    section = ""
    for number, line in _logical_lines(text):
        header = re.fullmatch(r"\[([^\[\]]+)\]", line)
        if header:
            section = header[1]
            continue
        key, equals, value = line.partition("=")
        if equals and section:
            found.append(Assignment(section, key.strip(), value.strip(), path, number))
    return tuple(found)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with continuations joined by a space; a comment inside a continued line is left out of it.

    A mark of byte order is passed over, a line ends at a newline alone, and continues when its very last character is a backslash that no other escapes (conf-parser.c, config_parse).
    """
    found: list[tuple[int, str]] = []
    held, start = "", 0
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.rstrip("\r").lstrip()
        if line.startswith(("#", ";")):
            continue
        start = start or number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held += line[:-1] + " "
            continue
        line = (held + line).strip()
        if line:
            found.append((start, line))
        held, start = "", 0
    if held.strip():
        found.append((start, held.strip()))
    return found


def effective(assignments: Iterable[Assignment]) -> tuple[Assignment, ...]:
    """Return the assignments of one list-like key that count: an empty one resets those before it."""
    found: list[Assignment] = []
    for assignment in assignments:
        if assignment.value:
            found.append(assignment)
        else:
            found.clear()
    return tuple(found)


def words(assignments: Iterable[Assignment]) -> tuple[str, ...]:
    """Return all words of one list-like key, unquoted; raises ArtefactError for an open quote."""
    found: list[str] = []
    for assignment in effective(assignments):
        try:
            found += split_words(assignment.value, keep_escapes=assignment.section in _NAMES_OF_UNITS)
        except ValueError:
            raise ArtefactError(f"{assignment.path}:{assignment.line} has a quote that is never closed; mend the unit") from None
    return tuple(found)


def boolean(value: str) -> bool:
    """Return whether systemd takes the value for true (parse_boolean)."""
    return value.lower() in _TRUE


def is_boolean(value: str) -> bool:
    """Return whether systemd takes the value for true or false; a line with any other changes nothing."""
    return value.lower() in _TRUE | _FALSE


def octal(value: str, default: int) -> int:
    """Return a mode; the default for what systemd takes for none, with a warning (parse_mode)."""
    return int(value, 8) if re.fullmatch("0*[0-7]{1,4}", value) else default


def capabilities(assignments: Iterable[Assignment], every: frozenset[str]) -> frozenset[str]:
    """Return the set that `CapabilityBoundingSet=` lines leave.

    Without a line it is `every` capability. Lines add, those that start with `~` take away; a line that names no known capability, and any line
    while the set is `every`, starts anew: with the named ones, or with `~` all but them (systemd.exec(5); config_parse_capability_set).
    """
    result = every
    for assignment in assignments:
        inverted = assignment.value.startswith("~")
        named = frozenset(assignment.value.removeprefix("~").upper().split())
        if not named & every or result == every:
            result = every - named if inverted else named
        else:
            result = result - named if inverted else result | named
    return result
