"""Measures the prebuilt way from nothing to a checked image and bundle, and again after a change of one line; prints both, asserts nothing.

`PYTHONPATH=scripts:tests python bench/prebuilt.py [DIR]`, on a machine that has nothing else to do, with upstream or mirrors of it in reach. As root it
builds as an ordinary user with subordinate ids, as BitBake and mmdebstrap ask for. The clone of the project is made before the clock starts; layers
are checked out and Debian's packages fetched while it runs. DIR, which must not exist, is for images and keys.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from everest_secure.paths import data
from support.ordinary import LIBRARIES, Ordinary
from support.subordinate import subordinate_user

PROJECT = data("kas").parent
RUN = "import sys; from everest_secure.cli.main import main; sys.exit(main())"
BUILD = ("build", "kas/qemux86-64.yml", "kas/opt/prebuilt.yml", "--keys", "keys", "--profile", "reference")
CHANGED = "meta-everest-secure/recipes-core/everest-sysctl/files/60-everest.conf"


def everest_secure(user: Ordinary, *arguments: str) -> float:
    """Run the command, which must do its work (exit code 0, or 1 for findings), and return its wall time in seconds."""
    libraries = f"{user.directory}/scripts:{LIBRARIES}"
    started = time.monotonic()
    done = user.run(user.python(), "-c", RUN, *arguments, env={"PYTHONPATH": libraries, "LC_ALL": "C.UTF-8"})
    took = time.monotonic() - started
    print(done.stdout[-3000:], file=sys.stderr)
    if done.returncode not in {0, 1}:
        sys.exit(f"everest-secure {arguments[0]} failed with exit code {done.returncode}")
    return took


def main() -> None:
    """Print the two figures."""
    with subordinate_user() as user:
        subprocess.run(["git", "clone", "--quiet", PROJECT, user.directory / "clone"], check=True)
        for entry in (user.directory / "clone").iterdir():
            entry.rename(user.directory / entry.name)
        user.own(user.directory)
        everest_secure(user, "pki", "init", "keys")
        print(f"from nothing {everest_secure(user, *BUILD):.0f} s on {os.cpu_count()} cores", flush=True)
        with (user.directory / CHANGED).open("a") as file:
            file.write("# one more line\n")
        print(f"again after a change of one line {everest_secure(user, *BUILD):.0f} s")
        for kept in sys.argv[1:]:
            for part in ("keys", "build/yocto/images"):
                shutil.copytree(user.directory / part, Path(kept) / Path(part).name, symlinks=True)


if __name__ == "__main__":
    main()
