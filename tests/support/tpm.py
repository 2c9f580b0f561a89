"""A TPM in software for programs of this machine that speak to one through OpenSSL's provider."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import running
from support.reference import require

PROVIDER = "/usr/lib/*/ossl-modules/tpm2.so"


@dataclass(frozen=True)
class SoftwareTpm:
    """A running swtpm and how programs find it."""

    socket: Path

    def environment(self, openssl_cnf: Path | None = None) -> Mapping[str, str]:
        """Return the environment of a program that uses it, with an OpenSSL configuration of its own."""
        named = {} if openssl_cnf is None else {"OPENSSL_CONF": str(openssl_cnf)}
        return {**os.environ, **named, "TPM2OPENSSL_TCTI": f"swtpm:path={self.socket}", "TSS2_LOG": "all+none"}

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
    """Yield a new TPM; skips the test where a part is missing."""
    require("swtpm", "openssl")
    if not list(Path("/").glob(PROVIDER.lstrip("/"))):
        pytest.skip("OpenSSL's provider for TPMs is missing (Debian package tpm2-openssl)")
    state = directory / "tpm"
    state.mkdir()
    socket = directory / "s"
    server = ("--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl")
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", *server, "--flags", "not-need-init,startup-clear"]
    with running(command) as process:
        while not Path(f"{socket}.ctrl").exists():
            assert process.poll() is None
        yield SoftwareTpm(socket)
