"""Files of proofs, as `make boot` writes them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TARGET = "QEMU 7.2, q35, OVMF with secure boot, swtpm"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture of one point."""


def entry(*requirements: str, outcome: str = "proven", reason: str = "", excerpt: Sequence[str] = (), pictures: int = 0) -> dict[str, Any]:
    """Return one scenario."""
    return {
        "requirements": list(requirements),
        "test": "tests/boot/test_chain.py::test_an_unsigned_image_is_refused",
        "sentence": "an unsigned image is refused",
        "outcome": outcome,
        "reason": reason,
        "excerpt": list(excerpt),
        "pictures": [{"title": "the firmware", "png": PNG}] * pictures,
    }


def content(*proofs: dict[str, Any], sha256: str = "ab" * 32, time: str = "2026-08-21T13:00:00+00:00") -> dict[str, Any]:
    """Return what a file of proofs holds."""
    artefacts = [{"name": "disk.raw", "sha256": sha256}]
    return {"format": 1, "target": TARGET, "time": time, "artefacts": artefacts, "proofs": list(proofs)}


def write(path: Path, value: object) -> Path:
    """Write JSON."""
    path.write_text(json.dumps(value))
    return path
