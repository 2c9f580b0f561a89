"""Lists that a Yocto build leaves in and beside an image: packages, revisions of layers, known vulnerabilities."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from everest_secure.errors import ArtefactError
from everest_secure.parse.packages import Package

MAX_ISSUES = 100_000
MAX_SCORE = 10.0
"""Of CVSS."""
MAX_LINE = 1000
"""Characters of a line of /etc/buildinfo that can name a layer."""
_LAYER = re.compile(r"(?P<name>\S+)\s*= (?P<branch>.*):(?P<revision>[^:\s]+)(?P<modified> -- modified)?", re.ASCII)
_EPOCH = re.compile(r"[0-9]+_")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def parse_package_manifest(text: str, where: str) -> tuple[Package, ...]:
    """Return the packages of an image's `.manifest`: a line `NAME ARCHITECTURE VERSION` for each package (oe/utils.py, format_pkg_list()).

    Raises ArtefactError for a line of another form.
    """
    packages = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if words and len(words) != 3:
            raise ArtefactError(f"{where}:{number} is not the name, architecture and version of a package; give the manifest of a build")
        if words:
            packages.append(Package(words[0], words[2], where, number))
    return tuple(packages)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the build."""

    name: str
    revision: str
    modified: bool
    """Whether it held changes that are in no commit, or is no repository."""
    line: int

    @property
    def pinned(self) -> bool:
        """Whether the revision is the name of a commit."""
        return _COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """/etc/buildinfo."""

    variables: dict[str, str]
    layers: tuple[Layer, ...]


def parse_buildinfo(text: str) -> BuildInfo:
    """Parse what image-buildinfo.bbclass writes: variables, then a line `NAME = BRANCH:REVISION` for each layer, with ` -- modified` behind it."""
    variables: dict[str, str] = {}
    layers: list[Layer] = []
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("-----") or not line.strip():
            continue
        if line.endswith("|"):
            section = line.partition(":")[0]
        elif section == "Layer Revisions":
            found = _LAYER.fullmatch(line) if len(line) <= MAX_LINE else None
            layers.append(
                Layer(found["name"], found["revision"], found["modified"] is not None, number)
                if found
                else Layer(line.partition("=")[0].strip()[:MAX_LINE], line.partition("=")[2].strip()[:MAX_LINE], modified=True, line=number)
            )
        else:
            name, _, value = line.partition(" = ")
            variables[name.strip()] = value.strip()
    return BuildInfo(variables, tuple(layers))


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A known vulnerability of a package."""

    id: str
    package: str
    version: str
    open: bool
    """Whether it is neither patched nor marked as no concern of this package."""
    score: float | None
    """CVSS base score of the newest version that has one; None when there is none yet."""


@dataclass(frozen=True, slots=True)
class VulnerabilityReport:
    """What was compared with a database of vulnerabilities, and what came of it."""

    recipes: Mapping[str, str]
    """Version of each recipe by name."""
    issues: tuple[Vulnerability, ...]
    without_record: frozenset[str] = frozenset()
    """Recipes of whose products the database has no record, as of one that goes by another name there."""


def parse_vulnerabilities(text: str, where: str) -> VulnerabilityReport | None:
    """Parse a report of cve-check.bbclass, or of sbom-cve-check in its format; None for JSON of another kind.

    Without a database cve-check.bbclass writes a report without recipes. Of a version it writes the epoch in front as `1_`.

    Raises ArtefactError when it is no JSON, or a report with something else inside.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ArtefactError(f"{where} is no JSON; build it again") from None
    if not isinstance(value, dict) or not isinstance(value.get("package"), list):
        return None
    found: list[Vulnerability] = []
    recipes: dict[str, str] = {}
    without: set[str] = set()
    for package in value["package"]:
        try:
            name, version = str(package["name"]), str(package["version"])
            recipes[name] = _EPOCH.sub("", version, count=1)
            found += (_vulnerability(issue, name, version) for issue in package["issue"])
            products = [product.get("cvesInRecord") for product in package.get("products") or ()]
            if products and "Yes" not in products and not package["issue"]:
                without.add(name)
        except (KeyError, TypeError, AttributeError):
            raise ArtefactError(f"{where} has an entry without name, version, id or status; build it again") from None
        if len(found) > MAX_ISSUES:
            raise ArtefactError(f"{where} lists more than {MAX_ISSUES} vulnerabilities; it is no report on a charger")
    return VulnerabilityReport(MappingProxyType(recipes), tuple(found), frozenset(without))


def _vulnerability(issue: dict[str, object], name: str, version: str) -> Vulnerability:
    scores = [_score(issue.get(key)) for key in ("scorev4", "scorev3", "scorev2")]
    known = [score for score in scores if score is not None]
    return Vulnerability(str(issue["id"]), name, version, str(issue["status"]) not in ("Patched", "Ignored"), known[0] if known else None)


def _score(value: object) -> float | None:
    """Return a score; cve-check writes 0.0 for one that nobody has given yet."""
    try:
        score = float(str(value))
    except ValueError:
        return None
    return score if 0 < score <= MAX_SCORE else None
