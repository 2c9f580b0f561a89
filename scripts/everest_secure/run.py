"""The one place where external programs are started.

Programs come either from the machine (`HostTools`) or from a tools root made for this project (`reference.toolsroot.ToolsRoot`);
both are a `Tools`, so that whoever needs `rauc` or `mksquashfs` does not know where it lies.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from everest_secure.ending import Terminated, held_back
from everest_secure.errors import ProgramFailedError, ToolError

Argument = str | Path
STOP_SECONDS = 5
"""How long a program that was told to stop may take before it is killed."""
PASSED_ON_AFTER = 20.0
"""Seconds after which a request to end is passed on: who ends a group of processes, as CI does, has told the program too, and a second request would
make one such as kas end at once and leave BitBake alone."""


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

        Raises ProgramFailedError with the program's own last words when it fails, and ToolError when it is missing.
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
    done = attempt(argv, env=env, cwd=cwd, stdin=stdin)
    if done.code:
        raise ProgramFailedError(failure(str(argv[0]), done.code, done.errors or done.output))
    return done.output


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended."""

    code: int
    """Exit code; negative when a signal ended it."""
    output: bytes
    errors: bytes


def attempt(
    argv: Sequence[Argument],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    limit: float | None = None,
    inherit: bool = True,
) -> Completed:
    """Run a program of this machine whose failure is an answer too; without `inherit` its environment is `env` and nothing else.

    Raises ToolError when it is missing or still runs after `limit` seconds.
    """
    arguments = [str(argument) for argument in argv]
    environment = _environment(env) if inherit else dict(env or {})
    try:
        done = subprocess.run(arguments, env=environment, cwd=cwd, input=stdin, capture_output=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        raise ToolError(f"'{arguments[0]}' did not end within {limit:.0f} seconds; try again, or look at what it waits for") from None
    except (FileNotFoundError, PermissionError) as error:
        raise _not_started(arguments[0], error) from None
    return Completed(done.returncode, done.stdout, done.stderr)


def stream(argv: Sequence[Argument], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a program that talks to the terminal itself, and return its exit code.

    An interrupt from the terminal reaches the program too, which ends in its own way before KeyboardInterrupt is raised; a request to end is passed
    on to it. For the main thread alone, which interrupts reach. Raises ToolError when the program is missing.
    """
    arguments = [str(argument) for argument in argv]
    sys.stdout.flush()
    process: subprocess.Popen[bytes] | None = None
    try:
        with held_back():  # an interrupt while the program is being started would leave it alone
            process = subprocess.Popen(arguments, env=_environment(env), cwd=cwd)
        return process.wait()
    except (FileNotFoundError, PermissionError) as error:
        raise _not_started(arguments[0], error) from None
    except KeyboardInterrupt as reason:
        if process is not None:
            _outlast(process, told=not isinstance(reason, Terminated))
        raise


@contextmanager
def running(argv: Sequence[Argument], *, inherits: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that goes on by itself, its errors in a pipe, and stop it at the end whatever happens; ToolError when it is missing.

    The kernel kills it when the thread that started it ends in whatever way (prctl(2), PR_SET_PDEATHSIG). `inherits` are descriptors that it gets
    under their own numbers.
    """
    arguments = [str(argument) for argument in argv]
    if not is_installed(arguments[0]):
        raise _not_started(arguments[0], FileNotFoundError())
    tied = ["setpriv", "--pdeathsig=KILL", "--", *arguments]
    try:
        process = subprocess.Popen(tied, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=inherits)
    except (FileNotFoundError, PermissionError) as error:
        raise _not_started(arguments[0], error) from None
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _outlast(process: subprocess.Popen[bytes], *, told: bool) -> None:
    """Wait until an interrupted program has ended, however often the user interrupts again; it is told to end unless it ends by itself in time."""
    while process.returncode is None:
        with suppress(KeyboardInterrupt):
            try:
                process.wait(None if told else PASSED_ON_AFTER)
            except subprocess.TimeoutExpired:
                process.terminate()
                told = True


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(extra or {})}


def _not_started(program: str, error: OSError) -> ToolError:
    if isinstance(error, PermissionError):
        return ToolError(f"the program '{program}' may not be executed; check its permissions")
    return ToolError(f"the program '{program}' is not installed; install it (see README) and try again")


def failure(program: str, code: int, output: bytes) -> str:
    """One sentence on a failed program: its name, exit code and the last line it wrote."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    said = lines[-1] if lines else "it said nothing"
    return f"'{Path(program).name}' failed with exit code {code}: {said}"


def is_installed(program: str) -> bool:
    """Whether this machine has `program` on its search path."""
    return shutil.which(program) is not None
