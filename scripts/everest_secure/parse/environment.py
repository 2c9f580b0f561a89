"""Environment of a service: that of all services, `Environment=`, files, and what is taken out again (systemd.exec(5), "Environment")."""

import re
from collections.abc import Mapping

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.globbing import globbed
from everest_secure.parse.unit_file import words
from everest_secure.parse.units import Unit

_IGNORED = re.compile(r"\s*(?:[#;](?:\\.|[^\\\n\r])*\s*)*", re.DOTALL)
_KEY = re.compile(r"[^=\n\r]*")
_QUOTED = re.compile(r"[ \t]*(?:'([^']*)(?:'|\Z)|\"((?:\\.|[^\"\\])*)(?:\"|\Z))", re.DOTALL)
_PLAIN = re.compile(r"[ \t]*((?:\\.|[^\\\n\r])*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment_files(tree: Tree, unit: Unit) -> tuple[str, ...]:
    """Return the paths of `EnvironmentFile=`, without the `-` of those that may be missing, and of one with wildcards those that it stands for.

    One that no file has is returned as it is written.
    """
    named = (word.removeprefix("-") for word in unit.words("Service", "EnvironmentFile"))
    return tuple(path for name in named for path in globbed(tree, name) or [name])


def parse_environment_file(text: str) -> Mapping[str, str]:
    """Parse a file of `NAME=value` lines; the last value of a name counts, and what is no name of a variable is left out.

    Quotes are some only at the beginning of a value, behind one another, and may go on over lines (src/basic/env-file.c, parse_env_file_internal()).
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        at = _end(_IGNORED, text, at)
        end = _end(_KEY, text, at)
        name, at = text[at:end].strip(), end
        if text[at : at + 1] != "=":
            at += 1
            continue
        value, at = _value(text, at + 1)
        if _NAME.fullmatch(name):
            found[name] = value
    return found


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int) -> tuple[str, int]:
    value = ""
    while quoted := _QUOTED.match(text, at):
        value += quoted[1] if quoted[2] is None else re.sub(r"\\(?:([\"\\`$])|\n)", r"\1", quoted[2])
        at = quoted.end()
    plain = _PLAIN.match(text, at)
    return (value + re.sub(r"\\(?:\n|(.))", r"\1", plain[1].rstrip()), plain.end()) if plain else (value, at)


def read_environment(tree: Tree, unit: Unit) -> Mapping[str, str]:
    """Return the variables: `DefaultEnvironment=` of all services, then those of the unit, which files override; `UnsetEnvironment=` has the last word.

    A missing file sets nothing.
    """
    lines = [each for each in read_daemon_conf(tree, "system.conf") if (each.section, each.key) == ("Manager", "DefaultEnvironment")]
    found = dict(word.partition("=")[::2] for word in words(lines)) | unit.environment
    for path in environment_files(tree, unit):
        if tree.resolve(path):
            found.update(parse_environment_file(tree.text(path)))
    for word in unit.words("Service", "UnsetEnvironment"):
        name, equals, value = word.partition("=")
        if not equals or found.get(name) == value:
            found.pop(name, None)
    return found
