"""What is fuzzed: a function over bytes, and the inputs that it starts from.

A target is a function of `fuzz/targets/` with the decorator `target`. It may raise ArtefactError; whatever else it raises is a finding.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[bytes], None]
Seeds = Callable[[Path], Iterable[bytes]]
"""Makes inputs with the real tools in an empty directory."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads bytes."""

    name: str
    run: Run
    seeds: Seeds


_targets: dict[str, Target] = {}


def target(*, seeds: Seeds) -> Callable[[Run], Run]:
    """Register a function as a target; its name without underlines is the target's."""

    def register(run: Run) -> Run:
        name = run.__name__.replace("_", "-")
        _targets[name] = Target(name, run, seeds)
        return run

    return register


def targets() -> Mapping[str, Target]:
    """Return all targets by name."""
    from fuzz import targets as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_targets.items()))
