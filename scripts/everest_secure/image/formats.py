"""Loads every format of this package, so that each registers itself."""

import importlib
import pkgutil

from everest_secure import image


def load() -> None:
    """Import all modules of `everest_secure.image` once."""
    for module in pkgutil.iter_modules(image.__path__):
        importlib.import_module(f"{image.__name__}.{module.name}")
