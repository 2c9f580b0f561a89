"""Bills of materials and reports of vulnerabilities, as classes of OE-Core make them."""

import json
from typing import Any

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
