"""Fuzzes all targets, or those that are named, one after the other: `python -m fuzz --seconds 60 ext4 tar`.

Prints a line for each; exit code 1 when one of them had a finding, whose input and log then lie in the directory of the target.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from fuzz.target import targets

GRACE = 600
"""Seconds that making the seeds and reading them for the first time may take on top."""


def fuzz(name: str, seconds: int, directory: Path) -> bool:
    """Fuzz one target in a process of its own; return whether there was no finding."""
    directory.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    log = directory / "log"
    command = [sys.executable, "-m", "fuzz.one", name, str(seconds), str(directory)]
    with log.open("wb") as file:
        try:
            code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=seconds + GRACE, check=False).returncode
        except subprocess.TimeoutExpired:
            code = -1
    said = log.read_text(errors="replace")
    runs, peak = (next(iter(re.findall(rf"stat::{word}:\s+(\d+)", said)), "?") for word in ("number_of_executed_units", "peak_rss_mb"))
    wrong = "FINDING" if "INITED" in said else "DID NOT START"  # the word of libFuzzer once it has read its seeds
    verdict = "nothing found" if code == 0 else f"{wrong}, see {log}"
    print(f"{name:<24}{time.monotonic() - started:>6.0f} s{runs:>10} inputs{peak:>6} MiB  {verdict}", flush=True)
    return code == 0


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="fuzz")
    known = targets()
    parser.add_argument("targets", metavar="TARGET", nargs="*", help=f"any of {', '.join(known)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--directory", type=Path, default=Path("build/fuzz"), help="where inputs are kept (default: build/fuzz)")
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(known))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(known)}")
    found = [fuzz(name, options.seconds, options.directory / name) for name in options.targets or known]
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
