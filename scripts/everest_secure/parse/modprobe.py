"""What modprobe refuses to load: modprobe.d(5), read in the order of libkmod."""

from collections.abc import Mapping

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places

_NOTHING = ("/bin/false", "/usr/bin/false", "/bin/true", "/usr/bin/true", "false", "true")
"""Commands that load nothing."""


def module_name(name: str) -> str:
    """Return a module's name as the kernel has it: `-` and `_` are the same."""
    return name.replace("-", "_")


def install_commands(tree: Tree) -> Mapping[str, str]:
    """Return the command that runs instead of loading a module, by the module's name; of several the first counts (libkmod-module.c)."""
    found: dict[str, str] = {}
    for node in conf_files(tree, (*places("modprobe.d"), "/lib/modprobe.d")):
        for line in tree.text(node.path).replace("\\\n", " ").split("\n"):
            words = line.split(None, 2)
            if len(words) == 3 and words[0] == "install":
                found.setdefault(module_name(words[1]), words[2].strip())
    return found


def refused_modules(tree: Tree) -> frozenset[str]:
    """Return the modules that modprobe never loads: `install NAME /bin/false`. A blacklisted one is loaded as soon as another needs it, and is not in."""
    return frozenset(name for name, command in install_commands(tree).items() if command in _NOTHING)
