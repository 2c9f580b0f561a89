"""The damaged images with which e2fsprogs tests its own e2fsck: downloaded from Debian's source package, never stored here."""

import bz2
import gzip
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

_IMAGE = re.compile(r"[^/]+/tests/([a-z]_[^/]+)/image\.(gz|bz2)")


def damaged_images(archive: Path, target: Path) -> Iterator[Path]:
    """Unpack each damaged image, as a file that is called after its test."""
    with tarfile.open(archive) as sources:
        for member in sources:
            found = _IMAGE.fullmatch(member.name)
            file = sources.extractfile(member) if found and member.isfile() else None
            if found and file:
                image = target / found[1]
                with gzip.open(file) if found[2] == "gz" else bz2.open(file) as unpacked, image.open("wb") as plain:
                    while chunk := unpacked.read(1 << 20):
                        plain.seek(len(chunk), 1) if not chunk.strip(b"\0") else plain.write(chunk)
                    plain.truncate()
                yield image
