"""os-release(5)."""

import shlex
from collections.abc import Mapping

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

PATHS = ("/etc/os-release", "/usr/lib/os-release")


def parse_os_release(text: str, where: str) -> Mapping[str, str]:
    """Parse assignments in the shell-compatible subset that os-release(5) allows; raises ArtefactError for any other line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.strip().partition("=")
        try:
            words = shlex.split(value)
        except ValueError:
            words = ["", ""]
        if not equals or len(words) > 1:
            raise ArtefactError(f"{where}:{number} is no assignment of os-release(5); mend the file")
        found[name] = words[0] if words else ""
    return found


def read_os_release(tree: Tree) -> Mapping[str, str]:
    """Read the first of the two files that exists; raises ArtefactError when there is none."""
    for path in PATHS:
        if tree.resolve(path):
            return parse_os_release(tree.text(path), path)
    raise ArtefactError(f"{tree.name} has no os-release file; it is no root file system of a product")
