"""A real journald in a mount namespace of its own, and journals that look as if units had written into them."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.waiting import PATIENCE, eventually

JOURNALD = next((path for path in map(Path, ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")) if path.exists()), None)
REMOTE = next(
    (path for path in map(Path, ("/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote")) if path.exists()), None
)
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
MACHINE = "3d1219c7c4c5404aaa1f6d2a48adfda4"
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

# In control groups of its own a process is of the unit that its group is named after, as journald sees it. Lines of the kernel from before are not read again.
_LIVE = """
journal=$1 journald=$2 group=$3 seen=$4
umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/$group && echo 0 >/sys/fs/cgroup/$group/cgroup.procs
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind "$journal" /run/log/journal
base64 -d >/run/systemd/journal/kernel-seqnum <<EOF
$seen
EOF
exec unshare --cgroup sh -euc 'umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$0"' "$journald"
"""
# As systemd starts a unit's program: its control group, and a stream that names the unit (connect_logger_as() of systemd). What is said before journald has
# asked for the sender's credentials comes from nobody, unless the sender asks for some as well (unix(7), SO_PASSCRED).
_AS_UNIT = """
import os, socket, sys
unit, *argv = sys.argv[1:]
group = f"/sys/fs/cgroup/system.slice/{unit}"
os.makedirs(group, exist_ok=True)
open(f"{group}/cgroup.procs", "w").write("0")
stream = socket.socket(socket.AF_UNIX)
stream.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
stream.connect("/run/systemd/journal/stdout")
stream.send(f"{argv[0].rpartition('/')[2]}\\n{unit}\\n30\\n0\\n0\\n0\\n0\\n".encode())
os.dup2(stream.fileno(), 1)
os.dup2(stream.fileno(), 2)
os.execvp(argv[0], argv)
"""
# One entry in the native protocol, by a user that root claims to be; a sender that has ended is of no unit, so that it stays until the entry is in the journal.
_SEND = """
import os, socket, struct, sys
user, entry = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
sender = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", os.getpid(), user, user))
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.connect("/run/systemd/journal/socket")
journal.sendmsg([entry], [sender])
os.execvp("journalctl", ["journalctl", "--sync"])
"""
_KMSG = Path("/dev/kmsg")

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


@dataclass(frozen=True)
class Live:
    """A running journald, and processes of which it thinks that they are units."""

    inside: int
    """A process in its namespaces."""

    def command(self, unit: str, argv: Sequence[str | Path]) -> list[str | Path]:
        """Return the command line by which a program runs as a unit, and what it prints goes to the journal."""
        enter = ["nsenter", f"--target={self.inside}", "--mount", "--pid", "--cgroup"]
        return [*enter, sys.executable, "-c", _AS_UNIT, unit, *argv]

    def run(self, unit: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
        """Run a program as a unit and return its exit code."""
        return subprocess.run(self.command(unit, argv), env=None if env is None else {**env}, check=False).returncode

    def send(self, unit: str, *fields: tuple[str, bytes], user: int = 0) -> None:
        """Send one entry as a unit's process that is `user`'s, with a field as often as it is given (systemd's documentation, "Native Journal Protocol")."""
        entry = b"".join(name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n" for name, value in fields)
        assert self.run(unit, [sys.executable, "-c", _SEND, str(user), entry.hex()]) == 0


def _last_of_kernel() -> int:
    """Return the number of the last line that the kernel has said."""
    last = 0
    with contextlib.suppress(BlockingIOError), _KMSG.open("rb", buffering=0) as lines:
        os.set_blocking(lines.fileno(), False)
        while True:
            try:
                last = int(os.read(lines.fileno(), 8192).split(b",", 2)[1])
            except BrokenPipeError:  # overwritten meanwhile
                continue
    return last


@contextmanager
def live_journal(journal: Path, env: Mapping[str, str] | None = None) -> Iterator[Live]:
    """Run journald, with more in its environment; it keeps in the directory `journal` what units and the kernel say from now on. Gone after the block."""
    assert JOURNALD is not None
    journal.mkdir(exist_ok=True)
    group = f"everest-test-{os.getpid()}"
    seen = base64.b64encode((_last_of_kernel() + 1).to_bytes(8, sys.byteorder)).decode()
    spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*spaces, "sh", "-euc", _LIVE, "sh", journal, JOURNALD, group, seen], env={**os.environ, **(env or {})}, start_new_session=True
    )
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        eventually(
            lambda: (
                children.read_text().strip() and Path(f"/proc/{children.read_text().split()[0]}/root/run/systemd/journal/stdout").exists()
            )
        )
        yield Live(int(children.read_text().split()[0]))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        tidy = 'mount -t cgroup2 none /mnt && until find "/mnt/$1" -depth -type d -delete 2>/dev/null; do :; done'
        subprocess.run(["unshare", "--mount", "timeout", str(PATIENCE), "sh", "-c", tidy, "sh", group], check=True)


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
