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
PIN = "123456"
SO_PIN = "87654321"


@dataclass(frozen=True)
class SoftHsm:
    """A directory of tokens."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.directory / "softhsm2.conf")}

    def add_token(self, label: str) -> None:
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN)

    def remove_token(self, label: str) -> None:
        self._run("softhsm2-util", "--delete-token", "--token", label)

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, env={**os.environ, **self.environment}, check=True, capture_output=True)


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
    tokens = directory / "tokens"
    tokens.mkdir(parents=True)
    made = SoftHsm(directory)
    configuration = f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (directory / "softhsm2.conf").write_text(configuration)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        made.add_token("release")
        yield made
        pkcs11.unload(str(MODULE))  # the next tokens are in another directory, which the library learns when it is loaded
