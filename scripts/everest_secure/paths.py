"""Where the project's own data files lie, in a checkout and in an installed package alike."""

from pathlib import Path

from everest_secure.errors import UserError

PACKAGE = Path(__file__).resolve().parent


def data(name: str) -> Path:
    """Return the path of a data directory such as `conf` or `meta-everest-secure`.

    In a wheel it lies inside the package; in a checkout beside `scripts/`. Raises UserError when neither has it.
    """
    for base in (PACKAGE, PACKAGE.parent.parent):
        if (base / name).is_dir():
            return base / name
    raise UserError(f"the directory '{name}' is missing from this installation of everest-secure; install it again")
