"""Installed packages, from the package manager's own list if the image has one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.rpm_database import DATABASES, read_rpm_database

LISTS = ("/var/lib/dpkg/status", "/usr/lib/dpkg/status", "/var/lib/opkg/status", "/usr/lib/opkg/status")
LIST_DIRECTORIES = ("/var/lib/dpkg/status.d",)
LICENCES = "/usr/share/common-licenses/license.manifest"
"""OE-Core's list of packages, versions and licences, where COPY_LIC_MANIFEST is set: all that is left when an image gives up its package manager's."""
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


def parse_licences(text: str, path: str) -> tuple[Package, ...]:
    """Parse OE-Core's list of licences (license_image.bbclass)."""
    return tuple(
        Package(fields["package name"], fields.get("package version", ""), path, line)
        for line, fields in _paragraphs(text)
        if "package name" in fields
    )


def parse_recipes(text: str) -> Mapping[str, frozenset[str]]:
    """Return the versions of the recipes that OE-Core's list of licences names, by name."""
    found: dict[str, set[str]] = {}
    for _, fields in _paragraphs(text):
        if "recipe name" in fields:
            found.setdefault(fields["recipe name"], set()).add(fields.get("package version", ""))
    return MappingProxyType({name: frozenset(versions) for name, versions in found.items()})


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

    The list of licences counts where no package manager's is there. Raises ArtefactError for a damaged RPM database and those of its older forms.
    """
    found: list[Package] = []
    lists = [path for path in LISTS if tree.resolve(path)]
    lists += [node.path for directory in LIST_DIRECTORIES for node in tree.children(directory) if node.is_file]
    for path in lists:
        if not path.endswith(".md5sums"):
            found += parse_status(tree.text(path), path)
    for path in DATABASES:
        if tree.resolve(path):
            found += (Package(name, version, path, 0) for name, version in read_rpm_database(tree, path))
    if found:
        return tuple(found)
    if any(tree.children(path) for path in RPM):
        raise ArtefactError(
            f"{tree.name} keeps its package list in an RPM database of a form that is not read; build with rpm 4.16 or later"
        )
    if tree.resolve(LICENCES):
        return parse_licences(tree.text(LICENCES), LICENCES)
    return None
