"""What is installed: by the package managers' lists in the image, else by the list that its build left beside it."""

import re
from collections.abc import Iterator, Mapping

from everest_secure.checks.common import at
from everest_secure.checks.core import Location, Root
from everest_secure.image.companions import CompanionKind
from everest_secure.image.tree import printable
from everest_secure.parse.build_lists import parse_package_manifest
from everest_secure.parse.packages import Package, read_packages
from everest_secure.parse.patterns import matches

_MULTILIB = re.compile(r"lib(?:32|64|x32)-")
"""What OE-Core puts before the names of packages for another ABI (multilib.bbclass)."""


def installed(root: Root) -> tuple[Package, ...] | None:
    """Return the installed packages; None when neither the image nor an IMAGE.manifest beside it lists any. Raises ArtefactError for a list that cannot be read."""
    manifests = (companion for companion in root.container.companions if companion.kind is CompanionKind.MANIFEST)
    return read_packages(root.tree) or next((parse_package_manifest(each.text(), each.name) for each in manifests), None) or None


def place_of_package(root: Root, package: Package) -> Location:
    """Return the place that lists a package: a path of the image, or the file beside it."""
    return at(root, package.path, package.line) if package.path.startswith("/") else Location(package.path, line=package.line)


def forbidden(
    root: Root, patterns: Mapping[str, tuple[str, ...]], files: Mapping[str, tuple[str, ...]], requirement: str
) -> Iterator[tuple[str, Location]]:
    """Yield what is installed although a requirement forbids it: a sentence part and the place that shows it."""
    for package in installed(root) or ():
        if any(matches(name, patterns.get(requirement, ())) for name in (package.name, _MULTILIB.sub("", package.name, count=1))):
            yield f"the package {package.name} {package.version} is installed", place_of_package(root, package)
    for pattern in files.get(requirement, ()):
        if "*" not in pattern:
            if root.tree.resolve(pattern):
                yield f"the file {pattern} exists", at(root, pattern)
            continue
        for node in root.tree.nodes():
            if matches(node.path, (pattern,)):
                yield f"the file {printable(node.path)} exists", at(root, node.path)


def package_evidence(root: Root) -> str:
    """Say how far packages could be looked at."""
    packages = installed(root)
    if not packages:
        return "no package list in the image or beside it, files looked at instead"
    return f"{len(packages)} installed packages" + ("" if packages[0].path.startswith("/") else f", by {packages[0].path}")
