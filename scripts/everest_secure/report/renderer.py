"""How a renderer is written and registered.

A renderer is a module of this package that imports nothing heavy at its top and registers one function::

    @renderer("junit", summary="results for a CI server, as JUnit XML")
    def render(report: Report, look: Look) -> str:
        ...

The command line then offers `--junit FILE` and `--format junit` without being changed.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from everest_secure import report as package
from everest_secure.report.model import Report


@dataclass(frozen=True, slots=True)
class Look:
    """Where a report is shown; a file is as wide as it likes and has no colour."""

    width: int = 140
    """Columns."""
    colour: bool = False
    detail: int = 0
    """-1 for the verdict alone, 0 for what needs attention, 1 for everything."""


RenderFunction = Callable[[Report, Look], str]


@dataclass(frozen=True, slots=True)
class Renderer:
    """A registered renderer."""

    name: str
    summary: str
    render: RenderFunction


_renderers: dict[str, Renderer] = {}


def renderer(name: str, *, summary: str) -> Callable[[RenderFunction], RenderFunction]:
    """Register a function as the renderer `name`."""

    def register(render: RenderFunction) -> RenderFunction:
        _renderers[name] = Renderer(name, summary, render)
        return render

    return register


def renderers() -> Mapping[str, Renderer]:
    """Return all renderers by name, after importing every module of this package once."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_renderers.items()))
