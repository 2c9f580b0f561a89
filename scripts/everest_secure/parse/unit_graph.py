"""Which units of a root file system start: at boot, by a socket, timer or path that starts, by D-Bus, or by a preset at first boot."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from everest_secure.image.tree import Tree
from everest_secure.keyfile import parse_keyfile
from everest_secure.parse.commands import program
from everest_secure.parse.conf_files import conf_files, places
from everest_secure.parse.generated import RC_LOCAL, init_scripts, lingering, rc_local
from everest_secure.parse.patterns import matches
from everest_secure.parse.scripts import scripts_of
from everest_secure.parse.udev_rules import run_by_rules, wanted_by_devices
from everest_secure.parse.unit_file import boolean
from everest_secure.parse.units import TYPES, Unit, Units, template

BOOT_TARGETS = ("default.target", "sysinit.target", "basic.target")
"""What systemd starts: default.target; the other two come with the default dependencies of any service (systemd.special(7))."""
DEPENDENCIES = ("Wants", "Requires", "BindsTo", "Upholds", "OnFailure", "OnSuccess")
BUS_SERVICES = (
    "/etc/dbus-1/system-services",
    "/usr/local/share/dbus-1/system-services",
    "/usr/share/dbus-1/system-services",
    "/lib/dbus-1/system-services",
)
"""dbus-daemon(1), "standard_system_servicedirs"."""
_STARTING = frozenset(["start", "restart", "reload-or-restart", "isolate", "enable", "reenable"])
_SYSTEMCTL = re.compile(r"(?<![\w.-])systemctl\b([^\n;|&<>()#]*)")
_QUOTES = "\"',[]"
LOGIND, VIRTUAL_TERMINAL = "systemd-logind.service", "autovt@tty2.service"
"""logind starts a login on a virtual terminal that is switched to (logind.conf(5), NAutoVTs=)."""
PRESETS = places("systemd/system-preset")
_INSTALLING = ("WantedBy", "RequiredBy", "UpheldBy", "Alias")


@dataclass(frozen=True, slots=True)
class Start:
    """A unit that starts and what makes it."""

    unit: Unit
    reason: str
    path: str
    """File or link that says so."""


def starts(units: Units) -> Mapping[str, Start]:
    """Return every unit that starts, by name, in the order found; masked units and names without unit are left out.

    Followed are dependencies of the boot targets, what sockets, timers and paths activate, D-Bus activation, and, when the image will go through a
    first boot, what presets enable.
    """
    found: dict[str, Start] = {}
    todo = [(name, "part of every boot", "") for name in BOOT_TARGETS]
    todo += [(each.unit, f"started over D-Bus as {each.name}", each.path) for each in bus_services(units.tree) if each.unit]
    todo += [(name, "wanted by a device in a udev rule", path) for name, path in wanted_by_devices(units.tree)]
    todo += [(name, "started by a udev rule", path) for name, path in _started_by_rules(units.tree)]
    if rc_local(units.tree):
        todo.append(("rc-local.service", f"{RC_LOCAL} is executable", RC_LOCAL))
    if first_boot(units.tree):
        todo += [(name, "enabled by a preset at first boot", path) for name, path in _preset_enabled(units)]
    seen: set[str] = set()
    while todo:
        alias, reason, path = todo.pop(0)
        name = units.real_name(alias)
        if name in seen:
            continue
        seen.add(name)
        unit = units.unit(name)
        if not unit.exists:
            continue
        found[name] = Start(unit, reason, path or unit.path)
        todo += list(_pulled(unit, units))
    for name, path in init_scripts(units.tree):
        if name not in found and not units.unit(name).path:
            found[name] = Start(Unit(name, path, masked=False, assignments=()), "started as a script of System V init", path)
    return MappingProxyType(found)


def _pulled(unit: Unit, units: Units) -> Iterator[tuple[str, str, str]]:
    for name, path in units.links(unit.name):
        yield name, f"wanted by {unit.name}", path
    for key in DEPENDENCIES:
        for name in unit.words("Unit", key):
            yield _instance(name, unit.name), f"{key}= of {unit.name}", unit.path
    for name, path in _started_by_command(unit, units.tree):
        yield name, f"started by {'a command' if path == unit.path else path} of {unit.name}", path
    for name in unit.words("Service", "Sockets"):
        yield name, f"Sockets= of {unit.name}", unit.path
    if unit.name == LOGIND:
        yield VIRTUAL_TERMINAL, f"started by {LOGIND}", unit.path
        yield from ((name, f"started by {LOGIND} for a user that lingers", path) for name, path in lingering(units.tree))
    stem, _, kind = unit.name.rpartition(".")
    if kind == "socket":
        accept = boolean(unit.value("Socket", "Accept", "no"))
        default = f"{stem}@.service" if accept else f"{stem}.service"
        yield unit.value("Socket", "Service", default), f"activated by {unit.name}", unit.path
    elif kind in ("timer", "path"):
        yield unit.value(kind.capitalize(), "Unit", f"{stem}.service"), f"activated by {unit.name}", unit.path
    elif kind == "automount":
        yield f"{stem}.mount", f"activated by {unit.name}", unit.path


def _started_by_command(unit: Unit, tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the units that the commands of a unit start, and those that the scripts of the image do which these run, each with the path that says so."""
    for command in unit.commands:
        if program(command) == "systemctl":
            yield from ((name, unit.path) for name in _started_by(command[1:]))
        yield from _started_by_scripts(tree, command)


