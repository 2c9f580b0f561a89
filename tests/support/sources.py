"""Source packages of Debian, whose own tests are an oracle for ours: downloaded, never stored here."""

import re
import subprocess
from pathlib import Path

from support.reference import REPOSITORY

CACHE = REPOSITORY / "build/cache"
SECONDS = 60
"""How long apt may take, for the index of sources and an archive together."""
_SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d")


def source_archive(package: str) -> Path | None:
    """Return the upstream archive of a source package, downloaded once; None where apt cannot have it in time."""
    cache = CACHE / package
    pattern = f"{package}_*.orig.tar.*z"
    kept = next(cache.glob(pattern), None)
    if kept is None:
        cache.mkdir(parents=True, exist_ok=True)
        options = _own_apt(cache)
        try:
            for command in (["update"], ["source", "--download-only", package]):
                subprocess.run(["apt-get", "-qq", *options, *command], cwd=cache, capture_output=True, timeout=SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        kept = next(cache.glob(pattern), None)
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
