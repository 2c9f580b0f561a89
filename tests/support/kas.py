"""Small kas projects and upstream repositories, made with the real git."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from everest_secure.build.configuration import Repository
from everest_secure.build.kas import Kas
from everest_secure.paths import data

KAS_DIRECTORY = data("meta-everest-secure").parent / "kas"
"""The project's own kas files."""
TOP_FILES = sorted(path for path in KAS_DIRECTORY.glob("*.yml") if path.name != "base.yml" and not path.name.endswith(".lock.yml"))
"""Those that are built: one for each product variant."""
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")


def pinned(name: str) -> Repository:
    """Return an upstream repository of the project at the commit that its lock file pins."""
    configuration = Kas((KAS_DIRECTORY / "base.yml",), KAS_DIRECTORY.parent).configuration()
    (repository,) = (each for each in configuration.repositories if each.name == name)
    return repository


def git(*arguments: str | Path, cwd: Path) -> str:
    """Run git without the settings of whoever runs the tests."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *IDENTITY, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Upstream:
    """A repository with one commit on the branch `scarthgap`, with the tag `1.0`."""

    url: str
    commit: str


def upstream(directory: Path, **files: str) -> Upstream:
    """Make a repository whose files are given by name."""
    directory.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch", "scarthgap", ".", cwd=directory)
    for name, content in {"README": "A layer\n", **files}.items():
        (directory / name).write_text(content)
    git("add", "--all", cwd=directory)
    git("commit", "--quiet", "--message", "first", cwd=directory)
    git("tag", "1.0", cwd=directory)
    return Upstream(directory.as_uri(), git("rev-parse", "HEAD", cwd=directory))


@dataclass(frozen=True, slots=True)
class Project:
    """A project with kas files, in a repository of its own as kas expects."""

    directory: Path

    def kas_file(self, name: str, content: object) -> Path:
        """Write a kas file; a header is put before a mapping."""
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump({"header": {"version": 20}, **_mapping(content)}))
        return path


def _mapping(content: object) -> dict[str, object]:
    assert isinstance(content, dict)
    return content


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    directory = tmp_path / "project"
    directory.mkdir()
    git("init", "--quiet", ".", cwd=directory)
    return Project(directory)
