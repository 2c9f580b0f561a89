"""Finds what a build left in its deploy directory, and puts it in one place."""

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from everest_secure.build.errors import BuildError
from everest_secure.image.companions import companions_of, existing

_CONVERSIONS = ("", ".zst", ".gz", ".xz", ".bz2")
"""What OE-Core's image_types.bbclass makes of an image when it is asked to; the same content, so that one of them is enough."""
PREFERENCE = (
    *((f".wic{conversion}",) for conversion in _CONVERSIONS),
    (".squashfs-zst.verity", ".squashfs.verity", ".erofs.verity", ".ext4.verity"),
    (".squashfs", ".squashfs-zst", ".squashfs-xz", ".erofs", ".ext4"),
    *((f".tar{conversion}",) for conversion in _CONVERSIONS),
)
"""File systems by completeness: what a disk or a verity image carries is not checked once more without it."""
BUNDLE = ".raucb"
UNRELEASED = "-to-be-signed-again"
"""What everest-secure-bundle.bbclass adds to the name of a bundle whose signer no device trusts."""
IMAGE_SUFFIX = ".rootfs"
"""OE-Core's IMAGE_NAME_SUFFIX, which bundles do not have."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What one build left."""

    artefacts: tuple[Path, ...]
    """Disks, file systems and bundles, to be checked together."""
    companions: tuple[Path, ...]
    """Lists of what is in the images; kept beside them."""


def find(deploy: Path, *, targets: Sequence[str]) -> Collection:
    """Find the artefacts of each target in DEPLOY_DIR_IMAGE, whose last part is the machine, by the names of OE-Core's links to the newest.

    Raises BuildError when a target left nothing that can be checked.
    """
    if not deploy.is_dir():
        raise BuildError(f"the build left no {deploy}; look at what BitBake said")
    artefacts: list[Path] = []
    companions: list[Path] = []
    for target in targets:
        found = _of_target(deploy, target)
        if not found:
            known = ", ".join(suffix for suffixes in (*PREFERENCE, (BUNDLE,)) for suffix in suffixes)
            raise BuildError(f"the target {target} left nothing to check in {deploy} ({known}); add one of these to its IMAGE_FSTYPES")
        artefacts += found
        companions += [companion.path for path in found for companion in companions_of(path)]
    return Collection(tuple(artefacts), tuple(dict.fromkeys(companions)))


def collect(found: Collection, *, into: Path) -> Collection:
    """Put everything found into the directory `into`, which replaces an earlier one as a whole; costs no space on the same file system."""
    fresh, old = (into.with_name(f"{into.name}.{end}") for end in ("new", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    for path in (*found.artefacts, *found.companions):
        _link_or_copy(path.resolve(), fresh / path.name)
    if into.exists():
        into.rename(old)
    fresh.rename(into)
    shutil.rmtree(old, ignore_errors=True)
    return Collection(tuple(into / path.name for path in found.artefacts), tuple(into / path.name for path in found.companions))


def _of_target(deploy: Path, target: str) -> list[Path]:
    name = f"{target}-{deploy.name}"
    images = next((present for suffixes in PREFERENCE if (present := _existing(deploy, name, suffixes))), [])
    return images + _existing(deploy, name, (BUNDLE,)) + _existing(deploy, f"{target}{UNRELEASED}-{deploy.name}", (BUNDLE,))


def _existing(deploy: Path, name: str, suffixes: Sequence[str]) -> list[Path]:
    return existing(deploy, name, tuple(f"{middle}{suffix}" for suffix in suffixes for middle in (IMAGE_SUFFIX, "")))


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
            raise
        shutil.copy2(source, target)
