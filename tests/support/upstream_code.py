"""Code of an upstream repository at a revision: fetched by git, never stored here."""

import os
import subprocess
from pathlib import Path

import pytest

from everest_secure.build import upstream
from everest_secure.build.configuration import Repository


def check_out(repository: Repository, place: Path) -> Path:
    """Check a commit or tag out in a directory that exists, and return it; skips the test where the repository is out of reach.

    Mirrors named by GITCONFIG_FILE or KAS_PREMIRRORS serve as well.
    """
    if upstream.unreachable([repository], environment=os.environ):
        pytest.skip(f"upstream is out of reach: {upstream.hosts([repository])}")
    url = upstream.mirrored(repository.url, os.environ.get("KAS_PREMIRRORS", ""))
    environment = {**os.environ, **upstream.git_settings(os.environ)}
    for arguments in (
        ["init", "--quiet", "."],
        ["fetch", "--quiet", "--depth", "1", url, repository.revision],
        ["checkout", "--quiet", "FETCH_HEAD"],
    ):
        subprocess.run(["git", *arguments], cwd=place, env=environment, check=True)
    return place


def excerpt(file: Path, begin: str, end: str) -> str:
    """Return the lines of a file from the only one that begins with a text, leading blanks aside, to the next that is another text."""
    lines = file.read_text().splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.lstrip().startswith(begin))
    last = next(number for number, line in enumerate(lines[first:], start=first) if line == end)
    return "\n".join(lines[first : last + 1]) + "\n"
