"""What several checks share: where a finding is, the units of a root, and short lists in findings."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from everest_secure.checks.core import Bundle, Location, NotApplicable, Notes, Root, Starting
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree, printable
from everest_secure.parse.boot_entries import BootEntry, boot_entries
from everest_secure.parse.commands import program
from everest_secure.parse.everest_config import CONFIG, EverestConfig, read_everest_config
from everest_secure.parse.unit_graph import Start, starts
from everest_secure.parse.units import Unit, Units

SERVICE = "everest.service"
CONFIG_OPTIONS = tuple("--config"[:length] for length in range(len("--co"), len("--config") + 1))
_TRIAL_OPTIONS = tuple("--check"[:length] for length in range(len("--ch"), len("--check") + 1))
MAX_SHOWN = 20
"""Findings of one kind that are listed one by one."""


def at(root: Root, path: str = "", line: int = 0) -> Location:
    """Return a place in a root file system."""
    return Location(root.artefact.name, printable(path), line)


def entries_of(starting: Starting) -> tuple[BootEntry, ...]:
    """Return the boot entries of a disk, or those that a bundle installs.

    Raises ArtefactError when a disk has none, as nothing could be said of how it boots, and NotApplicable when a bundle has none.
    """
    container = starting.container
    entries = boot_entries(container)
    if not entries and isinstance(starting, Bundle):
        raise NotApplicable("the bundle brings no boot entry")
    if not entries:
        raise ArtefactError(
            f"{container.name} has no boot entry that is understood; give a disk with a UKI, a FIT, or entries of systemd-boot, extlinux or GRUB"
        )
    return entries


def place_of(entry: BootEntry) -> Location:
    """Return the place of a boot entry."""
    return Location(entry.artefact, entry.path, entry.line)


def words(names: Iterable[str]) -> str:
    """Return names as a sorted list in a sentence; `none` for an empty one."""
    return ", ".join(sorted(names)) or "none"


@lru_cache(maxsize=4)
def units_of(tree: Tree) -> Units:
    """Return the units of a tree; the last few trees' are kept, as most checks ask for them."""
    return Units(tree)


@lru_cache(maxsize=4)
def starts_of(tree: Tree) -> Mapping[str, Start]:
    """Return the units that start on the root that a tree is."""
    return starts(units_of(tree))


def started(root: Root) -> Mapping[str, Start]:
    """Return the units that start on this root."""
    return starts_of(root.tree)


def services(root: Root) -> tuple[Unit, ...]:
    """Return every service that is installed and not masked, whether it starts or not; each under its own name alone."""
    return _services(root.tree)


@lru_cache(maxsize=4)
def _services(tree: Tree) -> tuple[Unit, ...]:
    units = units_of(tree)
    names = (name for name in units.names if name.endswith(".service") and units.real_name(name) == name)
    return tuple(unit for name in names if (unit := units.unit(name)).exists)


def service(root: Root) -> Unit:
    """Return everest.service with its drop-ins; it need not exist."""
    return units_of(root.tree).unit(SERVICE)


def executes(root: Root, command: tuple[str, ...], name: str) -> bool:
    """Whether a command runs the program of a name, or a link to it under another."""
    node = root.tree.resolve(command[0]) if command[0].startswith("/") else None
    return program(command) == name or (node is not None and node.name == name)


def options(command: tuple[str, ...], *names: str) -> tuple[str, ...]:
    """Return the values of a command line option in order, `--name value` or `--name=value`, `-n value` or `-nvalue`."""
    found = []
    for position, argument in enumerate(command):
        name, equals, value = argument.partition("=")
        if name in names:
            found.append(value if equals else (command[position + 1] if position + 1 < len(command) else ""))
        elif argument[:2] in names and argument[:2] != "--":
            found.append(argument[2:])
    return tuple(found)


def option(command: tuple[str, ...], *names: str) -> str | None:
    """Return the first value of a command line option; None when it is not there."""
    return next(iter(options(command, *names)), None)


def configuration(root: Root, note: Notes) -> EverestConfig | None:
    """Read the configuration that everest.service names, else /etc/everest/config.yaml; a missing one is a finding and None."""
    path = _config_path(root)
    if root.tree.resolve(path) is None:
        note.finding(f"EVerest's configuration {path} is missing", at=at(root, path), remedy="Install everest-config or the product's own.")
        return None
    return _config(root.tree, path)


def stored_configuration(root: Root) -> EverestConfig | None:
    """Read the same configuration for what it says besides; None when it is missing."""
    path = _config_path(root)
    return _config(root.tree, path) if root.tree.resolve(path) else None


def manager_commands(root: Root) -> tuple[tuple[str, ...], ...]:
    """Return the commands of everest.service that start the manager, without those that only try a configuration (`--check`)."""
    commands = (command for command in service(root).commands if executes(root, command, "manager"))
    return tuple(command for command in commands if not any(word in _TRIAL_OPTIONS for word in command))


def _config_path(root: Root) -> str:
    """Return the path of EVerest's configuration: what a command that starts the manager names, else any other command of the service.

    The manager takes every unambiguous beginning of `--config` (Boost.Program_options, allow_guessing), of a name in `.json` the `.yaml` beside
    it, if there is one (yaml_loader.cpp, load_yaml_content), and what is no file for the name of one in /etc/everest, without its ending
    (runtime.cpp, init_config_file()).
    """
    commands = (*manager_commands(root), *service(root).commands)
    named = [path for command in commands if (path := option(command, *CONFIG_OPTIONS))]
    path = named[0] if named else CONFIG
    short = f"{CONFIG.rpartition('/')[0]}/{path}.yaml"
    path = short if root.tree.resolve(path) is None and root.tree.resolve(short) else path
    return f"{path[:-5]}.yaml" if path.endswith(".json") and root.tree.resolve(f"{path[:-5]}.yaml") else path


@lru_cache(maxsize=4)
def _config(tree: Tree, path: str) -> EverestConfig:
    return read_everest_config(tree, path)


def present_service(root: Root, note: Notes) -> Unit | None:
    """Return everest.service; a missing or masked one is a finding and None."""
    unit = service(root)
    if unit.exists:
        return unit
    note.finding(f"{SERVICE} is missing or masked", at=at(root, unit.path), remedy="Install EVerest with its service.")
    return None


def findings_up_to(note: Notes, found: list[tuple[str, Location]], *, remedy: str) -> None:
    """Note each finding, and the rest as one when there are more than 20.

    That one has the place of no single file, so that a waiver of a file does not cover those that are not listed.
    """
    for what, where in found[:MAX_SHOWN]:
        note.finding(what, at=where, remedy=remedy)
    if len(found) > MAX_SHOWN:
        note.finding(f"{len(found) - MAX_SHOWN} more of the same kind", at=Location(found[MAX_SHOWN][1].artefact), remedy=remedy)
