"""The damaged images with which e2fsprogs tests its own e2fsck: downloaded from Debian's source package, never stored here."""

import bz2
import gzip
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / "build/cache/e2fsprogs"
SECONDS = 60
"""How long apt may take, for the index of sources and the archive of 10 MB together."""
_SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d")
_IMAGE = re.compile(r"[^/]+/tests/([a-z]_[^/]+)/image\.(gz|bz2)")


def source_archive(cache: Path = CACHE) -> Path | None:
    """Return the archive of e2fsprogs' sources, downloaded once; None where apt cannot have it in time."""
    kept = next(cache.glob("e2fsprogs_*.orig.tar.*z"), None)
    if kept is None:
        cache.mkdir(parents=True, exist_ok=True)
        options = _own_apt(cache)
        try:
            for command in (["update"], ["source", "--download-only", "e2fsprogs"]):
                subprocess.run(["apt-get", "-qq", *options, *command], cwd=cache, capture_output=True, timeout=SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        kept = next(cache.glob("e2fsprogs_*.orig.tar.*z"), None)
    return kept


def _own_apt(cache: Path) -> list[str]:
    """Return options that let apt work in a directory of its own, with the machine's sources of packages as sources of source packages."""
    for name in ("lists/partial", "archives/partial", "parts"):
        (cache / "apt" / name).mkdir(parents=True, exist_ok=True)
    lists, *directories = map(Path, _SOURCES)
    for file in [lists, *(file for directory in directories for file in sorted(directory.glob("*")))]:
        if file.is_file() and file.suffix in (".list", ".sources"):
            text = re.sub(r"^(Types:\s*|)deb(?=\s)", r"\1deb-src", file.read_text(), flags=re.MULTILINE)
            (cache / "apt/parts" / file.name).write_text(text)
    own = {
        "Dir::Etc::sourcelist": "-",
        "Dir::Etc::sourceparts": cache / "apt/parts",
        "Dir::State::lists": cache / "apt/lists",
        "Dir::Cache": cache / "apt",
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": 10,
        "Acquire::Retries": 0,
    }
    return [part for key, value in own.items() for part in ("-o", f"{key}={value}")]


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
