"""rauc-hawkbit-updater at the recipe's revision, compiled here, and run as its unit runs it: in a root that has the layer's files where a charger has them."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from socket import AF_UNIX, SHUT_RD, SOCK_DGRAM, socket
from threading import Thread

from everest_secure.build.configuration import Repository
from everest_secure.image.directory import DirectoryTree
from everest_secure.parse.units import Unit, Units
from everest_secure.reference.recipes.harness import read_recipe
from everest_secure.run import running
from support.authority import Pair
from support.layer import LAYER
from support.reference import require
from support.tpm import software_tpm
from support.upstream_code import check_out, installed

RECIPE = "rauc-hawkbit-updater"
UNIT = "rauc-hawkbit-updater.service"
ACCOUNT = "rauc-hawkbit"
STATE = "var/lib/rauc-hawkbit"
PATIENCE = 30
"""Seconds after which something is not said any more."""
USER = next(
    int(line.split(":")[2]) for line in (LAYER / "files/everest-secure-passwd").read_text().splitlines() if line.startswith(f"{ACCOUNT}:")
)
"""The client's user on a charger, and here where root runs the test."""
_AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups") if os.geteuid() == 0 else ()


def compiled(place: Path) -> Path:
    """Fetch and compile the client with the recipe's options; return the tree that it installs. Skips the test where something is missing."""
    said = read_recipe(RECIPE, ("SRC_URI", "SRCREV", "EXTRA_OEMESON"), layer=LAYER, work=place / "recipe", settings={})
    address = said["SRC_URI"].split(";")[0].replace("git://", "https://")
    code = place / "code"
    code.mkdir()
    check_out(Repository(RECIPE, address, RECIPE, said["SRCREV"]), code)
    # Names the directory of units, as the recipe's options do already; where Debian keeps it changes from release to release.
    (place / "systemd.pc").write_text("Name: systemd\nDescription: units\nVersion: 255\n")
    return installed(code, place, said["EXTRA_OEMESON"].split(), libraries="libcurl, GLib, JSON-GLib and libsystemd")


