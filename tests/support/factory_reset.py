"""A charger whose data partition `everest-factory-reset` resets, as a tree that systemd-tmpfiles made."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.layer import Bench
from support.shells import shell

ORDER = ".everest-factory-reset"
ACCOUNTS = {
    "passwd": "root:x:0:0::/root:/bin/sh\neverest:x:1500:1500::/:/bin/false\n",
    "group": "root:x:0:\neverest:x:1500:\nsystemd-journal:x:190:\n",
}
PERSONAL = (
    "lib/everest/ocpp201/queue.db",
    "log/everest/session/1/eventlog.csv",
    "log/journal/m/system.journal",
    "cache/.hidden",
    "stray file",
    ".x",
)
IDENTITY = (
    "lib/everest-identity/charge-point-id",
    "lib/everest/certs/client/csms/CSMS_LEAF.tkey",
    "lib/everest/certs/ca/v2g/V2G_ROOT_CA.pem",
)
ALWAYS = ("lib/rauc/version-floor", "lib/rauc/central.raucs")
NOTE = "log/everest-security/after-reset"
KEPT = {"--everything": {*ALWAYS, NOTE}, "": {*ALWAYS, *IDENTITY, NOTE}}


@dataclass(frozen=True)
class Charger:
    """The writable part of a charger, and the program in one of the target's shells."""

    place: Path
    files: Path
    lists: Path
    sh: str

    @property
    def data(self) -> Path:
        return self.place / "var"

    @property
    def log(self) -> Path:
        return self.data / "log/everest-security"

    def make(self) -> None:
        """Let systemd make the directories, and a charger fill them."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir()
        subprocess.run(["systemd-tmpfiles", f"--root={self.place}", "--create", self.lists.parent / "everest-state.conf"], check=True)
        for name in (*PERSONAL, *IDENTITY, *ALWAYS):
            (self.data / name).parent.mkdir(parents=True, exist_ok=True)
            (self.data / name).write_text(name)
        (self.log / "security.log").write_text(
            f"previous\t{'0' * 64}\t0\n{'a' * 64}\t7\t2026-11-28T00:00:00Z\tpacket-refused\t5\t1\t-\tx\n"
        )

    def environment(self, **more: str) -> Mapping[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "EVEREST_DATA": str(self.data),
            "EVEREST_STATE_LISTS": str(self.lists),
            "EVEREST_CRYPTTAB": str(self.place / "crypttab"),
            "EVEREST_JOURNAL": str(self.place / "none"),
            **more,
        }

    @property
    def command(self) -> list[str | Path]:
        return [*shell(self.sh), self.files / "usr/sbin/everest-factory-reset"]

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command, variables = [*self.command, *arguments], self.environment(**environment)
        return subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def order(self, *arguments: str) -> None:
        done = self.call("--yes", "--no-reboot", *arguments)
        assert (done.returncode, done.stderr) == (0, "")

    def restart(self) -> None:
        done = self.call("--carry-out")
        assert (done.returncode, done.stderr) == (0, "")

    def left(self) -> set[str]:
        return {str(path.relative_to(self.data)) for path in self.data.rglob("*") if path.is_symlink() or path.is_file()}


def charger(layer: Bench, place: Path, sh: str) -> Charger:
    """Make one in a directory, with the program of the recipe in one of the target's shells."""
    (place / "etc").mkdir()
    for name, text in ACCOUNTS.items():
        (place / "etc" / name).write_text(text)
    state = layer.package("everest-state").files
    lists = place / "lists/everest-secure"
    shutil.copytree(state / "usr/share/everest-secure", lists)
    shutil.copy(state / "usr/lib/tmpfiles.d/everest-state.conf", lists.parent)
    made = Charger(place, layer.package("everest-factory-reset").files, lists, sh)
    made.make()
    return made
