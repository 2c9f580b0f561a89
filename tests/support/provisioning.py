"""A charger to run everest-tpm and everest-cert on: a certificate store, a TPM in software, and the users that a charger has."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from support.layer import LAYER, Bench
from support.reference import require
from support.tpm import SoftwareTpm

SERVICE = 1500
NOBODY = 65534
TSS = 1501
USERS = {"root": 0, "everest": SERVICE, "nobody": NOBODY}
CONFIGURATION = LAYER / "recipes-core/everest-config/files/config.yaml"
PROGRAMS = ("everest-tpm", "everest-cert")
KEYS = ("client/csms/CSMS_LEAF.tkey", "client/cso/SECC_LEAF.tkey")
# The program sees accounts that this machine need not have.
WITH_ACCOUNTS = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && exec "$@"'


@dataclass(frozen=True)
class Charger:
    """A directory with all that the programs touch, which every user may enter."""

    place: Path
    shell: tuple[str, ...]
    program: str = "everest-tpm"
    """The one that is called: everest-tpm or everest-cert."""
    store: Path = Path()

    def with_store(self, store: Path) -> "Charger":
        """Return the same charger with another certificate store."""
        return replace(self, store=store)

    @property
    def keys(self) -> tuple[Path, ...]:
        return tuple(self.store / name for name in KEYS)

    @property
    def accounts(self) -> list[str | Path]:
        """Put before a program that is to see the users of a charger."""
        return ["unshare", "--mount", "sh", "-euc", WITH_ACCOUNTS, "sh", self.place] if os.geteuid() == 0 else []

    def files(self) -> Mapping[str, bytes]:
        """All files of the store with what they hold."""
        return {str(path.relative_to(self.store)): path.read_bytes() for path in sorted(self.store.rglob("*")) if path.is_file()}

    def command(self, *arguments: str | Path, user: str) -> list[str | Path]:
        """The command line of the program for a user; skips the test where this one cannot be become."""
        program: list[str | Path] = [self.place / self.program, *arguments]
        if os.geteuid() != 0:
            if user != "everest":
                pytest.skip("only root can be another user")
            return program
        become = [] if user == "root" else ["setpriv", f"--reuid={USERS[user]}", f"--regid={USERS[user]}", "--init-groups"]
        return [*self.accounts, *become, *program]

    def environment(self, tcti: str, **more: str) -> Mapping[str, str]:
        name = {} if os.geteuid() == 0 else {"EVEREST_USER": str(os.geteuid())}
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "TMPDIR": str(self.place / "tmp"),
            "EVEREST_LIBRARY": str(self.place),
            "EVEREST_CONFIG_FILE": str(self.place / "config.yaml"),
            "EVEREST_STORE": str(self.store),
            "EVEREST_IDENTITY": str(self.place / "charge-point-id"),
            "EVEREST_TPM_TCTI": tcti,
            "EVEREST_JOURNAL": str(self.place / "journal"),
            "EVEREST_TPM": str(self.place / "everest-tpm"),
            "EVEREST_OCPP": str(self.place / "ocpp"),
            **name,
            **more,
        }

    def call(
        self, *arguments: str | Path, tpm: SoftwareTpm | None, user: str = "everest", tcti: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the program, with `tcti` on another way to the TPM; without a TPM the stack looks for one that is not there."""
        if tpm is not None:
            share(tpm)
        tcti = tcti or (tpm.tcti if tpm is not None else f"swtpm:path={self.place}/none")
        command = self.command(*arguments, user=user)
        return subprocess.run(command, env=self.environment(tcti, **environment), cwd="/", capture_output=True, text=True, check=False)

    def done(self, *arguments: str | Path, tpm: SoftwareTpm, user: str = "everest", **environment: str) -> str:
        """Run the program, which must succeed, and return what it printed."""
        done = self.call(*arguments, tpm=tpm, user=user, **environment)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout


def share(tpm: SoftwareTpm) -> None:
    """Give the TPM to root and a group, as udev does."""
    if os.geteuid() == 0:
        for socket in (tpm.socket, Path(f"{tpm.socket}.ctrl")):
            os.chown(socket, 0, TSS)
            socket.chmod(0o660)


@contextmanager
def charger(layer: Bench, shell: tuple[str, ...], program: str = "everest-tpm") -> Iterator[Charger]:
    """Yield a charger as it leaves the factory, on which the programs run in a shell; skips the test where a part is missing."""
    require("swtpm", "openssl", "tpm2_createprimary", "setpriv", "unshare")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "tmp").mkdir()
        (place / "tmp").chmod(0o1777)
        put_programs(layer, place, shell)
        shutil.copy(CONFIGURATION, place / "config.yaml")
        for key in KEYS:
            (place / "certs" / key).parent.mkdir(parents=True)
        _accounts(place)
        yield Charger(place, shell, program, place / "certs")


def put_programs(layer: Bench, place: Path, shell: tuple[str, ...] = ("dash",)) -> None:
    """Put both programs into a directory, to be run by a shell, and what they read beside them (EVEREST_LIBRARY)."""
    interpreter = shutil.which(shell[0])
    assert interpreter is not None
    for name in PROGRAMS:
        source = program_of(layer, name).read_text()
        assert source.startswith("#!/bin/sh\n")
        (place / name).write_text(source.replace("#!/bin/sh", " ".join([f"#!{interpreter}", *shell[1:]]), 1))
        (place / name).chmod(0o755)
        for file in library_of(layer, name).iterdir():
            shutil.copy(file, place)


def _accounts(place: Path) -> None:
    added = {
        "passwd": f"everest:x:{SERVICE}:{SERVICE}::/home/everest:/bin/false\n",
        "group": f"everest:x:{SERVICE}:\ntss:x:{TSS}:everest\n",
    }
    for file, lines in added.items():
        kept = [entry for entry in Path("/etc", file).read_text().splitlines(keepends=True) if not entry.startswith(("everest:", "tss:"))]
        (place / file).write_text("".join(kept) + lines)
    if os.geteuid() == 0:
        for path in (place / "certs", *(place / "certs").rglob("*")):
            os.chown(path, SERVICE, SERVICE)
            path.chmod(0o700)


def program_of(layer: Bench, name: str = "everest-tpm") -> Path:
    """The program as its recipe installs it."""
    return layer.package(name).files / "usr/sbin" / name


def library_of(layer: Bench, name: str = "everest-tpm") -> Path:
    """The directory of what its recipe installs for it to read."""
    return layer.package(name).files / "usr/lib/everest-secure"


def manual_of(layer: Bench, name: str = "everest-tpm") -> Path:
    """Its manual page, which has a package of its own."""
    return layer.package(name).files.with_name(f"{name}-doc") / f"usr/share/man/man8/{name}.8"


def owner_and_mode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, stat.S_IMODE(found.st_mode)
