"""Bills of materials of an image: SPDX 2.2 as an archive of documents, SPDX 3.0 as one JSON-LD file (create-spdx-2.2.bbclass, create-spdx-3.0.bbclass)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

INDEX = "/index.json"
MAX_DOCUMENTS = 50_000
_PACKAGE, _INSTALLED = "software_Package", "install"


@dataclass(frozen=True, slots=True)
class Bill:
    """What an image consists of."""

    version: str
    """`SPDX-2.2` or `3.0.1`."""
    packages: Mapping[str, frozenset[str]]
    """Names of the packages that are in the image, each with its versions, which are those of its source; empty texts where the bill names none."""


def parse_spdx3(text: str, where: str) -> Bill:
    """Read SPDX 3.0 in JSON-LD: the packages whose purpose is to be installed. Raises ArtefactError when it is something else."""
    value = _json(text, where)
    graph = value.get("@graph")
    if not isinstance(graph, list):
        raise ArtefactError(f"{where} has no '@graph' and is no SPDX 3.0; give the bill of materials that create-spdx-3.0 makes")
    elements = [element for element in graph if isinstance(element, dict)]
    version = next((str(each.get("specVersion")) for each in elements if each.get("type") == "CreationInfo"), "3.0")
    found = (each for each in elements if each.get("type") == _PACKAGE and each.get("software_primaryPurpose") == _INSTALLED)
    return Bill(version, by_name((str(each.get("name")), str(each.get("software_packageVersion") or "")) for each in found))


def read_spdx2(archive: Tree) -> Bill:
    """Read the documents of SPDX 2.2 in an archive with its index: the packages that the image contains.

    Raises ArtefactError when a document of the index is missing, and when none is that of an image.
    """
    entries = _json(archive.text(INDEX), f"{archive.name}: {INDEX}").get("documents")
    if not isinstance(entries, list) or len(entries) > MAX_DOCUMENTS:
        raise ArtefactError(f"{archive.name} has an index that lists no documents; give the archive that create-spdx makes")
    packages: dict[str, tuple[str, str]] = {}
    contained: list[str] = []
    version = ""
    for entry in entries:
        path = f"/{entry.get('filename') if isinstance(entry, dict) else ''}"
        document = _json(archive.text(path), f"{archive.name}: {path}")
        packages.update(_packages(document))
        if any(identifier.startswith("SPDXRef-Image") for identifier, _, _ in _elements(document)):
            version = str(document.get("spdxVersion"))
            contained += _contained(document)
    if not version:
        raise ArtefactError(f"{archive.name} holds no document of an image; give the archive that create-spdx makes")
    return Bill(version, by_name(packages[each] for each in contained if each in packages))


def by_name(packages: Iterable[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    """Return the versions of packages by name."""
    found: dict[str, set[str]] = {}
    for name, version in packages:
        found.setdefault(name, set()).add(version)
    return MappingProxyType({name: frozenset(versions) for name, versions in found.items()})


def _json(text: str, where: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ArtefactError(f"{where} is no JSON; build it again") from None
    if not isinstance(value, dict):
        raise ArtefactError(f"{where} is no mapping; build it again")
    return value


def _elements(document: dict[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield identifier, name and version of each package of a document."""
    packages = document.get("packages")
    for package in packages if isinstance(packages, list) else ():
        if isinstance(package, dict):
            yield str(package.get("SPDXID")), str(package.get("name")), str(package.get("versionInfo") or "")


def _packages(document: dict[str, object]) -> dict[str, tuple[str, str]]:
    """Name and version of each package by how other documents call it, their reference being the document's name."""
    return {f"DocumentRef-{document.get('name')}:{identifier}": (name, version) for identifier, name, version in _elements(document)}


def _contained(document: dict[str, object]) -> Iterator[str]:
    relationships = document.get("relationships")
    for each in relationships if isinstance(relationships, list) else ():
        if isinstance(each, dict) and each.get("relationshipType") == "CONTAINS":
            yield str(each.get("relatedSpdxElement"))
