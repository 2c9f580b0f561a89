"""Proofs register themselves; each yields facts, and one that breaks is a failure of its requirement."""

import subprocess
from collections.abc import Callable, Iterator, Sequence

Fact = tuple[bool, str]
"""Whether something holds, and what was seen, on one line."""
LIMIT_SECONDS = 120
SERVICE_USER = "everest"
_proofs: list[tuple[str, Callable[[], Iterator[Fact]]]] = []


def proves(requirement: str) -> Callable[[Callable[[], Iterator[Fact]]], Callable[[], Iterator[Fact]]]:
    """Register a function that yields facts on a requirement."""

    def register(function: Callable[[], Iterator[Fact]]) -> Callable[[], Iterator[Fact]]:
        _proofs.append((requirement, function))
        return function

    return register


def run_all() -> None:
    """Print every fact; a proof that yields none has failed."""
    for requirement, function in _proofs:
        seen = 0
        try:
            for holds, what in function():
                seen += 1
                _say(requirement, "ok" if holds else "FAILED", what)
        except Exception as error:
            seen += 1
            _say(requirement, "FAILED", f"{function.__name__}: {type(error).__name__}: {error}")
        if not seen:
            _say(requirement, "FAILED", f"{function.__name__} saw nothing")
    print("everest-proof: done", flush=True)


def _say(requirement: str, verdict: str, what: str) -> None:
    print(f"everest-proof: {requirement} {verdict} {' '.join(what.split())}", flush=True)


def run(*argv: str, user: str = "", stdin: str = "", env: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a program, as another user with all of that user's groups if one is named; its two outputs are one."""
    become = (
        ("setpriv", f"--reuid={user}", f"--regid={user if user != 'nobody' else 'nogroup'}", "--init-groups", "--no-new-privs")
        if user
        else ()
    )
    environment = ("env", *env) if env else ()
    return subprocess.run(
        [*become, *environment, *argv],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT_SECONDS,
        check=False,
    )


def refused(*argv: str, user: str, because: str) -> Fact:
    """Return the fact that a program run by a user ends with an error that says `because`."""
    done = run(*argv, user=user)
    last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
    return done.returncode != 0 and because in done.stdout, f"{user} may not: {' '.join(argv)}: {last}"
