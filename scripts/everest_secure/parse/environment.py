"""Environment of a service: `Environment=`, files, and what is taken out again (systemd.exec(5), "Environment")."""

import shlex
from collections.abc import Mapping

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.unit_file import words
from everest_secure.parse.units import Unit


def environment_files(unit: Unit) -> tuple[str, ...]:
    """Return the paths of `EnvironmentFile=`, without the `-` of those that may be missing."""
    return tuple(word.removeprefix("-") for word in unit.words("Service", "EnvironmentFile"))


def parse_environment_file(text: str, path: str) -> Mapping[str, str]:
    """Parse a file of `NAME=value` lines; quotes as in a shell, the last value of a name counts (load_env_file)."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.replace("\\\n", "").split("\n"), start=1):
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith(("#", ";")):
            continue
        try:
            found[name.strip()] = " ".join(shlex.split(value))
        except ValueError:
            raise ArtefactError(f"{path}:{number} has a quote that is never closed; write each variable on one line") from None
    return found


def read_environment(tree: Tree, unit: Unit) -> Mapping[str, str]:
    """Return the variables: the manager's for all services, which the unit's own override, and these those of files; `UnsetEnvironment=` has the last word.

    A missing file sets nothing.
    """
    found = {**_of_every_service(tree), **unit.environment}
    for path in environment_files(unit):
        if tree.resolve(path):
            found.update(parse_environment_file(tree.text(path), path))
    for word in unit.words("Service", "UnsetEnvironment"):
        name, equals, value = word.partition("=")
        if not equals or found.get(name) == value:
            found.pop(name, None)
    return found


def _of_every_service(tree: Tree) -> Mapping[str, str]:
    """Return the variables of `DefaultEnvironment=` (systemd-system.conf(5))."""
    lines = (each for each in read_daemon_conf(tree, "system.conf") if (each.section, each.key) == ("Manager", "DefaultEnvironment"))
    return dict(word.partition("=")[::2] for word in words(lines))
