"""The image that the scenarios of tests/boot are about: the demonstration's, or that of a build with BitBake.

EVEREST_SECURE_IMAGES is a directory with one disk image and its bundle, as a build leaves it in build/yocto/images, and EVEREST_SECURE_KEYS
the development PKI that signed both. Without them it is what `make demo` has made.
"""

import json
import os
from pathlib import Path

from support.reference import REPOSITORY

DEMONSTRATION = REPOSITORY / "build/demo"
IMAGES = Path(os.environ.get("EVEREST_SECURE_IMAGES") or DEMONSTRATION).resolve()
KEYS = Path(os.environ.get("EVEREST_SECURE_KEYS") or REPOSITORY / "build/keys/development").resolve()
LACKING = f"there is no disk image with a bundle beside it in {IMAGES}, or no keys in {KEYS}; run 'make demo' first"


def _only(*patterns: str) -> Path:
    """Return the one file of these patterns; where it is missing, one that does not exist, so that tests can say so."""
    found = {file.resolve() for pattern in patterns for file in IMAGES.glob(pattern)}
    return found.pop() if len(found) == 1 else IMAGES / patterns[0]


DISK, BUNDLE = _only("*.raw", "*.wic"), _only("*.raucb")


def is_there() -> bool:
    """Whether there is an image to look at."""
    return DISK.is_file() and BUNDLE.is_file() and KEYS.is_dir()


def packages() -> frozenset[str]:
    """Return the names of the packages in the image: by mkosi's manifest (JSON), or by BitBake's, a line `NAME ARCH VERSION` for each."""
    (manifest,) = [*IMAGES.glob("*.manifest.json"), *IMAGES.glob("*.manifest")]
    if manifest.suffix == ".json":
        return frozenset(package["name"] for package in json.loads(manifest.read_text())["packages"])
    return frozenset(line.split()[0] for line in manifest.read_text().splitlines())
