"""Measures what the watch for security events costs while the journal takes a hundred lines a second, and prints it; asserts nothing. As root.

`PYTHONPATH=.:scripts:tests python bench/monitor.py`, part of `make bench`. The real journald, journalctl and awk run in a mount namespace of their own. Memory is what the
processes of the monitor hold themselves, shared pages counted in part (proc_pid_smaps(5), Pss), time all of theirs.
"""

import os
import tempfile
import time
from pathlib import Path

from support.journald import beside_journald, entries
from support.layer import bench
from support.waiting import eventually

SECONDS = 30
LINES = 100
"""Lines a second."""
_LOAD = """
"$1" follow &
while :; do
    i=0
    while [ $i -lt {lines} ]; do i=$((i + 1)); echo "session $i: state of the relay did not change"; done
    sleep 1
done | systemd-cat -t everest
""".replace("{lines}", str(LINES))


def children(process: int) -> list[int]:
    """Return a process and all below it."""
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process, *(each for child in found for each in children(int(child)))]


def arguments(process: int) -> list[str]:
    """Return the command line of a process; empty for one that has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except OSError:
        return []


def ticks(process: int) -> int:
    """Return the processor time of a process and of those that it waited for, in clock ticks."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15]))


def kib(process: int) -> int:
    """Return a process's share of memory in KiB."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as work:
        place = Path(work)
        (place / "layer").mkdir()
        files = bench(place / "layer").package("everest-security-monitor").files
        environment = {
            "EVEREST_SECURITY_LOG": str(place / "log/security.log"),
            "EVEREST_SECURITY_LIBRARY": str(files / "usr/lib/everest-secure"),
            "EVEREST_JOURNAL": f"--directory={place / 'journal'}",
            "EVEREST_PCRS": str(place / "none"),
        }
        program = files / "usr/libexec/everest-secure/everest-security-monitor"
        with beside_journald(place / "journal", ["sh", "-c", _LOAD, "sh", program], environment) as process:

            def monitor() -> list[int]:
                roots = [each for each in children(process.pid) if str(program) in arguments(each) and "follow" in arguments(each)]
                return children(roots[0]) if roots else []

            eventually(lambda: len(monitor()) >= 6)
            time.sleep(3)
            before, started = sum(map(ticks, monitor())), time.monotonic()
            time.sleep(SECONDS)
            spent = (sum(map(ticks, monitor())) - before) / os.sysconf("SC_CLK_TCK")
            share = 100 * spent / (time.monotonic() - started)
            taken = len(entries(place / "journal", SYSLOG_IDENTIFIER="everest"))
            held = sum(map(kib, monitor())) / 1024
            print(f"{len(monitor())} processes, {held:.1f} MiB, {share:.2f} % of a core at {LINES} lines a second; {taken} lines came")


if __name__ == "__main__":
    main()
