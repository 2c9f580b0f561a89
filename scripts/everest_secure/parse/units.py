"""systemd units of a root file system: where they come from, drop-ins, masks, aliases (systemd.unit(5))."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname, join, normpath

from everest_secure.image.tree import Node, NodeType, Tree
from everest_secure.parse.commands import PREFIXES, expanded, separated
from everest_secure.parse.unit_file import Assignment, boolean, effective, parse_unit_file, words

SEARCH_PATH = (
    "/etc/systemd/system.control",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Unit directories that an image can fill, first match wins (systemd.unit(5), "Unit File Load Path"; path-lookup.c); the last where /usr is not merged.

Of `/run` nothing counts that lies in an image: it is empty when systemd starts (file-hierarchy(7))."""
TYPES = (".service", ".socket", ".timer", ".path", ".target", ".mount", ".automount", ".swap", ".slice", ".scope", ".device")
MAX_ALIASES = 20
_STARTING = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost")
_ENDING = ("ExecReload", "ExecStop", "ExecStopPre", "ExecStopPost")
_DIRECTORIES = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "ConfigurationDirectory": "/etc",
}
"""What relative names of these keys are below, of services of the system (systemd.exec(5))."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as systemd would load it."""

    name: str
    path: str
    """Its unit file; of a mask the masking entry; empty when only drop-ins are there or nothing."""
    masked: bool
    assignments: tuple[Assignment, ...]
    """Of the unit file, then of the drop-ins in order."""

    @property
    def exists(self) -> bool:
        """Whether there is a unit file that is not a mask."""
        return bool(self.path) and not self.masked

    def assigned(self, section: str, key: str) -> tuple[Assignment, ...]:
        """Return every assignment of a key, in order, empty ones too."""
        return tuple(found for found in self.assignments if found.section == section and found.key == key)

    def last(self, section: str, key: str) -> Assignment | None:
        """Return the assignment that counts for a key with one value; None when there is none or the last is empty."""
        found = effective(self.assigned(section, key))
        return found[-1] if found else None

    def value(self, section: str, key: str, default: str = "") -> str:
        """Return the value that counts for a key with one value."""
        found = self.last(section, key)
        return found.value if found else default

    def words(self, section: str, key: str) -> tuple[str, ...]:
        """Return the words of a list-like key, resets applied."""
        return words(self.assigned(section, key))

    def shown(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return (source, target) of each word of BindPaths= or BindReadOnlyPaths=; of TemporaryFileSystem= the source is empty (systemd.exec(5))."""
        parts = (word.lstrip("-+").split(":") for word in self.words("Service", key))
        if key == "TemporaryFileSystem":
            return tuple(("", target) for target, *_ in parts)
        return tuple((source, rest[0] if rest and rest[0] else source) for source, *rest in parts)

    @property
    def writable(self) -> tuple[str, ...]:
        """Paths that `ProtectSystem=` leaves writable: those of ReadWritePaths=, and the service's own directories (systemd.exec(5))."""
        own = [(base, word.split(":")) for key, base in _DIRECTORIES.items() for word in self.words("Service", key)]
        return (
            *(word.lstrip("-+") for word in self.words("Service", "ReadWritePaths")),
            *(f"{base}/{name}" for base, (name, *rest) in own if "ro" not in rest[1:]),
        )

    @property
    def environment(self) -> dict[str, str]:
        """Variables of `Environment=`, the last assignment of each."""
        return dict(word.partition("=")[::2] for word in self.words("Service", "Environment"))

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """Arguments of each command that runs when the unit starts, without the prefixes of the program; those of a shell's `-c` follow it.

        A oneshot that does not remain active also runs its commands for stopping at once (systemd.service(5), `RemainAfterExit=`).
        """
        return tuple(run for command in self._raw_commands for run in expanded((command[0].lstrip(PREFIXES), *command[1:])))

    @property
    def every_command(self) -> tuple[tuple[str, ...], ...]:
        """Return the same of the commands for reloading and stopping as well, which run some time."""
        lines = [words([each]) for key in (*_STARTING, *_ENDING) for each in effective(self.assigned(self._running, key))]
        found = [command for line in lines for command in separated(line)]
        return tuple(run for command in found for run in expanded((command[0].lstrip(PREFIXES), *command[1:])))

    @property
    def unconfined(self) -> bool:
        """Whether a command goes around the unit's restrictions: the prefix `+` (systemd.service(5), "Command lines")."""
        return any("+" in _prefix(command) for command in self._raw_commands)

    @property
    def forgiven(self) -> tuple[tuple[str, ...], ...]:
        """Return those of `commands` that may fail without the unit failing: the prefix `-`."""
        found = (command for command in self._raw_commands if "-" in _prefix(command))
        return tuple(run for command in found for run in expanded((command[0].lstrip(PREFIXES), *command[1:])))

    @property
    def network_of_its_own(self) -> str:
        """Return the setting by which the unit's commands see other interfaces than those of the machine; empty when there is none (systemd.exec(5))."""
        path = self.value("Service", "NetworkNamespacePath") and "NetworkNamespacePath="
        return "PrivateNetwork=" if boolean(self.value("Service", "PrivateNetwork", "no")) else path

    @property
    def _running(self) -> str:
        """Section that holds commands: a socket has some, too (systemd.socket(5), `ExecStartPre=`)."""
        return "Socket" if self.name.endswith(".socket") else "Service"

    @property
    def _raw_commands(self) -> tuple[tuple[str, ...], ...]:
        keys = [*_STARTING]
        if self.value("Service", "Type") == "oneshot" and not boolean(self.value("Service", "RemainAfterExit", "no")):
            keys += ["ExecStop", "ExecStopPost"]
        lines = [words([assignment]) for key in keys for assignment in effective(self.assigned(self._running, key))]
        return tuple(command for line in lines for command in separated(line))


def _prefix(command: tuple[str, ...]) -> str:
    return command[0][: len(command[0]) - len(command[0].lstrip(PREFIXES))]


class Units:
    """All units of a tree; looks up names as systemd does."""

    def __init__(self, tree: Tree) -> None:
        """Read the unit directories' names; units themselves are read when asked for."""
        self.tree = tree

    @cached_property
    def _entries(self) -> dict[str, list[tuple[int, Node]]]:
        """Entries of the search path by name, each with the rank of its directory, first directory first."""
        found: dict[str, list[tuple[int, Node]]] = {}
        for rank, directory in enumerate(SEARCH_PATH):
            for node in self.tree.children(directory):
                found.setdefault(node.name, []).append((rank, node))
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all unit files, aliases and masks, sorted."""
        return tuple(sorted(name for name, nodes in self._entries.items() if name.endswith(TYPES) and not nodes[0][1].is_directory))

    def links(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield name and path of each dependency that the unit's `.wants`, `.requires` and `.upholds` directories add."""
        for kind in ("wants", "requires", "upholds"):
            yield from ((node.name, node.path) for node in self._linked(name, kind))

    def _linked(self, name: str, kind: str) -> Iterator[Node]:
        """Yield the links of a unit's directories of one kind: of one name the first directory's, and none where that is a mask (load-dropin.c)."""
        directories = [(rank, node) for each in self.lookup_names(name) for rank, node in self._entries.get(f"{each}.{kind}", [])]
        found: dict[str, Node] = {}
        for _, directory in sorted(directories, key=lambda place: place[0]):
            for child in self.tree.children(directory.path):
                found.setdefault(child.name, child)
        yield from (node for node in found.values() if not self._is_mask(node))

    def required(self, name: str) -> frozenset[str]:
        """Return the units without which one does not start: what it requires, and what these require, by their real names."""
        found: set[str] = set()
        todo = [name]
        while todo:
            unit = self.unit(todo.pop())
            linked = [node.name for node in self._linked(unit.name, "requires")]
            named = [each for key in ("Requires", "BindsTo", "Requisite") for each in unit.words("Unit", key)]
            new = {self.real_name(each) for each in (*linked, *named)} - found
            found |= new
            todo += new
        return frozenset(found)

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return all names of one unit, the given one first: links point from an alias to a name."""
        real = self.real_name(name)
        return tuple(dict.fromkeys([name, real, *self._alias_index.get(real, [])]))

    @cached_property
    def _alias_index(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name in self.names:
            real = self.real_name(name)
            if real != name:
                index.setdefault(real, []).append(name)
        return index

    def _entry(self, name: str) -> Node | None:
        nodes = [node for _, node in self._entries.get(name, []) if not node.is_directory]
        return nodes[0] if nodes else None

    def real_name(self, name: str) -> str:
        """Return the name of the unit that a name is an alias of."""
        for _ in range(MAX_ALIASES):
            entry = self._entry(name)
            if entry is None and template(name) != name:
                entry, name = self._entry(template(name)), _kept_instance(self._entry(template(name)), name)
                if entry is None or entry.type is not NodeType.SYMLINK:
                    return name
                continue
            if entry is None or entry.type is not NodeType.SYMLINK or self._is_mask(entry):
                return name
            target = entry.target.rsplit("/", 1)[-1]
            if target == entry.name or not target.endswith(TYPES):
                return name
            name = target
        return name

    def _is_mask(self, node: Node) -> bool:
        """Whether an entry masks its name: it leads to /dev/null or to an empty file."""
        if node.type is NodeType.SYMLINK:
            if normpath(join(dirname(node.path), node.target)) == "/dev/null":
                return True
            found = self.tree.resolve(node.path)
            return found is not None and (found.path == "/dev/null" or (found.is_file and found.size == 0))
        return node.is_file and node.size == 0

    def lookup_names(self, name: str) -> tuple[str, ...]:
        """Return the names whose directories belong to a unit: its aliases, and the templates of instances."""
        return tuple(dict.fromkeys(each for alias in self.aliases(name) for each in (alias, template(alias))))

    def unit(self, name: str) -> Unit:
        """Load a unit by any of its names; one without file or drop-in has no assignments."""
        for each in self.lookup_names(self.real_name(name)):
            entry = self._entry(each)
            if entry is not None and self._is_mask(entry):
                return Unit(name, entry.path, masked=True, assignments=())
            file = self.tree.resolve(entry.path) if entry is not None else None
            if file is not None and file.is_file:
                own = parse_unit_file(self.tree.text(file.path), file.path)
                return Unit(name, file.path, masked=False, assignments=own + self._drop_ins(name))
        return Unit(name, "", masked=False, assignments=self._drop_ins(name))

    def _drop_ins(self, name: str) -> tuple[Assignment, ...]:
        """Drop-ins by file name; of several with one name the first directory's counts, and one that masks removes it."""
        found: dict[str, Node] = {}
        for directory in self._drop_in_directories(name):
            for child in self.tree.children(directory.path):
                if child.name.endswith(".conf"):
                    found.setdefault(child.name, child)
        kept = [found[file] for file in sorted(found) if not self._is_mask(found[file])]
        return tuple(each for node in kept for each in parse_unit_file(self.tree.text(node.path), node.path))

    def _drop_in_directories(self, name: str) -> list[Node]:
        """Directories in the order in which a file name counts: by alias, by place, by how special the name is; those of the type last."""
        suffix = name[name.rfind(".") :]
        directories: list[Node] = []
        for alias in self.aliases(name):
            special = [f"{alias}.d", f"{template(alias)}.d", *(f"{prefix}{suffix}.d" for prefix in prefixes(alias.removesuffix(suffix)))]
            places = [(rank, order, node) for order, each in enumerate(special) for rank, node in self._entries.get(each, [])]
            directories += [node for _, _, node in sorted(places, key=lambda place: place[:2])]
        return directories + [node for _, node in self._entries.get(f"{suffix[1:]}.d", [])]


def template(name: str) -> str:
    """Return `getty@.service` for `getty@tty1.service`; any other name as it is."""
    stem, dot, suffix = name.rpartition(".")
    before, at, _ = stem.partition("@")
    return f"{before}@{dot}{suffix}" if at else name


def _kept_instance(entry: Node | None, name: str) -> str:
    """Name of an instance whose template is a link to another template."""
    if entry is None or entry.type is not NodeType.SYMLINK:
        return name
    before, at, suffix = entry.target.rsplit("/", 1)[-1].partition("@.")
    instance = name.rpartition(".")[0].partition("@")[2]
    return f"{before}@{instance}.{suffix}" if at else name


def prefixes(stem: str) -> Iterator[str]:
    """Yield `foo-bar-`, `foo-` for `foo-bar-baz`: drop-in directories that units share by their prefix."""
    stem = stem.partition("@")[0].removesuffix("-")
    while "-" in stem:
        stem = stem[: stem.rindex("-")]
        yield f"{stem}-"
