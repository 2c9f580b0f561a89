"""fstab(5)."""

import re
from dataclasses import dataclass
from posixpath import normpath

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

FSTAB = "/etc/fstab"
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system and where it is mounted, from fstab or a mount unit."""

    what: str
    where: str
    type: str
    options: tuple[str, ...]
    path: str
    """File that says so."""
    line: int

    @property
    def read_only(self) -> bool:
        """Whether it is mounted read-only: of `ro` and `rw` the last one counts (mount(8))."""
        said = [option for option in self.options if option in ("ro", "rw")]
        return bool(said) and said[-1] == "ro"

    def forbids(self, option: str) -> bool:
        """Whether an option such as `noexec` holds: of it and its opposite (`exec`) the last one counts (mount(8))."""
        said = [each for each in self.options if each in (option, option.removeprefix("no"))]
        return bool(said) and said[-1] == option


def parse_fstab(text: str, path: str = FSTAB) -> tuple[Mount, ...]:
    """Parse fstab(5); raises ArtefactError for a line without mount point."""
    mounts = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = [_OCTAL.sub(lambda found: chr(int(found[1], 8)), field) for field in line.split()]
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) < 2:
            raise ArtefactError(f"{path}:{number} names no mount point; mend the file")
        fields += ["auto", "defaults"][len(fields) - 2 :]
        where = normpath(re.sub("/+", "/", fields[1]))
        mounts.append(Mount(fields[0], where, fields[2], tuple(fields[3].split(",")), path, number))
    return tuple(mounts)


def read_fstab(tree: Tree) -> tuple[Mount, ...]:
    """Read a root file system's fstab; none means no entries."""
    return parse_fstab(tree.text(FSTAB)) if tree.resolve(FSTAB) else ()
