"""Where the time of the start went, as systemd saw it."""

from proof import run

LONGEST = 12


def say() -> None:
    """Print `everest-audit: FIGURE` lines."""
    for command in (("time",), ("blame",), ("critical-chain", "everest.service")):
        for line in run("systemd-analyze", "--no-pager", *command).stdout.splitlines()[:LONGEST]:
            print(f"everest-audit: {command[0]}: {line.strip()}", flush=True)
