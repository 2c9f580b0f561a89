"""A watch for security events over a journal of its own, with the real journalctl, systemd-notify and everest-cert."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.journald import Journal, Live, beside_journald, live_journal
from support.processes import command_lines
from support.provisioning import CONFIGURATION
from support.shells import shell
from support.waiting import eventually

PROGRAM = "usr/libexec/everest-secure/everest-security-monitor"
LIBRARY = "usr/lib/everest-secure"
HARMLESS = ("everest.service", "session started")
SIGNATURE = (
    "rauc.service",
    "Installation 1 failed: signature verification failed: Verify error: self-signed certificate in certificate chain",
)
REFUSED = ("kernel", "everest-firewall: refused: IN=eth0 OUT= MAC=52:54 SRC=10.0.0.9 DST=10.0.0.2 PROTO=TCP SPT=40000 DPT=22")
PROVOKED: Mapping[str, tuple[str, str]] = {
    "update-signature-refused": SIGNATURE,
    "packet-refused": REFUSED,
    "tls-handshake-failed": (
        "everest-mqtt-api.service",
        "1795000000: OpenSSL Error[0]: error:0A0000C7:SSL routines::peer did not return a certificate",
    ),
    "authentication-failed": ("mosquitto.service", "1795000000: Client auto-1 disconnected, not authorised."),
    "key-fallback": ("everest.service", "2026-11-28 [ERRO] evse_security :: Unable to load OSSL_PROVIDER: tpm2"),
    "messages-dropped": ("systemd-journald.service", "Suppressed 421 messages from mosquitto.service"),
    "integrity-violated": ("kernel", "device-mapper: verity: 254:1: data block 5 is corrupted"),
}
"""Of each event that a program's line is, who says it and how."""


@dataclass
class Monitor:
    """A monitor over a journal, in a directory of its own."""

    files: Path
    directory: Path
    certificate_program: Path
    """everest-cert, with its library beside it."""
    sh: str = "dash"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.journal = Journal(self.directory / "input")
        self.said = self.directory / "said"
        self.log = self.directory / "log/security.log"
        self.position = self.directory / "log/position"
        self.certificates = self.directory / "certificates"
        self.certificates.mkdir()
        self.environment = {
            "EVEREST_SECURITY_LOG": str(self.log),
            "EVEREST_SECURITY_LIBRARY": str(self.files / LIBRARY),
            "EVEREST_SECURITY_CERTIFICATES": str(self.certificates),
            "EVEREST_CERT": str(self.certificate_program),
            "EVEREST_LIBRARY": str(self.certificate_program.parent),
            "EVEREST_CONFIG_FILE": str(CONFIGURATION),
            "EVEREST_OWN_JOURNAL": f"--directory={self.said}",
            "EVEREST_JOURNAL": f"--directory={self.journal.directory}",
            "EVEREST_PCRS": str(self.directory / "registers"),
            **self.environment,
        }

    @property
    def command(self) -> list[str | Path]:
        return [*shell(self.sh), self.files / PROGRAM]

    @contextmanager
    def following(self, memory: int | None = None) -> Iterator[None]:
        """Let it follow its journal; each of its processes gets no more than `memory` bytes."""
        limit = ("prlimit", f"--data={memory}") if memory else ()
        with beside_journald(self.said, [*limit, *self.command, "follow"], self.environment):
            yield

    @contextmanager
    def watching(self, env: Mapping[str, str] | None = None) -> Iterator[Live]:
        """Let it follow what a running journald is told, with more in that one's environment."""
        with live_journal(self.said, env) as live:
            environment = {**os.environ, **self.environment, "EVEREST_JOURNAL": f"--directory={self.said}"}
            command = live.command("everest-security-monitor.service", [*self.command, "follow"])
            with subprocess.Popen(command, env=environment) as process:
                try:
                    eventually(self.log.parent.exists)
                    yield live
                finally:
                    process.kill()

    def readers(self) -> dict[int, list[str]]:
        """Return the processes of journalctl that follow its journal, with their arguments."""
        marks = {"journalctl", f"--directory={self.journal.directory}", "--follow"}
        return {process: arguments for process, arguments in command_lines() if marks <= set(arguments)}

    def goes_on_behind(self) -> str:
        """Let it follow its journal, and return the position behind which it does; empty when that is the beginning of this start."""
        with self.following():
            eventually(self.readers)
            ((*_, last),) = self.readers().values()
        return last.removeprefix("--cursor=") if last.startswith("--cursor=") else ""

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **self.environment, **environment}
        return subprocess.run([*self.command, *arguments], env=variables, capture_output=True, text=True, check=False)

    def events(self) -> list[list[str]]:
        """Return what `show` says of each event: number, time, event, severity, how often, text."""
        return [line.split("\t") for line in self.run("show").stdout.splitlines()]

    def see(self, *names: str) -> None:
        """Wait until exactly these events were seen."""
        eventually(lambda: [event[2:3] for event in self.events()] == [[name] for name in names], self.events)


Value = str | bytes | None
"""What a field says; bytes come as journalctl gives what cannot be printed, a list of numbers, and None is what it leaves out for its length."""


def occurrences(
    files: Path,
    unit: str,
    entries: Iterable[Value | Sequence[Value]],
    *,
    products: Path | None = None,
    awk: str = "awk",
    memory: int | None = None,
) -> list[tuple[str, str]]:
    """Return event and text of each of a unit's entries that is one for the monitor, in their order; `files` are those of its package.

    An entry is its message, or all of several. `products` is a table of a product's own. The awk gets no more than `memory` bytes.
    """
    library = files / LIBRARY
    tables = (*([products] if products else []), library / "security-events.tsv")
    rules = [f"rule\t{line}" for table in tables for line in table.read_text().splitlines() if line[0] != "#"]
    sender = {"_TRANSPORT": "kernel"} if unit == "kernel" else {"_SYSTEMD_UNIT": unit}
    said = [json.dumps({**sender, "MESSAGE": _as_journalctl(entry)}, separators=(",", ":")) for entry in entries]
    done = subprocess.run(
        [
            *(("prlimit", f"--data={memory}") if memory else ()),
            *(("busybox", "awk") if awk == "busybox" else (awk,)),
            "-f",
            library / "find-security-events.awk",
        ],
        input="".join(f"{line}\n" for line in (*rules, *said)),
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [(fields[2], fields[5]) for fields in (line.split("\t") for line in done.stdout.splitlines()) if fields[0] != "at"]


def _as_journalctl(entry: Value | Sequence[Value]) -> object:
    if entry is None or isinstance(entry, str):
        return entry
    return list(entry) if isinstance(entry, bytes) else [_as_journalctl(value) for value in entry]
