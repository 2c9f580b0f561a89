"""What modprobe refuses to load: modprobe.d(5), read in the order of libkmod."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    for node in conf_files(tree, places("modprobe.d")):
        for line in tree.text(node.path).replace("\\\n", " ").split("\n"):
            words = line.split(None, 2)
            if len(words) == 3 and words[0] == "install":
                found.setdefault(module_name(words[1]), words[2].strip())
    return found


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter that a module is loaded with."""

    module: str
    name: str
    value: str
    path: str
    line: int


def module_options(tree: Tree) -> Iterator[Option]:
    """Yield the parameters of `options MODULE NAME=VALUE ...`; the names of modules may be patterns, and one without a value is `y`."""
    for node in conf_files(tree, places("modprobe.d")):
        for number, line in enumerate(tree.text(node.path).split("\n"), start=1):
            words = line.split()
            if words[:1] == ["options"]:
                for word in words[2:]:
                    name, equals, value = word.partition("=")
                    yield Option(module_name(words[1]), module_name(name), value if equals else "y", node.path, number)


def blacklisted_modules(tree: Tree) -> frozenset[str]:
    """Return the modules of `blacklist NAME`, which neither udev nor systemd-modules-load loads for a device or by name (KMOD_PROBE_APPLY_BLACKLIST)."""
    lines = (line.split() for node in conf_files(tree, places("modprobe.d")) for line in tree.text(node.path).split("\n"))
    return frozenset(module_name(words[1]) for words in lines if len(words) == 2 and words[0] == "blacklist")


def refused_modules(tree: Tree) -> frozenset[str]:
    """Return the modules that modprobe never loads: `install NAME /bin/false`. A blacklisted one is loaded as soon as another needs it, and is not in."""
    return frozenset(name for name, command in install_commands(tree).items() if command in _NOTHING)
