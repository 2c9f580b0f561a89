"""A real journald in a mount namespace of its own, and journals that look as if units had written into them."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

JOURNALD = next((path for path in map(Path, ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")) if path.exists()), None)
REMOTE = next(
    (path for path in map(Path, ("/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote")) if path.exists()), None
)
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
MACHINE = "3d1219c7c4c5404aaa1f6d2a48adfda4"
PATIENCE = 20
"""Seconds after which something does not come any more."""
_START = """
journal=$1 journald=$2
shift 2
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind "$journal" /run/log/journal
"$journald" >/dev/null 2>&1 &
until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done
"$@" &
wait $!
"""

needs_journald = pytest.mark.skipif(
    JOURNALD is None or REMOTE is None or os.geteuid() != 0,
    reason="systemd-journald and systemd-journal-remote are not installed, or not root, who alone gets a journal of his own",
)


class Journal:
    """A journal on disk that programs read with `journalctl --directory`; its entries say that they come from units, as journald would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files = 0
        self.seconds = time.monotonic()
        """Monotonic time of the next entry."""
        self.clock = time.time()
        """Time of the next entry since 1970."""
        directory.mkdir()

    def add(self, *entries: tuple[str, str], boot: str = BOOT, fields: Mapping[str, str] | None = None) -> None:
        """Append entries, each a unit or `kernel` and what it said, a second apart; `fields` are further ones of each."""
        more = "".join(f"{name}={value}\n" for name, value in {"PRIORITY": "6", **(fields or {})}.items())
        text = ""
        for unit, message in entries:
            self.seconds += 1
            self.clock += 1
            source = "_TRANSPORT=kernel" if unit == "kernel" else f"_TRANSPORT=stdout\n_SYSTEMD_UNIT={unit}"
            text += (
                f"__REALTIME_TIMESTAMP={self.clock * 1_000_000:.0f}\n__MONOTONIC_TIMESTAMP={self.seconds * 1_000_000:.0f}\n"
                f"_BOOT_ID={boot}\n_MACHINE_ID={MACHINE}\n{more}{source}\nMESSAGE={message}\n\n"
            )
        self._files += 1
        target = self.directory / f"part-{self._files}.journal"
        unfinished = self.directory.with_suffix(f".{self._files}.journal")
        assert REMOTE is not None
        subprocess.run([REMOTE, "--output", unfinished, "-"], input=text.encode(), capture_output=True, check=True)
        unfinished.rename(target)


def eventually(condition: Callable[[], object], otherwise: Callable[[], object] = str) -> None:
    """Wait until a condition holds; what never holds fails, with what `otherwise` says."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.05)


@contextmanager
def beside_journald(journal: Path, argv: Sequence[str | Path], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program next to a journald that keeps what it is told in the directory `journal`; both are gone after the block."""
    assert JOURNALD is not None
    journal.mkdir(exist_ok=True)
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-euc",
        _START,
        "sh",
        journal,
        JOURNALD,
        *argv,
    ]
    process = subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def entries(journal: Path, **fields: str) -> list[dict[str, str]]:
    """Return the entries of a journal that have these fields."""
    if not any(journal.rglob("*.journal")):
        return []
    wanted = [f"{name}={value}" for name, value in fields.items()]
    command = ["journalctl", f"--directory={journal}", "--output=json", "--no-pager", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def installed_awks() -> list[str]:
    """Return the awks of this machine; BusyBox's is what a small image has."""
    return [name for name in ("busybox", "gawk", "mawk", "original-awk") if shutil.which(name)]
