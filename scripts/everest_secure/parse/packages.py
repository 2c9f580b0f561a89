"""Installed packages, from the package manager's own list if the image has one."""

from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

LISTS = ("/var/lib/dpkg/status", "/usr/lib/dpkg/status", "/var/lib/opkg/status", "/usr/lib/opkg/status")
LIST_DIRECTORIES = ("/var/lib/dpkg/status.d",)
RPM = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package."""

    name: str
    version: str
    path: str
    line: int


def parse_status(text: str, path: str) -> tuple[Package, ...]:
    """Parse a status file of dpkg or opkg (deb822(5) paragraphs); a paragraph that is not installed is left out."""
    return tuple(
        Package(fields["package"], fields.get("version", ""), path, line)
        for line, fields in _paragraphs(text)
        if "package" in fields and fields.get("status", "install ok installed").split()[-1:] == ["installed"]
    )


def _paragraphs(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    fields: dict[str, str] = {}
    start = 1
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            if fields:
                yield start, fields
            fields, start = {}, number + 1
        elif not line[0].isspace():
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
    if fields:
        yield start, fields


def read_packages(tree: Tree) -> tuple[Package, ...] | None:
    """Return the installed packages, or None when the image has no package list.

    Raises ArtefactError for RPM databases, which are not read.
    """
    found: list[Package] = []
    lists = [path for path in LISTS if tree.resolve(path)]
    lists += [node.path for directory in LIST_DIRECTORIES for node in tree.children(directory) if node.is_file]
    for path in lists:
        if not path.endswith(".md5sums"):
            found += parse_status(tree.text(path), path)
    if found:
        return tuple(found)
    if any(tree.children(path) for path in RPM):
        raise ArtefactError(
            f"{tree.name} keeps its package list in an RPM database, which is not read; build with package_ipk or package_deb"
        )
    return None
