"""A TPM in software for programs of this machine that speak to one through OpenSSL's provider."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import running
from support.reference import require
from support.waiting import while_it_runs

PROVIDER = "/usr/lib/*/ossl-modules/tpm2.so"


@dataclass(frozen=True)
class SoftwareTpm:
    """A running swtpm and how programs find it. It has no resource manager: one program at a time."""

    socket: Path

    @property
    def tcti(self) -> str:
        """How programs of the TPM software stack name it."""
        return f"swtpm:path={self.socket}"

    def environment(self, openssl_cnf: Path | None = None) -> Mapping[str, str]:
        """Return the environment of a program that uses it, with an OpenSSL configuration of its own."""
        named = {} if openssl_cnf is None else {"OPENSSL_CONF": str(openssl_cnf)}
        return {**os.environ, **named, "TPM2OPENSSL_TCTI": self.tcti, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+none"}

    def run(self, *argv: str | Path, openssl_cnf: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, env=self.environment(openssl_cnf), capture_output=True, text=True, check=False)

    def make_key(self, key: Path, *algorithm: str) -> None:
        """Make a key in the TPM; the file holds what only this TPM can use."""
        provider = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
        made = self.run("openssl", "genpkey", *provider, "-algorithm", *algorithm, "-out", key)
        assert made.returncode == 0, made.stderr
        assert key.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")


@contextmanager
def software_tpm(directory: Path) -> Iterator[SoftwareTpm]:
    """Yield the TPM whose memory lies in a directory, just switched on, a new one where there is none; skips the test where a part is missing."""
    require("swtpm", "openssl")
    if not list(Path("/").glob(PROVIDER.lstrip("/"))):
        pytest.skip("OpenSSL's provider for TPMs is missing (Debian package tpm2-openssl)")
    state = directory / "tpm"
    state.mkdir(exist_ok=True)
    socket = directory / "s"
    server = ("--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl")
    for left in (socket, Path(f"{socket}.ctrl")):
        left.unlink(missing_ok=True)
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", *server, "--flags", "not-need-init,startup-clear"]
    with running(command) as process:
        while_it_runs(process, lambda: socket.exists() and Path(f"{socket}.ctrl").exists())
        yield SoftwareTpm(socket)


BUS = """<busconfig><type>session</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


@contextmanager
def resource_manager(tpm: SoftwareTpm, place: Path, *, accounts: Sequence[str | Path] = ()) -> Iterator[Mapping[str, str]]:
    """Run tpm2-abrmd on a TPM, on a bus of its own; yields the environment by which programs find it. Skips the test where a part is missing.

    `accounts` is put before the bus, which refuses users that it does not find in /etc/passwd.
    """
    require("dbus-daemon", "tpm2-abrmd")
    (place / "bus.conf").write_text(BUS.format(place=place))
    tcti = "tabrmd:bus_type=session"
    found = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={place}/bus", "TPM2OPENSSL_TCTI": tcti, "TPM2TOOLS_TCTI": tcti}
    with running([*accounts, "dbus-daemon", f"--config-file={place}/bus.conf", "--nofork"]) as bus:
        while_it_runs(bus, (place / "bus").exists)
        manager = [
            "env",
            f"DBUS_SESSION_BUS_ADDRESS=unix:path={place}/bus",
            "tpm2-abrmd",
            "--session",
            "--allow-root",
            f"--tcti={tpm.tcti}",
        ]
        with running(manager) as process:
            ask = ["tpm2_getrandom", "--hex", "1"]
            environment = {**os.environ, **found, "TSS2_LOG": "all+none"}
            while_it_runs(process, lambda: subprocess.run(ask, env=environment, capture_output=True, check=False).returncode == 0)
            yield found
