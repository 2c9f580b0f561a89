"""Splits what a recipe installed into packages by their FILES, as OE-Core's package.bbclass does."""

import fnmatch
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from everest_secure.errors import UserError


def split(image: Path, patterns: Mapping[str, Sequence[str]], destination: Path) -> dict[str, Path]:
    """Copy each file below `image` to `destination/PACKAGE`, for the first package that claims it.

    A pattern is fnmatch(3) on the target path, `*` within one component, and claims all below a directory. Returns the directory of each package.
    Raises UserError for a file that no package claims (OE's QA error "installed-vs-shipped").
    """
    shutil.rmtree(destination, ignore_errors=True)
    owners = {package: destination / package for package in patterns}
    for directory in owners.values():
        directory.mkdir(parents=True)
    for source in _files(image):
        path = f"/{source.relative_to(image)}"
        owner = next((package for package, claims in patterns.items() if any(_claims(claim, path) for claim in claims)), None)
        if owner is None:
            raise UserError(f"{path} is installed by a recipe but in none of its packages {', '.join(patterns)}; add it to FILES")
        _copy(source, image, owners[owner])
    return owners


def _files(image: Path) -> list[Path]:
    """Return files, links and empty directories below `image`, sorted."""
    if not image.is_dir():
        return []
    return [path for path in sorted(image.rglob("*")) if path.is_symlink() or not path.is_dir() or not any(path.iterdir())]


def _claims(pattern: str, path: str) -> bool:
    """Whether a FILES entry covers a path: it matches the path or a directory above it, component by component."""
    wanted, found = pattern.rstrip("/").split("/"), path.split("/")
    return len(found) >= len(wanted) and all(map(fnmatch.fnmatchcase, found, wanted))


def _copy(source: Path, image: Path, root: Path) -> None:
    """Copy one node with its mode; directories above it are made with the modes they have in `image`."""
    for parent in reversed(source.relative_to(image).parents):
        directory = root / parent
        if not directory.exists():
            directory.mkdir()
            directory.chmod((image / parent).stat().st_mode & 0o7777)
    target = root / source.relative_to(image)
    if source.is_dir() and not source.is_symlink():
        target.mkdir()
        target.chmod(source.stat().st_mode & 0o7777)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
