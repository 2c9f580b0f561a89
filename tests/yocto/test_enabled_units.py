"""What OE-Core's own preset-all enables, and what is left of it in an image of this layer (NET-06)."""

import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.reference.recipes.harness import run_image_hooks
from support.layer import LAYER, Bench
from support.yocto import Checkout

pytestmark = pytest.mark.yocto

SYSTEMCTL = "layers/openembedded-core/meta/recipes-core/systemd/systemd-systemctl/systemctl"
UNITS = {
    "systemd-networkd.service": "[Install]\nWantedBy=multi-user.target\nAlso=chatty.service\n",
    "chatty.service": "[Install]\nWantedBy=multi-user.target\n",
    "mosquitto.service": "[Install]\nWantedBy=multi-user.target\n",
    "getty@.service": "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n",
}


@pytest.fixture
def root(tmp_path: Path, layer: Bench) -> Path:
    """A root with units and the presets of this layer."""
    root = tmp_path / "rootfs"
    for name, text in UNITS.items():
        (root / "usr/lib/systemd/system").mkdir(parents=True, exist_ok=True)
        (root / "usr/lib/systemd/system" / name).write_text(text)
    (root / "lib").symlink_to("usr/lib")
    policy = layer.package("everest-unit-policy").files
    subprocess.run(["cp", "-a", f"{policy}/.", root], check=True)
    (root / "usr/lib/os-release").write_text("ID=everest-secure\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    return root


def enabled(root: Path) -> set[str]:
    return {str(link.relative_to(root / "etc/systemd/system")) for link in (root / "etc/systemd/system").glob("*.wants/*")}


def test_what_a_unit_enables_besides_itself_is_taken_back(checkout: Checkout, layer: Bench, root: Path) -> None:
    systemctl = checkout.user.directory / SYSTEMCTL
    subprocess.run(
        [sys.executable, systemctl, f"--root={root}", "--preset-mode=enable-only", "preset-all"], check=True, capture_output=True
    )
    listed = {"multi-user.target.wants/systemd-networkd.service", "multi-user.target.wants/mosquitto.service"}
    assert enabled(root) == listed | {"multi-user.target.wants/chatty.service"}
    run_image_hooks("everest-secure-image-development", rootfs=root, layer=LAYER, work=layer.work, settings=layer.settings)
    assert enabled(root) == listed
