"""What makes two findings the same one, in two builds of an image.

A finding is known by its requirement, the place inside the artefact, the path there and its sentence. The artefact's own file name (which
holds dates and versions), the line (which moves with every edit above it), digests in the sentence and the remedy do not count.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

from everest_secure.result import Finding

VERSION = "everestSecure/v1"
"""Name of this way of telling findings apart; it changes when another way gives other fingerprints."""

_DIGEST = re.compile(r"\b[0-9a-f]{32,}\b", re.IGNORECASE)


def fingerprint(requirement: str, finding: Finding, *, given: Iterable[str]) -> str:
    """Return 64 hexadecimal digits; `given` are the names of the artefacts that were given."""
    return digest(requirement, inside(finding.at.artefact, given), finding.at.path, finding.what)


def digest(requirement: str, place: str, path: str, what: str) -> str:
    """Return the fingerprint of a finding by its parts; `place` is what `inside` returns."""
    parts = (requirement, place, path, _DIGEST.sub("digest", what))
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def inside(artefact: str, given: Iterable[str]) -> str:
    """Return the place inside the artefact that was given: `rootfs-a` of `disk.raw:rootfs-a`, empty for the artefact itself."""
    for name in sorted(given, key=len, reverse=True):
        if artefact == name:
            return ""
        if artefact.startswith(f"{name}:"):
            return artefact[len(name) + 1 :]
    return artefact
