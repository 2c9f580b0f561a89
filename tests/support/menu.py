"""The menu of `kas menu kas/Kconfig`, answered by a program instead of a person."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import kconfiglib

from support.kas import KAS_DIRECTORY

MENU = KAS_DIRECTORY / "Kconfig"
PREFIX = "KAS_INCLUDE_"


def answered(*yes: str) -> tuple[Path, ...]:
    """Return the kas files that the menu yields, as kas reads it, when `yes` are switched on and everything else is left as it is."""
    menu = kconfiglib.Kconfig(str(MENU), warn_to_stderr=False)
    for name in yes:
        menu.syms[name].set_value(2)
    values = [
        symbol.str_value for name, symbol in menu.syms.items() if name.startswith(PREFIX) and kconfiglib.expr_value(symbol.direct_dep) == 2
    ]
    return tuple(KAS_DIRECTORY.parent / value for value in values if value)


def choices() -> Iterator[tuple[str, ...]]:
    """Return every combination of what is chosen between: the machine and the variant."""
    menu = kconfiglib.Kconfig(str(MENU), warn_to_stderr=False)
    yield from product(*([symbol.name for symbol in choice.syms] for choice in menu.unique_choices))


def options() -> list[str]:
    """Return everything that is switched on or off."""
    menu = kconfiglib.Kconfig(str(MENU), warn_to_stderr=False)
    return [symbol.name for symbol in menu.unique_defined_syms if symbol.type == kconfiglib.BOOL and symbol.choice is None]
