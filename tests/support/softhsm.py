"""Tokens of SoftHSM made at test time."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "73519046"
"""A number that is found nowhere by accident."""
SO_PIN = "5" + PIN


@dataclass(frozen=True)
class SoftHsm:
    """A directory of tokens."""

    directory: Path

    @classmethod
    def made(cls, directory: Path, label: str = "release") -> "SoftHsm":
        """Make the directory, with one token."""
        (directory / "tokens").mkdir(parents=True)
        made = cls(directory)
        made.configuration.write_text(f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
        made.pin.touch(mode=0o600)
        made.pin.write_text(PIN)
        made.add_token(label)
        return made

    @property
    def configuration(self) -> Path:
        """SoftHSM's configuration."""
        return self.directory / "softhsm2.conf"

    @property
    def pin(self) -> Path:
        """File of mode 0600 with the PIN."""
        return self.directory / "pin"

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.configuration)}

    def add_token(self, label: str) -> None:
        self._run("--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN)

    def remove_token(self, label: str) -> None:
        self._run("--delete-token", "--token", label)

    def add_key(self, key: Path, label: str = "release") -> str:
        """Put an unencrypted PKCS#8 key on a token, as `signer`, and return its URI with the place of the PIN (RFC 7512)."""
        self._run("--import", str(key), "--token", label, "--label", "signer", "--id", "01", "--pin", PIN)
        return f"pkcs11:token={label};object=signer;type=private?pin-source={self.pin}"

    def _run(self, *argv: str) -> None:
        subprocess.run(["softhsm2-util", *argv], env={**os.environ, **self.environment}, check=True, capture_output=True)


def locking_module(directory: Path) -> Path:
    """Compile a library that is SoftHSM's but locks the PIN after three wrong ones (locking.c); skips the test without a compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    made = directory / "locking.so"
    source = Path(__file__).with_name("locking.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", f'-DSOFTHSM="{MODULE}"', source, "-o", made, "-ldl"], check=True)
    return made


@contextmanager
def softhsm(directory: Path) -> Iterator[SoftHsm]:
    """Yield tokens in a directory, seen by this process and its children while the block lasts; one of them is called `release`."""
    made = SoftHsm.made(directory)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made
        pkcs11.unload(str(MODULE))  # the next tokens are in another directory, which the library learns when it is loaded
