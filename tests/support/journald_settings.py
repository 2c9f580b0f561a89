"""What a real journald makes of its configuration: it runs in namespaces of its own, with a configuration and journals that nobody else has."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.journald import JOURNALD, entries

QUIET = "[Journal]\nAudit=no\nReadKMsg=no\n"
"""Keeps it from the kernel of this machine."""
UNIT = "everest-secure-test.service"
_START = """
etc=$1 journals=$2 journald=$3
shift 3
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log
touch /run/systemd/journal/flushed
for place in /run/log /var/log; do
    mkdir -p "$journals$place"
    mount --bind "$journals$place" $place
done
mount --bind "$etc" /etc/systemd
if [ -d "$etc/run" ]; then cp -R "$etc/run" /run/systemd/journald.conf.d; fi
"$journald" 2>"$journals/said" &
daemon=$!
until [ -S /run/systemd/journal/io.systemd.journal ]; do sleep 0.02; done
"$@"
journalctl --sync
kill "$daemon"
wait "$daemon"
"""
# What is said before journald has asked for the sender's credentials comes from nobody, unless the sender asks for some as well (unix(7), SO_PASSCRED).
_SPEAK = """
import socket, sys
unit, count, *levels = sys.argv[1:]
for level in levels:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        stream.connect("/run/systemd/journal/stdout")
        stream.sendall(f"test\\n{unit}\\n{level}\\n0\\n0\\n0\\n0\\n".encode())
        stream.sendall("".join(f"line {number}\\n" for number in range(int(count))).encode())
"""


@dataclass(frozen=True)
class Kept:
    """What a journald said and kept."""

    said: tuple[str, ...]
    """Lines about its configuration: what it could not read."""
    journals: Mapping[str, int]
    """Name of a journal, `System Journal` or `Runtime Journal`, to the bytes that it may take."""
    lines: tuple[int, ...]
    """Levels of the lines that a service said, one for each that was kept."""


def journald(place: Path, files: Mapping[str, str], *, lines: int = 0, levels: tuple[int, ...] = (6,)) -> Kept:
    """Run journald with a configuration, and a service that says a number of lines of each level.

    `files` are named below /etc/systemd, those in `run/` are drop-ins below /run. The service is in no control group, so that it is taken for the unit
    that it says it is; journald gets control groups of its own for that.
    """
    assert JOURNALD is not None
    etc, journals = place / "etc", place / "journals"
    for name, text in files.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text)
    journals.mkdir()
    namespaces = ["unshare", "--mount", "--pid", "--cgroup", "--fork", "--kill-child", "--mount-proc"]
    speaker = [sys.executable, "-c", _SPEAK, UNIT, str(lines), *map(str, levels)]
    command: list[str | Path] = [*namespaces, "sh", "-euc", _START, "sh", etc, journals, JOURNALD, *speaker]
    environment = {**os.environ, "SYSTEMD_LOG_TARGET": "console"}
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    found = [each for part in ("run/log", "var/log") for each in entries(journals / part / "journal")]
    return Kept(
        tuple((journals / "said").read_text().splitlines()),
        {each["JOURNAL_NAME"]: int(each["MAX_USE"]) for each in found if "JOURNAL_NAME" in each},
        tuple(int(each["PRIORITY"]) for each in found if each.get("SYSLOG_IDENTIFIER") == "test"),
    )
