"""An ordinary user for programs that refuse the superuser, such as BitBake."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import kas
import pytest

NOBODY = 65534
LIBRARIES = Path(kas.__file__).parent.parent
FINDS_KAS_AND_ITSELF = "import kas, os, sys; sys.exit(not os.access(sys.executable, os.X_OK))"
"""setpriv still reaches a program below a closed directory, but what it runs does not."""


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Who runs the tests, or the user `nobody` where that is the superuser."""

    directory: Path
    """Belongs to that user; gone after the test."""
    become: tuple[str, ...]
    """Put before a program's arguments to run it as that user."""

    def run(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the directory; its two outputs are one."""
        return subprocess.run(
            [*self.become, *map(str, argv)],
            cwd=self.directory,
            env={**os.environ, "HOME": str(self.directory), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def python(self) -> str:
        """Return a Python that this user may run and that finds kas in LIBRARIES; skips the test when there is none."""
        for python in (sys.executable, "/usr/bin/python3"):
            if self._can_run(python):
                return python
        pytest.skip("no Python on this machine is for ordinary users; run the test as one")

    def _can_run(self, python: str) -> bool:
        return self.run(python, "-c", FINDS_KAS_AND_ITSELF, env={"PYTHONPATH": str(LIBRARIES)}).returncode == 0

    def give(self, *sources: Path) -> None:
        """Copy directories into this user's."""
        for source in sources:
            shutil.copytree(source, self.directory / source.name)
            self.own(self.directory / source.name)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file of this user's, in directories of this user's, which other programs of the user may be at work in."""
        made = self.run("mkdir", "-p", path.parent)
        assert made.returncode == 0, made.stdout
        path.write_bytes(content)
        self.own(path)

    def own(self, directory: Path) -> None:
        """Let a file, or a directory in which nobody is at work and all that is in it, belong to this user."""
        if self.become:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, NOBODY, NOBODY)


@contextmanager
def ordinary_user() -> Iterator[Ordinary]:
    """Yield an ordinary user with an empty directory."""
    with tempfile.TemporaryDirectory(prefix="everest-secure-") as directory:
        become: tuple[str, ...] = ()
        if os.geteuid() == 0:
            os.chown(directory, NOBODY, NOBODY)
            become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        yield Ordinary(Path(directory), become)
