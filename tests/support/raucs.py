"""The versions of rauc that tests ask: this machine's and, where there is a tools root, the newer one of Debian 13 in it; and what they are told of a device."""

import re
from pathlib import Path

import pytest

from everest_secure.reference.toolsroot import ToolsRoot, digest
from everest_secure.run import HostTools, Tools
from support.reference import REPOSITORY, require

RAUCS = ("of the machine", "of Debian 13")
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


def tools_of(which: str) -> Tools:
    """Return the tools with one of `RAUCS`; skips the test without them."""
    if which == RAUCS[0]:
        require("rauc", "mksquashfs", "unsquashfs")
        return HostTools()
    root = REPOSITORY / "build/cache" / f"tools-{digest()}"
    if not root.is_dir():
        pytest.skip("there is no tools root with a newer rauc, which 'make demo' makes")
    require("bwrap")
    return ToolsRoot(Path(root))


def version(tools: Tools) -> tuple[int, int]:
    """Return the version of rauc."""
    found = re.match(rb"rauc (\d+)\.(\d+)", tools.run(["rauc", "--version"]))
    assert found is not None
    return int(found[1]), int(found[2])
