"""The one place where external programs are started.

Programs come either from the machine (`HostTools`) or from a tools root made for this project (`reference.toolsroot.ToolsRoot`);
both are a `Tools`, so that whoever needs `rauc` or `mksquashfs` does not know where it lies.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from everest_secure.errors import ToolError

Argument = str | Path


class Tools(Protocol):
    """Something that can run programs."""

    def run(
        self,
        argv: Sequence[Argument],
        *,
        paths: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
    ) -> bytes:
        """Run `argv` and return its standard output.

        `paths` are the files and directories that the program may see, under their own names; `env` is added to the environment.

        Raises ToolError with the program's own last words when it is missing or fails.
        """
        ...


class HostTools:
    """Programs of this machine."""

    def run(
        self,
        argv: Sequence[Argument],
        *,
        paths: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes = b"",
    ) -> bytes:
        """See `Tools.run`; the program sees the whole machine whatever `paths` says."""
        return run(argv, env=env, cwd=cwd, stdin=stdin)


def run(argv: Sequence[Argument], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: bytes = b"") -> bytes:
    """Run a program of this machine and return its standard output; see `Tools.run`."""
    arguments = [str(argument) for argument in argv]
    try:
        done = subprocess.run(arguments, env={**os.environ, **(env or {})}, cwd=cwd, input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise ToolError(f"the program '{arguments[0]}' is not installed; install it (see README) and try again") from None
    except PermissionError:
        raise ToolError(f"the program '{arguments[0]}' may not be executed; check its permissions") from None
    if done.returncode:
        raise ToolError(failure(arguments[0], done.returncode, done.stderr or done.stdout))
    return done.stdout


def failure(program: str, code: int, output: bytes) -> str:
    """One sentence on a failed program: its name, exit code and the last line it wrote."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    said = lines[-1] if lines else "it said nothing"
    return f"'{Path(program).name}' failed with exit code {code}: {said}"


def is_installed(program: str) -> bool:
    """Whether this machine has `program` on its search path."""
    return shutil.which(program) is not None
