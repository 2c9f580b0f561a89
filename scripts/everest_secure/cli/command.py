"""How a command is written and registered.

A command is a module of this package that imports nothing heavy at its top, so that the start stays fast, and registers one function::

    def arguments(parser: ArgumentParser) -> None:
        parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle to read")

    @command("bundle inspect", summary="Show what is inside a bundle", arguments=arguments)
    def run(options: Namespace) -> ExitCode:
        from everest_secure.bundle.inspect import inspect_bundle
        ...
        return ExitCode.OK

A name of two words makes a command of a group, which `group` describes. Errors that the user can mend are raised as UserError.
"""

import importlib
import pkgutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from everest_secure import cli
from everest_secure.errors import ExitCode

Runner = Callable[[Namespace], ExitCode]


@dataclass(frozen=True, slots=True)
class Command:
    """A registered command."""

    name: str
    """As typed: `check`, or `pki init` for a command of the group `pki`."""
    summary: str
    """A line for the list of commands; an imperative without a full stop."""
    arguments: Callable[[ArgumentParser], None]
    """Adds the command's own options to its parser."""
    run: Runner
    """Does the work; raises UserError."""


_commands: dict[str, Command] = {}
_groups: dict[str, str] = {}


def command(name: str, *, summary: str, arguments: Callable[[ArgumentParser], None]) -> Callable[[Runner], Runner]:
    """Register a function as the command `name`; the function's docstring is the description in the command's help."""

    def register(run: Runner) -> Runner:
        _commands[name] = Command(name, summary, arguments, run)
        return run

    return register


def group(name: str, *, summary: str) -> None:
    """Describe the first word of commands of two words; called at the top of one of their modules."""
    _groups[name] = summary


def commands() -> Mapping[str, Command]:
    """Return all commands by name, sorted, after importing every module of this package once."""
    for module in pkgutil.iter_modules(cli.__path__):
        importlib.import_module(f"{cli.__name__}.{module.name}")
    return dict(sorted(_commands.items()))


def group_summary(name: str) -> str:
    """Return what `group` said of a group; empty when nothing did."""
    return _groups.get(name, "")
