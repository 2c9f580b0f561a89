"""What a build leaves beside an image: its bill of materials, the list of its packages, the variables it was built with, the kernel's configuration.

They are found by name, as OE-Core gives them: the image's name up to one of its dots, and a suffix (image.bbclass, rootfs-postcommands.bbclass,
create-spdx.bbclass, cve-check.bbclass); the kernel's configuration by the machine. Nothing of them is authenticated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_artefact

MAX_SIZE = 256 * 1024 * 1024
"""Bytes of a companion that is read whole; the SPDX 3.0 file of a large image has tens of millions."""
_KERNEL_CONFIG = "kernel-config-"
_MAX_PARTS = 32
"""Parts of an image's name between hyphens, some of which are the machine's."""


class CompanionKind(StrEnum):
    """What a companion is."""

    BILL_OF_MATERIALS = "bill of materials"
    MANIFEST = "list of packages"
    TEST_DATA = "variables of the build"
    VULNERABILITIES = "vulnerability report"
    KERNEL_CONFIG = "kernel configuration"


SUFFIXES = {
    CompanionKind.BILL_OF_MATERIALS: (".spdx.json", ".spdx.tar.zst", ".spdx.tar.gz", ".spdx.tar.xz"),
    CompanionKind.MANIFEST: (".manifest",),
    CompanionKind.TEST_DATA: (".testdata.json",),
    CompanionKind.VULNERABILITIES: (".cve.json", ".json", ".cve", ".vex.json", ".sbom-cve-check.yocto.json"),
}
"""Suffixes by kind, the one that says most first."""


@dataclass(frozen=True, slots=True)
class Companion:
    """One file beside an image; read when it is asked for."""

    kind: CompanionKind
    path: Path

    @property
    def name(self) -> str:
        """Its file's name, as findings call it."""
        return self.path.name

    def read(self, limit: int = MAX_SIZE) -> bytes:
        """Return the content; raises ArtefactError when it cannot be read or is larger than `limit` bytes."""
        try:
            with self.path.open("rb") as file:
                found = file.read(limit + 1)
        except OSError as error:
            raise ArtefactError(f"{self.path} cannot be read: {error.strerror}; check its permissions") from None
        if len(found) > limit:
            raise ArtefactError(f"{self.path} has more than the {limit} bytes that are read; give one of the image's own size")
        return found

    def text(self, limit: int = MAX_SIZE) -> str:
        """Return the content as text; bytes that are not UTF-8 become replacement characters. Raises as `read`."""
        return self.read(limit).decode("utf-8", "replace")

    def opened(self) -> Artefact:
        """Open an archive, as that of SPDX 2.2 is: one with a `tree` lies in it. Raises ArtefactError when it is none."""
        return open_artefact(self.path)


def companions_of(image: Path) -> tuple[Companion, ...]:
    """Return what lies beside an image: `NAME.wic.gz` has `NAME.manifest`, `NAME.spdx.json` and so on; the longest NAME that has any counts."""
    if not is_file(image):
        return ()
    for stem in _stems(image.name):
        found = tuple(companion for kind in SUFFIXES for companion in _beside(image.parent, stem, kind))
        if found:
            return found + tuple(_kernel_configs(image.parent, stem))
    return ()


def is_companion(name: str) -> bool:
    """Whether a file's name is that of a companion of some image."""
    return name.startswith(_KERNEL_CONFIG) or name.endswith(tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes))


def existing(directory: Path, stem: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Return those of the files STEM + suffix that are there."""
    return [path for suffix in suffixes if is_file(path := directory / f"{stem}{suffix}")]


def is_file(path: Path) -> bool:
    """Whether there is a file; False as well for a name that is too long, and for a directory that may not be searched."""
    try:
        return path.is_file()
    except OSError:
        return False


def _stems(name: str) -> Iterator[str]:
    stem = name
    while "." in stem:
        stem = stem.rpartition(".")[0]
        yield stem


def _beside(directory: Path, stem: str, kind: CompanionKind) -> Iterator[Companion]:
    yield from (Companion(kind, path) for path in existing(directory, stem, SUFFIXES[kind]))


def _kernel_configs(directory: Path, stem: str) -> Iterator[Companion]:
    """Yield `kernel-config-MACHINE` of the machine that the image's name ends with."""
    name = stem.partition(".rootfs")[0]
    parts = name.split("-")
    for first in range(1, min(len(parts), _MAX_PARTS)):
        path = directory / f"{_KERNEL_CONFIG}{'-'.join(parts[first:])}"
        if is_file(path):
            yield Companion(CompanionKind.KERNEL_CONFIG, path)
