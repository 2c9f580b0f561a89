"""How a finished bundle gets its name: at once, whole, and never over something that has it already."""

import errno
import os
from pathlib import Path

from everest_secure.bundle.errors import BundleError
from everest_secure.pki.files import sync_directory

NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def require_free(output: Path) -> None:
    """Raise BundleError when anything has this name, or its directory does not exist."""
    if os.path.lexists(output):
        raise BundleError(f"{output} exists already and is never overwritten; choose another name or move it away")
    if not output.parent.is_dir():
        raise BundleError(f"the directory {output.parent} does not exist; create it first")


def sync(made: Path) -> None:
    """Bring a file's content to the disk."""
    with made.open("rb") as file:
        os.fsync(file.fileno())


def publish(made: Path, output: Path) -> None:
    """Give a file, which is on the disk, its name; raises BundleError when something took the name meanwhile."""
    try:
        output.hardlink_to(made)
    except FileExistsError:
        raise BundleError(f"{output} appeared while the bundle was made and is never overwritten; choose another name") from None
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        require_free(output)
        made.rename(output)
    sync_directory(output.parent)
