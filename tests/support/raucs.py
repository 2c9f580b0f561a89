"""The versions of rauc that tests ask: this machine's, the newer one of Debian 13 where there is a tools root, and the layers'; and what they are told of a device."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.build.configuration import Repository
from everest_secure.reference.toolsroot import ToolsRoot, digest
from everest_secure.run import Argument, HostTools, Tools
from support.kas import pinned
from support.reference import REPOSITORY, require
from support.tools import ArrangedTools
from support.upstream_code import check_out, installed

MACHINE, DEBIAN_13, LAYERS = "of the machine", "of Debian 13", "of the layers"
ON_PATH = (MACHINE, pytest.param(LAYERS, marks=pytest.mark.yocto))
"""For tests of programs that call `rauc` by that name; the layers' is compiled of upstream's code."""
RAUCS = (*ON_PATH, DEBIAN_13)
SYSTEM = """[system]
compatible={compatible}
bootloader=noop
mountprefix={place}/mnt
[keyring]
path={place}/keyring.pem
check-purpose=codesign
[slot.rootfs.0]
device={place}/slot-a
bootname=A
[slot.rootfs.1]
device={place}/slot-b
bootname=B
"""
"""RAUC's system.conf of a device whose slots are files, and whose boot loader is nobody's."""


@dataclass(frozen=True, slots=True)
class LayersRauc:
    """The rauc of chargers, for this machine."""

    program: Path
    code: Path
    """What it was compiled of, its own tests included."""
    recipe: str
    """The version in the name of its recipe."""


def compiled(place: Path) -> LayersRauc:
    """Fetch and compile RAUC as meta-rauc's recipe at the pinned commit names it; skips the test where something is missing.

    Options are Meson's own, which are the recipe's but for `create`: a build host has that as well.
    """
    for name in ("layer", "code"):
        (place / name).mkdir()
    (recipe,) = check_out(pinned("meta-rauc"), place / "layer").glob("recipes-core/rauc/rauc_[0-9]*.bb")
    found = recipe.stem.removeprefix("rauc_")
    code = check_out(Repository("rauc", "https://github.com/rauc/rauc.git", "rauc", f"v{found}"), place / "code")
    # Newer ones of Meson would have it say the commit in place of the version.
    shutil.rmtree(code / ".git")
    tree = installed(
        code, place, ("-Dtests=false", "-Dgpt=enabled"), libraries="GLib, JSON-GLib, OpenSSL, D-Bus, libcurl, libnl and libfdisk"
    )
    return LayersRauc(tree / "usr/bin/rauc", code, found)


@dataclass(frozen=True)
class OtherRauc(ArrangedTools):
    """The programs of this machine and another rauc."""

    rauc: Path

    def called(self, argv: Sequence[Argument]) -> Sequence[Argument]:
        return [self.rauc, *argv[1:]] if argv[0] == "rauc" else argv


def tools_of(which: str, request: pytest.FixtureRequest) -> Tools:
    """Return the tools with one of `RAUCS`; skips the test without them."""
    require("rauc", "mksquashfs", "unsquashfs")
    if which == MACHINE:
        return HostTools()
    if which == LAYERS:
        layers: LayersRauc = request.getfixturevalue("layers_rauc")
        return OtherRauc(layers.program)
    root = REPOSITORY / "build/cache" / f"tools-{digest()}"
    if not root.is_dir():
        pytest.skip("there is no tools root with a newer rauc, which 'make demo' makes")
    require("bwrap")
    return ToolsRoot(Path(root))


@contextmanager
def on_path(program: Path) -> Iterator[None]:
    """Let everybody find a program, and what lies beside it, before this machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(program.parent), prepend=":")
        yield


def version(tools: Tools) -> tuple[int, int]:
    """Return the version of rauc."""
    found = re.match(rb"rauc (\d+)\.(\d+)", tools.run(["rauc", "--version"]))
    assert found is not None
    return int(found[1]), int(found[2])
