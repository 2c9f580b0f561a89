"""Bills of materials and reports of vulnerabilities, as classes of OE-Core make them, and what checks say of an image beside which they lie."""

import json
from pathlib import Path
from typing import Any

from everest_secure import checks
from everest_secure.checks.core import Build, registered, run_check
from everest_secure.image.artefact import Artefact
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult, Outcome
from support.rootfs import RootFs, production

VERSIONS = {"everest-core": "2026.02.1", "rauc": "1.15.2"}


def spdx3(*installed: str, **versions: str) -> str:
    """Return an SPDX 3.0 file as create-spdx-3.0 makes it, with a recipe's source and a file besides."""
    of = {**VERSIONS, **versions}
    graph: list[dict[str, Any]] = [
        {"type": "CreationInfo", "@id": "_:CreationInfo1", "specVersion": "3.0.1"},
        {"type": "software_Package", "spdxId": "a", "name": "source-only", "software_primaryPurpose": "source"},
        {"type": "software_File", "spdxId": "b", "name": "etc/passwd"},
    ]
    graph += [
        {
            "type": "software_Package",
            "spdxId": name,
            "name": name,
            "software_primaryPurpose": "install",
            "software_packageVersion": of.get(name, "1"),
        }
        for name in installed
    ]
    return json.dumps({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph})


def report(*issues: dict[str, Any], name: str = "openssl", version: str = "3.2.1") -> str:
    """Return a report of vulnerabilities as cve-check makes it, of one recipe."""
    package = {"name": name, "layer": "meta", "version": version, "products": [], "issue": issues}
    return json.dumps({"version": "1", "package": [package]})


def issue(number: int, status: str = "Unpatched", v3: str = "0.0", v4: str = "0.0") -> dict[str, Any]:
    """Return an entry of such a report; the scores are those of CVSS 3 and 4, 0.0 for none."""
    return {"id": f"CVE-2024-{number}", "status": status, "scorev2": "0.0", "scorev3": v3, "scorev4": v4, "summary": "x"}


MANIFEST = "everest-core qemux86_64 2026.02.1-r0\nrauc core2_64 1.15.2-r0\n"


def build(directory: Path, *, root: RootFs | None = None, manifest: str = MANIFEST, **files: str | None) -> Build:
    """Make an image's neighbours: `spdx`, `cve` and `vex` are contents of files."""
    names = {"spdx": "i.spdx.json", "cve": "i.json", "vex": "i.vex.json"}
    kinds = {"spdx": CompanionKind.BILL_OF_MATERIALS}
    companions = []
    for key, text in files.items():
        if text is None:
            continue
        (directory / names[key]).write_text(text)
        companions.append(Companion(kinds.get(key, CompanionKind.VULNERABILITIES), directory / names[key]))
    if manifest:
        (directory / "i.manifest").write_text(manifest)
        companions.append(Companion(CompanionKind.MANIFEST, directory / "i.manifest"))
    roots = (root.root,) if root else ()
    return Build(Artefact("i.wic", "gpt"), roots, tuple(companions))


def judged(requirement: str, subject: Build, policy: Parameters | None = None) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == requirement and each.scope.name == "BUILD"]
    return run_check(entry, subject, "i", policy or production())


def said(requirement: str, subject: Build) -> list[str]:
    result = judged(requirement, subject)
    assert result.outcome is Outcome.FAIL, result
    return [finding.what for finding in result.findings]
