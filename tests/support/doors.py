"""The power goes at a step of a program: each command that it calls is reached through a door that counts, and the door at which it goes kills them all."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BEHIND = "/usr/sbin:/usr/bin:/sbin:/bin"
_DOOR = """#!/bin/dash
case "$*" in
*{about}*)
    steps=$(($(wc -l <"{steps}") + 1))
    echo "{name}" >>"{steps}"
    [ "$steps" -ne "$CUT" ] || kill -KILL 0
    ;;
esac
PATH={behind} exec "{name}" "$@"
"""
MOST = 100
"""More steps than any program has."""


@dataclass(frozen=True)
class Doors:
    """Doors to commands, and how many were gone through."""

    place: Path
    steps: Path

    def cut(self, step: int, command: Sequence[str | Path], environment: Mapping[str, str]) -> bool:
        """Run a program, which has to succeed unless the power goes, and return whether it came to a step, counted from 1."""
        self.steps.write_text("")
        self.steps.chmod(0o666)
        variables = {**environment, "PATH": f"{self.place}:{_BEHIND}", "CUT": str(step)}
        done = subprocess.run(
            command, env=variables, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        # Two commands of a pipe may count at once and skip a step.
        return done.returncode != 0 or len(self.steps.read_text().splitlines()) >= step


def doors(place: Path, names: Sequence[str], *, about: str = "") -> Doors:
    """Make doors to commands in a directory; they count calls with `about`, a word of the shell, among their arguments."""
    made = Doors(place / "doors", place / "steps")
    made.place.mkdir()
    for name in names:
        (made.place / name).write_text(_DOOR.format(about=about, steps=made.steps, name=name, behind=_BEHIND))
        (made.place / name).chmod(0o755)
    return made
