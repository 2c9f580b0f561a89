"""Installed packages, from the package manager's own list if the image has one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname
from types import MappingProxyType

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.rpm_database import DATABASES, read_rpm_database

LISTS = ("/var/lib/dpkg/status", "/usr/lib/dpkg/status", "/var/lib/opkg/status", "/usr/lib/opkg/status")
LIST_DIRECTORIES = ("/var/lib/dpkg/status.d", "/var/lib/dpkg/updates")
"""Lists in pieces: of images without dpkg, and what dpkg has written down and not merged yet (dpkg, lib/dpkg/dbmodify.c)."""
_OPKG_CONF, _OPKG_DIRECTORY = "/etc/opkg.conf", "/etc/opkg"
_NOT_THERE = ("not-installed", "config-files")
"""States in which the files of a package are not there; in all others, `unpacked` and `half-configured` too, they are (dpkg(1), opkg's pkg.c)."""
LICENCES = "/usr/share/common-licenses/license.manifest"
"""OE-Core's list of packages, versions and licences, where COPY_LIC_MANIFEST is set: all that is left when an image gives up its package manager's."""
RPM = tuple(dirname(path) for path in DATABASES)
_OLD_RPM = ("Packages", "Packages.db")
"""The databases of Berkeley DB and ndb."""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package."""

    name: str
    version: str
    path: str
    line: int


def parse_status(text: str, path: str) -> tuple[Package, ...]:
    """Parse a status file of dpkg or opkg (deb822(5) paragraphs); a package whose files are not there is left out."""
    return tuple(
        Package(fields["package"], fields.get("version", ""), path, line)
        for line, fields in _paragraphs(text)
        if "package" in fields and fields.get("status", "installed").rpartition(" ")[2] not in _NOT_THERE
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
    lists = [path for path in dict.fromkeys((*LISTS, *_status_files(tree))) if tree.resolve(path)]
    lists += [node.path for directory in LIST_DIRECTORIES for node in tree.children(directory) if node.is_file]
    for path in lists:
        if not path.endswith(".md5sums"):
            found += parse_status(tree.text(path), path)
    for path in DATABASES:
        if tree.resolve(path):
            found += (Package(name, version, path, 0) for name, version in read_rpm_database(tree, path))
    old = any(tree.resolve(f"{path}/{name}") for path in RPM for name in _OLD_RPM if not tree.resolve(f"{path}/rpmdb.sqlite"))
    if found and not old:
        return tuple(found)
    if old or any(tree.children(path) for path in RPM):
        raise ArtefactError(
            f"{tree.name} keeps its package list in an RPM database of a form that is not read; build with rpm 4.16 or later"
        )
    if tree.resolve(LICENCES):
        return parse_licences(tree.text(LICENCES), LICENCES)
    return None


def _status_files(tree: Tree) -> Iterator[str]:
    """Yield where opkg is told to keep its list: `option status_file PATH` (opkg.conf(5), opkg_conf.c)."""
    for node in (tree.resolve(_OPKG_CONF), *tree.children(_OPKG_DIRECTORY)):
        if node is not None and node.is_file and node.name.endswith(".conf"):
            for words in (line.split() for line in tree.text(node.path).split("\n")):
                if words[:2] == ["option", "status_file"] and len(words) > 2:
                    yield words[2]
