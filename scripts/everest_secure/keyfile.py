"""GLib key files, the syntax of RAUC's system.conf and manifest (Desktop Entry Specification, "Basic format of the file")."""

from collections.abc import Mapping
from dataclasses import dataclass

from everest_secure.errors import ArtefactError

_SPACE = " \t\n\f\r"
"""What GLib takes for white space (g_ascii_isspace)."""
_ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A value with escapes undone, and its line."""

    value: str
    line: int


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Groups in order of appearance."""

    where: str
    groups: Mapping[str, Mapping[str, Entry]]
    repeated: tuple[tuple[str, str], ...] = ()
    """Group and key of what was given more than once, of which the last value counts."""

    def get(self, group: str, key: str) -> Entry | None:
        """Return an entry; None when group or key is missing."""
        return self.groups.get(group, {}).get(key)

    def value(self, group: str, key: str, default: str = "") -> str:
        """Return a value, or the default when it is missing."""
        entry = self.get(group, key)
        return entry.value if entry else default

    def boolean(self, group: str, key: str, *, default: bool) -> bool:
        """Return a boolean as g_key_file_get_boolean() reads it; raises ArtefactError when it is none."""
        entry = self.get(group, key)
        if entry is None:
            return default
        known = {"true": True, "1": True, "false": False, "0": False}
        if entry.value.strip() not in known:
            raise ArtefactError(f"{self.where}:{entry.line} gives '{key}' a value that is neither true nor false; mend the file")
        return known[entry.value.strip()]


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list as g_key_file_get_string_list() reads it: each with a semicolon behind it, which the last may lack."""
    return tuple(text.removesuffix(";").split(";")) if text else ()


def parse_keyfile(text: str, where: str) -> KeyFile:
    """Parse a key file; a group that comes twice is one, a key that comes twice has its last value. Raises ArtefactError as GLib would."""
    groups: dict[str, dict[str, Entry]] = {}
    repeated: list[tuple[str, str]] = []
    group, current = "", None
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.lstrip(_SPACE)
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            group, bracket, rest = line[1:].partition("]")
            if not bracket or rest.strip(_SPACE) or not group or "[" in group:
                raise ArtefactError(f"{where}:{number} is no group header; mend the file")
            current = groups.setdefault(group, {})
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip(_SPACE) or current is None:
            raise ArtefactError(f"{where}:{number} is neither a group nor a key of one; mend the file")
        key = key.rstrip(_SPACE)
        if key in current:
            repeated.append((group, key))
        current[key] = Entry(_unescape(value.lstrip(_SPACE), where, number), number)
    return KeyFile(where, groups, tuple(repeated))


def _unescape(value: str, where: str, line: int) -> str:
    found, characters = "", iter(value.rstrip("\r"))
    for character in characters:
        if character != "\\":
            found += character
            continue
        escape = next(characters, "")
        if escape not in _ESCAPES:
            raise ArtefactError(f"{where}:{line} holds an invalid escape sequence; mend the file")
        found += _ESCAPES[escape]
    return found
