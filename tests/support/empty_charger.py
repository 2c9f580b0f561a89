"""A charger as it leaves the factory, on which commands run under the names and paths that they have there: root file system, accounts, state."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.layer import Bench

LAID_OVER = ("etc", "usr", "var")
PACKAGES = ("everest-config", "everest-state", "everest-tpm", "everest-cert")
STATE = "/usr/lib/tmpfiles.d/everest-state.conf"
# What the packages bring lies over this machine's, and the store is where etc-everest-certs.mount has it.
_ENTER = """
place=$1
shift
for name in etc usr var; do
    mount -t overlay overlay -o "lowerdir=/$name,upperdir=$place/$name,workdir=$place/work/$name" "/$name"
done
[ ! -d /var/lib/everest/certs ] || mount --bind /var/lib/everest/certs /etc/everest/certs
exec "$@"
"""


@dataclass(frozen=True)
class EmptyCharger:
    """Directories that are laid over the machine's own while a command runs."""

    place: Path

    def command(self, *argv: str | Path, user: str = "root") -> list[str | Path]:
        """Return the command line by which a user runs a program on it."""
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return ["unshare", "--mount", "sh", "-euc", _ENTER, "sh", self.place, *become, *argv]

    def run(self, line: str, *, user: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run what somebody types, in a directory."""
        # The directory is entered where the charger's file systems are.
        argv = ("env", "--chdir", cwd, "sh", "-c", line)
        return subprocess.run(self.command(*argv, user=user), env=env, capture_output=True, text=True, check=False)


def empty_charger(layer: Bench, place: Path, accounts: Path, shell: Sequence[str]) -> EmptyCharger:
    """Install the layer's packages below a directory, scripts to be run by a shell; `accounts` has files passwd and group. Root alone can."""
    for name in LAID_OVER:
        (place / "work" / name).mkdir(parents=True)
        (place / name).mkdir()
    for name in PACKAGES:
        shutil.copytree(layer.package(name).files, place, dirs_exist_ok=True, symlinks=True)
    interpreter = shutil.which(shell[0])
    assert interpreter is not None
    for program in (place / "usr/sbin").iterdir():
        program.write_text(program.read_text().replace("#!/bin/sh", " ".join([f"#!{interpreter}", *shell[1:]]), 1))
    for file in ("passwd", "group"):
        shutil.copy(accounts / file, place / "etc" / file)
    for path in (place, *(place / name for name in LAID_OVER)):
        path.chmod(0o755)
    charger = EmptyCharger(place)
    subprocess.run(charger.command("systemd-tmpfiles", "--create", STATE), env={"PATH": os.environ["PATH"]}, check=True)
    return charger
