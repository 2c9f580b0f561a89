"""A place to make something in, beside its final name, so that finishing is a change of name and failing leaves nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everest_secure.errors import UserError


@contextmanager
def staging(final: Path, *, error: type[UserError]) -> Iterator[Path]:
    """Yield a 0700 directory on the file system of `final`; what is left of it vanishes when the block ends.

    Raises `error` when the directory of `final` does not exist or cannot be written to.
    """
    if not final.parent.is_dir():
        raise error(f"the directory {final.parent} does not exist; create it first")
    try:
        directory = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    except OSError as problem:
        raise error(f"{final.parent} cannot be written to: {problem.strerror}; choose another place") from None
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
