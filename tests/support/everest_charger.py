"""A charger with our configuration and EVerest's own manifests: for the checker in memory, for EVerest's programs on disk as its service user sees it."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from everest_secure.image.directory import DirectoryTree
from everest_secure.image.tree import NodeType
from everest_secure.parse.everest_config import CONFIG, parse_everest_config
from everest_secure.parse.units import Units
from everest_secure.reference.recipes.harness import BuiltPackage
from support.everest import COMPONENTS, PROFILES, Manifests
from support.layer import Bench, production
from support.reference import require
from support.rootfs import RootFs, good_root
from support.tmpfiles import tmpfiles

USER = production().service_user
STORE = "/usr/lib/systemd/system/etc-everest-certs.mount"
"""Mounts the certificate store where programs look for it."""


def made(layer: Bench, everest: Path, **settings: str) -> BuiltPackage:
    """Build our configuration of EVerest from the components of a checkout."""
    return layer.package("everest-config", EVEREST_OCPP_COMPONENTS=str(everest / COMPONENTS), **settings)


def charger(layer: Bench, everest: Path, **settings: str) -> RootFs:
    """A root with our configuration, and with EVerest's own schema and manifests."""
    fs = good_root().remove("/etc/everest/ocpp")
    files = made(layer, everest, EVEREST_CSMS_URL="wss://csms.example.com/ocpp", **settings).files
    for file in (path for path in files.rglob("*") if path.is_file()):
        fs.file(f"/{file.relative_to(files)}", file.read_bytes())
    for manifest in everest.glob("modules/**/manifest.yaml"):
        fs.file(f"/usr/libexec/everest/modules/{manifest.parent.name}/manifest.yaml", manifest.read_bytes())
    fs.remove("/usr/share/everest/modules/OCPP")
    for schema in (everest / PROFILES).glob("*.json"):
        fs.file(f"/usr/share/everest/modules/OCPP/profile_schemas/{schema.name}", schema.read_bytes())
    return fs.file("/usr/share/everest/schemas/config.yaml", (everest / "lib/everest/framework/schemas/config.yaml").read_bytes())


@dataclass(frozen=True, slots=True)
class Charger:
    """A charger's files on disk; EVerest's programs run where they lie as on the charger, as the service user and with the service's umask."""

    place: Path
    everest: Path
    """A checkout, which programs see at /everest."""

    def configured(self, module: str) -> dict[str, Any]:
        """Return what EVerest's only module of a type gets: what the configuration says, over the defaults of its manifest."""
        (found,) = parse_everest_config((self.place / CONFIG[1:]).read_text(), CONFIG).of_type(module)
        manifest = Manifests(self.everest).module(module)
        assert manifest
        return {key: entry["default"] for key, entry in manifest["config"].items() if "default" in entry} | found.config

    def run(self, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine as one of EVerest's modules runs."""
        return subprocess.run(self.command(program, *arguments), capture_output=True, text=True, check=False)

    def command(self, program: Path, *arguments: str, options: Sequence[str | Path] = (), begin: str = "") -> list[str | Path]:
        """Return the command that runs a program of this machine as one of EVerest's modules runs, with the places that the service may write.

        `options` are more of bwrap's, and `begin` is what a shell does before the program, as its user.
        """
        units = Units(DirectoryTree(self.place, "charger"))
        service = units.unit("everest.service")
        writable = service.words("Service", "ReadWritePaths")
        mounts = [units.unit(path.name) for path in (self.place / "usr/lib/systemd/system").glob("*.mount")]
        bound = {unit.value("Mount", "Where"): unit.value("Mount", "What") for unit in mounts}
        command: list[str | Path] = ["bwrap", "--die-with-parent", "--unshare-pid", "--dev", "/dev", "--proc", "/proc"]
        for name in ("bin", "sbin", "lib", "lib64"):
            command += ["--symlink", f"usr/{name}", f"/{name}"]
        for source, target in (("/usr", "/usr"), (self.everest, "/everest"), (program, "/program")):
            command += ["--ro-bind", source, target]
        for name in ("etc", "var"):
            command += ["--ro-bind", self.place / name, f"/{name}"]
        for path in (*writable, *(each for each in bound if each not in writable)):
            command += ["--bind" if path in writable else "--ro-bind", self.place / bound.get(path, path)[1:], path]
        command += ["--bind", self.place / "tmp", "/tmp", *options]
        user = ("setpriv", f"--reuid={USER.uid}", f"--regid={USER.gid}", "--clear-groups")
        shell = f'umask {service.value("Service", "UMask", "0022")}; {begin} exec "$@"'
        return [*command, *user, "env", *service.words("Service", "Environment"), "sh", "-c", shell, "sh", "/program", *arguments]

    def tmpfiles(self, *arguments: str, days: int = 0) -> None:
        """Run the real systemd-tmpfiles on the charger's state and with its rules, some days from now."""
        tmpfiles(self.place, *arguments, "--prefix=/var", days=days)

    def files(self, directory: str) -> list[Path]:
        """Return the files below a directory of the charger, by name."""
        return sorted(path for path in (self.place / directory[1:]).rglob("*") if path.is_file())


def install(fs: RootFs, place: Path, everest: Path) -> Charger:
    """Put a root's files for users, tmpfiles and EVerest on disk, and let systemd-tmpfiles make its state as at a start."""
    require("bwrap", "systemd-tmpfiles", "faketime")
    if os.geteuid() != 0:
        pytest.skip("only root gives directories to the service user")
    for path, (node, content) in fs.nodes.items():
        wanted = path.startswith(("/etc/everest/", "/usr/lib/tmpfiles.d/", "/usr/lib/systemd/system/everest.service")) or path == STORE
        if node.type is NodeType.FILE and (wanted or path in ("/etc/passwd", "/etc/group")):
            file = place / path[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    everest.chmod(0o755)
    (place / "etc/everest/certs").mkdir(exist_ok=True)
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)
    found = Charger(place, everest)
    found.tmpfiles("--create")
    return found
