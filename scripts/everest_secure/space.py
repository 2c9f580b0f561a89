"""Free space, asked for before work starts instead of found missing half-way."""

import shutil
from pathlib import Path

from everest_secure.errors import UserError


def require_space(directory: Path, needed: int, purpose: str) -> None:
    """Make `directory` and raise UserError unless its file system has `needed` bytes free for `purpose`."""
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise UserError(
            f"{purpose} needs {needed / 1e6:,.0f} MB in {directory} and only {free / 1e6:,.0f} MB are free; free some space or use another disk"
        )
