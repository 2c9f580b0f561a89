"""A module per requirement group, a function per requirement."""

import importlib
import pkgutil


def load() -> None:
    """Import every check module once, so that each check registers itself."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
