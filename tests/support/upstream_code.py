"""Code of an upstream repository at a revision: fetched by git, compiled by Meson, never stored here."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from everest_secure.build import upstream
from everest_secure.build.configuration import Repository
from support.reference import require

_MISSING = re.compile(r'Dependency "([\w.-]+)" not found')


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


def installed(code: Path, place: Path, options: Sequence[str], *, libraries: str) -> Path:
    """Compile a project of Meson for `/usr` and return the tree that it installs; skips the test where a tool is missing, or one of the `libraries` with its headers.

    `place` is a directory to work in. pkg-config finds files there before those of this machine.
    """
    require("gcc", "meson", "ninja", "pkg-config", "gdbus-codegen")
    tree, environment = place / "tree", {**os.environ, "PKG_CONFIG_PATH": str(place)}
    steps: tuple[tuple[str | Path, ...], ...] = (
        ("setup", "--prefix=/usr", *options, place / "build", code),
        ("compile", "-C", place / "build"),
        ("install", "-C", place / "build", "--quiet", "--destdir", tree),
    )
    for step in steps:
        done = subprocess.run(["meson", *step], env=environment, capture_output=True, text=True, check=False)
        if missing := _MISSING.search(done.stdout):
            pytest.skip(f"{missing[1]} is missing: install the headers of {libraries}")
        assert done.returncode == 0, done.stdout + done.stderr
    return tree


def excerpt(file: Path, begin: str, end: str) -> str:
    """Return the lines of a file from the only one that begins with a text, leading blanks aside, to the next that is another text."""
    lines = file.read_text().splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.lstrip().startswith(begin))
    last = next(number for number, line in enumerate(lines[first:], start=first) if line == end)
    return "\n".join(lines[first : last + 1]) + "\n"