class Journal:
    """What programs say in the journal's native protocol (systemd's docs/JOURNAL_NATIVE_PROTOCOL.md), taken at once: who speaks waits while 10 lines lie there."""

    def __init__(self, directory: Path) -> None:
        """Listen in a directory that becomes /run/systemd/journal."""
        self._socket = socket(AF_UNIX, SOCK_DGRAM)
        self._socket.bind(str(directory / "socket"))
        self._entries: Queue[str] = Queue()
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.said: list[str] = []
        """Priority and message of each entry that was looked at."""

    def _listen(self) -> None:
        while entry := self._socket.recv(1 << 16):
            fields = dict(line.split("=", 1) for line in entry.decode().splitlines() if "=" in line)
            self._entries.put(f"<{fields['PRIORITY']}> {fields['MESSAGE']}")

    def until(self, words: str) -> str:
        """Return the next line that contains words; the test fails when nothing more is said."""
        while not self.said or words not in self.said[-1]:
            try:
                self.said.append(self._entries.get(timeout=PATIENCE))
            except Empty:
                raise AssertionError(f"{words!r} was not said, but {self.said}") from None
        return self.said[-1]

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(SHUT_RD)
        self._thread.join()
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Device:
    """A charger as its hawkBit client sees it. Programs lie below /charger, all else where it belongs."""

    place: Path
    """Short, since sockets lie in it."""
    unit: Unit

    @property
    def state(self) -> Path:
        """The client's own directory."""
        return self.place / STATE

    @property
    def key(self) -> Path:
        """File of the client's key."""
        return self.state / "client.key.pem"

    @contextmanager
    def tpm(self, *, another: bool = False) -> Iterator[None]:
        """Switch its TPM on, or another one in its place."""
        place = self.place / "run/tpm"
        if another:
            shutil.rmtree(place / "tpm")
        with software_tpm(place):
            _give(place)
            yield

    def environment(self) -> Mapping[str, str]:
        """Return what the unit sets, with the software TPM in the place of a real one and the provider that was compiled."""
        here = {
            "TPM2OPENSSL_TCTI": "swtpm:path=/run/tpm/s",
            "OPENSSL_MODULES": "/modules",
            "TSS2_LOG": "all+none",
            "PATH": "/usr/sbin:/usr/bin",
        }
        assert "TPM2OPENSSL_TCTI" in self.unit.environment
        return {**self.unit.environment, **here}

    def command(self, argv: tuple[str, ...]) -> list[str | Path]:
        """Return the command by which a program runs in this root."""
        bound = [
            ("/usr", "/usr"),
            (f"{self.place}/root", "/charger"),
            (f"{self.place}/modules", "/modules"),
            (f"{self.place}/root/etc", "/etc"),
        ]
        for pair in self.unit.words("Service", "BindReadOnlyPaths"):
            source, target = pair.split(":")
            bound.append((f"{self.place}/root{source}", target))
        command: list[str | Path] = [*_AS_USER, "bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--clearenv"]
        for name in ("bin", "sbin", "lib", "lib64"):
            command += ["--symlink", f"usr/{name}", f"/{name}"]
        for source, target in bound:
            command += ["--ro-bind", source, target]
        command += [
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--symlink",
            "../run",
            "/var/run",
            "--bind",
            self.place / "run",
            "/run",
            "--bind",
            self.state,
            f"/{STATE}",
        ]
        for name, value in self.environment().items():
            command += ["--setenv", name, value]
        return [*command, *argv]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine as the client would."""
        return subprocess.run(self.command(argv), capture_output=True, text=True, check=False)

    def prepare(self) -> subprocess.CompletedProcess[str]:
        """Run the unit's command before the start."""
        before, _ = self.unit.commands
        return self.run(f"/charger{before[0]}", *before[1:])

    @contextmanager
    def started(self) -> Iterator[Journal]:
        """Run the client as the unit starts it, and yield what it says."""
        place = self.place / "run/systemd/journal"
        place.mkdir(parents=True)
        journal = Journal(place)
        _give(self.place / "run")
        prepared = self.prepare()
        assert prepared.returncode == 0, prepared.stderr
        _, (program, *arguments) = self.unit.commands
        try:
            with running(self.command((f"/charger{program}", *arguments))):
                yield journal
        finally:
            journal.close()


def device(place: Path, *, packages: tuple[Path, ...], modules: Path, trusted: Pair, hosts: str) -> Device:
    """Put a charger together of packages' files; `trusted` is an authority that its programs trust by default, `hosts` the content of /etc/hosts."""
    require("bwrap")
    root = place / "root"
    for package in packages:
        shutil.copytree(package, root, dirs_exist_ok=True, symlinks=True)
    for name in (STATE, "run/rauc-hawkbit-updater", "run/tpm", "root/etc/ssl/certs"):
        (place / name).mkdir(parents=True)
    (root / "etc/hosts").write_text(hosts)
    (root / "etc/nsswitch.conf").write_text("hosts: files\n")
    authorities = root / "etc/ssl/certs"
    (authorities / "trusted.pem").write_text(trusted.pem)
    subprocess.run(["openssl", "rehash", authorities], capture_output=True, check=True)
    (authorities / "ca-certificates.crt").write_text(trusted.pem)
    shutil.copytree(modules, place / "modules")
    place.chmod(0o755)
    for name in ("run", STATE):
        _give(place / name)
    return Device(place, Units(DirectoryTree(root, "charger")).unit(UNIT))


def _give(place: Path) -> None:
    """Give a directory and all in it to the client's user, where there is one besides us."""
    if os.geteuid() == 0:
        for each in (place, *place.rglob("*")):
            os.chown(each, USER, USER)
