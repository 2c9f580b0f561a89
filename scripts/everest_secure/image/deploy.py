"""A build's deploy folder (DEPLOY_DIR_IMAGE): which of its files are opened.

Every file once, under the name of OE-Core's link to it where there is one. What an earlier build left under a name with its time is left out, and so are
links that leave the folder.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from everest_secure.errors import ArtefactError
from everest_secure.image.companions import is_companion

MAX_FILES = 10_000
"""Files in a folder before it is taken for something else."""
_NO_ARTEFACTS = (
    ".json",
    ".txt",
    ".conf",
    ".env",
    ".bmap",
    ".md",
    ".html",
    ".log",
    ".sha256",
    ".sha256sum",
    ".md5",
    ".asc",
    ".sig",
    ".pem",
    ".crt",
    ".key",
)
"""Files that lie in deploy folders and are not looked into."""
_TIME = re.compile(r"-\d{14}(?=\.|$)")
"""IMAGE_VERSION_SUFFIX of OE-Core."""


def is_deploy_folder(path: Path) -> bool:
    """Whether a directory is no root file system, so that the files in it are what is meant."""
    return path.is_dir() and not all(os.path.lexists(path / name) for name in ("usr", "etc"))


def files_of(folder: Path) -> tuple[Path, ...]:
    """Return the files of a deploy folder that may be artefacts, sorted by name; raises ArtefactError when it cannot be listed or has too many."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(MAX_FILES + 1), strict=False))
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be listed: {error.strerror}; run as a user who may read it") from None
    if len(names) > MAX_FILES:
        raise ArtefactError(f"{folder} holds more than {MAX_FILES} files; name the deploy folder of one machine, or the images themselves")
    found: dict[Path, Path] = {}
    inside = os.path.realpath(folder)
    for path in sorted((folder / name for name in names if not _left_out(name)), key=lambda path: (not path.is_symlink(), path.name)):
        real = Path(os.path.realpath(path))  # unlike Path.resolve it has no opinion on links that loop
        if real.is_file() and real.is_relative_to(inside):
            found.setdefault(real, path)
    return tuple(sorted(path for path in found.values() if not _of_an_earlier_build(path)))


def _left_out(name: str) -> bool:
    return is_companion(name) or name.startswith(".") or name.endswith(_NO_ARTEFACTS)


def _of_an_earlier_build(path: Path) -> bool:
    """Whether a file has a time in its name and the name without it is a link, which then leads to another one."""
    return not path.is_symlink() and any(path.with_name(name).is_symlink() for name in _without_time(path.name))


def _without_time(name: str) -> Iterator[str]:
    shorter = _TIME.sub("", name)
    if shorter != name:
        yield shorter