def _started_by_rules(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the same of the commands that udev's rules run."""
    for run in run_by_rules(tree):
        yield from ((name, run.path) for name in _started_in(run.text))
        yield from _started_by_scripts(tree, run.words)


def _started_by_scripts(tree: Tree, command: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield from ((name, path) for text, path in scripts_of(tree, command) for name in _started_in(text))


def _started_in(text: str) -> Iterator[str]:
    """Yield what a script starts by systemctl; what its variables stand for is not followed."""
    for found in _SYSTEMCTL.finditer(text):
        yield from _started_by(tuple(filter(None, (word.strip(_QUOTES) for word in found[1].split()))))


def _started_by(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield the units that `systemctl start` and its like name (systemctl(1)); a name without a type is a service's."""
    if _STARTING.intersection(arguments):
        names = [word for word in arguments if not word.startswith("-") and word not in _STARTING]
        yield from (name if name.endswith(TYPES) else f"{name}.service" for name in names)


def _instance(name: str, by: str) -> str:
    instance = by.rpartition(".")[0].partition("@")[2]
    return name.replace("%i", instance).replace("%I", instance)


@dataclass(frozen=True, slots=True)
class BusService:
    """A name on the system bus that something is started for."""

    name: str
    unit: str
    """Unit that systemd starts; empty when the bus runs the program itself."""
    program: str
    path: str


def bus_services(tree: Tree) -> tuple[BusService, ...]:
    """Read the service files of the system bus (dbus-daemon(1), "activation")."""
    found = []
    for directory in BUS_SERVICES:
        for node in tree.children(directory):
            if node.is_file and node.name.endswith(".service"):
                file = parse_keyfile(tree.text(node.path), node.path)
                values = [file.value("D-BUS Service", key) for key in ("Name", "SystemdService", "Exec")]
                found.append(BusService(values[0] or node.name, values[1], values[2], node.path))
    return tuple(found)


def first_boot(tree: Tree) -> bool:
    """Whether systemd will take the next boot for the first one: machine-id(5) is missing or says `uninitialized`."""
    node = tree.resolve("/etc/machine-id")
    return node is None or (node.is_file and node.size > 0 and tree.text(node.path).strip() == "uninitialized")


@dataclass(frozen=True, slots=True)
class Preset:
    """A line of systemd.preset(5)."""

    action: str
    pattern: str
    instances: tuple[str, ...]
    """Of a template; without any, the line speaks of every name that fits."""
    path: str
    line: int

    def fits(self, name: str) -> bool:
        """Whether the line speaks of a unit; one with instances does of these and of the template itself (install.c, query_presets())."""
        instance = name.rpartition(".")[0].partition("@")[2]
        listed = bool(self.instances) and self.pattern == template(name) and (not instance or instance in self.instances)
        return listed or matches(name, (self.pattern,))


def read_presets(tree: Tree) -> tuple[Preset, ...]:
    """Read the preset files in the order in which the first match counts: by file name, the first directory's file of each name."""
    found: list[Preset] = []
    for file in conf_files(tree, PRESETS, ".preset"):
        for number, line in enumerate(tree.text(file.path).split("\n"), start=1):
            fields = line.split()
            if len(fields) >= 2 and fields[0] in ("enable", "disable", "ignore"):
                found.append(Preset(fields[0], fields[1], tuple(fields[2:]), file.path, number))
    return tuple(found)


def preset_for(presets: tuple[Preset, ...], name: str) -> Preset | None:
    """Return the line that says what presets do with a unit, the first that fits; without one the unit is enabled (systemd.preset(5))."""
    return next((preset for preset in presets if preset.fits(name)), None)


def _preset_enabled(units: Units) -> Iterator[tuple[str, str]]:
    """Yield the units that presets enable, the instances of a template, and what they name in `Also=`; aliases are left out, as systemd does."""
    presets = read_presets(units.tree)
    for name in units.names:
        preset = preset_for(presets, name)
        if units.real_name(name) == name and (preset is None or preset.action == "enable"):
            for each in _installed(units, name):
                listed = preset.instances if preset and each.name == name else ()
                yield from ((instance, each.path) for instance in _instances(each, listed))


def _installed(units: Units, name: str) -> Iterator[Unit]:
    """Yield the unit of a name and those that it is enabled with, if anything is to be done for them (systemd.unit(5), "[Install] Section Options")."""
    todo, seen = [name], set[str]()
    while todo:
        unit = units.unit(todo.pop())
        if unit.name in seen or not unit.exists:
            continue
        seen.add(unit.name)
        todo += unit.words("Install", "Also")
        if any(unit.words("Install", key) for key in _INSTALLING):
            yield unit


def _instances(unit: Unit, listed: tuple[str, ...]) -> Iterator[str]:
    """Yield the name of a unit, of a template those of its instances: what the preset lists, else `DefaultInstance=`, else none."""
    before, at, kind = unit.name.partition("@.")
    default = unit.value("Install", "DefaultInstance")
    yield from (f"{before}@{each}.{kind}" for each in listed or ([default] if default else [])) if at else [unit.name]
