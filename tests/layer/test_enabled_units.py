"""What is enabled in a finished root: the image class against the real systemd's presets."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.reference.recipes.harness import run_image_hooks
from support.layer import LAYER, Bench

pytestmark = pytest.mark.layer

SYSTEM = "etc/systemd/system"
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
UNITS = {
    "everest.service": UNIT,
    "multi-user.target": "[Unit]\nDescription=Multi-user\n",
    "everest-nightly.timer": "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n",
    "chatty.service": UNIT + "Alias=dbus-org.example.Chatty.service\n",
    "mount-it.service": UNIT.replace("WantedBy=multi-user.target", "RequiredBy=local-fs.target"),
    "worker@.service": UNIT.replace("WantedBy", "DefaultInstance=one\nWantedBy"),
    "systemd-timesyncd.service": UNIT + "Alias=dbus-org.freedesktop.timesync1.service\n",
}
PRESET = "enable everest.service\nenable everest-*.timer\nenable systemd-timesyncd.service\ndisable *\n"
STRAY = {
    "multi-user.target.wants/chatty.service": "/usr/lib/systemd/system/chatty.service",
    "multi-user.target.wants/gone.service": "/usr/lib/systemd/system/gone.service",
    "multi-user.target.wants/worker@one.service": "/usr/lib/systemd/system/worker@.service",
    "local-fs.target.requires/mount-it.service": "/usr/lib/systemd/system/mount-it.service",
    "dbus-org.example.Chatty.service": "/usr/lib/systemd/system/chatty.service",
}
LEFT = {
    "debug-shell.service": "/dev/null",
    "default.target": "/usr/lib/systemd/system/multi-user.target",
    "multi-user.target.wants/everest.service": "/usr/lib/systemd/system/everest.service",
    "timers.target.wants/everest-nightly.timer": "/usr/lib/systemd/system/everest-nightly.timer",
    "multi-user.target.wants/systemd-timesyncd.service": "/usr/lib/systemd/system/systemd-timesyncd.service",
    "dbus-org.freedesktop.timesync1.service": "/usr/lib/systemd/system/systemd-timesyncd.service",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root in which packages enabled what they liked."""
    root = tmp_path / "rootfs"
    for directory in ("etc", "usr/lib/systemd/system", "usr/lib/systemd/system-preset"):
        (root / directory).mkdir(parents=True)
    (root / "usr/lib/os-release").write_text("ID=everest-secure\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (root / "usr/lib/systemd/system-preset/20-everest-secure.preset").write_text(PRESET)
    (root / "usr/lib/systemd/system-preset/98-chatty.preset").write_text("enable chatty.service\n")
    for name, text in UNITS.items():
        (root / "usr/lib/systemd/system" / name).write_text(text)
    for name, target in {**STRAY, **LEFT}.items():
        (root / SYSTEM / name).parent.mkdir(parents=True, exist_ok=True)
        (root / SYSTEM / name).symlink_to(target)
    return root


def links(root: Path) -> set[str]:
    return {str(link.relative_to(root / SYSTEM)) for link in (root / SYSTEM).rglob("*") if link.is_symlink()}


def disable(layer: Bench, root: Path) -> None:
    run_image_hooks("everest-secure-image-development", rootfs=root, layer=LAYER, work=layer.work, settings=layer.settings)


def test_links_of_units_that_no_preset_enables_are_gone_and_no_others(layer: Bench, root: Path) -> None:
    assert links(root) == STRAY.keys() | LEFT.keys()
    disable(layer, root)
    assert links(root) == LEFT.keys()


@pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is missing")
def test_what_stays_enabled_is_what_systemd_itself_would_leave(layer: Bench, root: Path, tmp_path: Path) -> None:
    (root / SYSTEM / "multi-user.target.wants/gone.service").unlink()
    asked = tmp_path / "asked"
    shutil.copytree(root, asked, symlinks=True)
    subprocess.run(["systemctl", f"--root={asked}", "preset-all"], check=True, capture_output=True)
    disable(layer, root)
    # Which target is the default is the image's decision, made by OE-Core's set_systemd_default_target; presets know nothing of it.
    assert links(root) - {"default.target"} == links(asked)


def test_a_preset_in_etc_hides_the_one_of_its_name_in_usr(layer: Bench, root: Path) -> None:
    (root / "etc/systemd/system-preset").mkdir()
    (root / "etc/systemd/system-preset/20-everest-secure.preset").write_text("enable chatty.service\ndisable *\n")
    disable(layer, root)
    assert "multi-user.target.wants/chatty.service" in links(root)
    assert "multi-user.target.wants/everest.service" not in links(root)


@pytest.mark.parametrize("line", ["enable worker@.service one two", "ignore chatty.service", "enable"])
def test_a_preset_rule_that_cannot_be_decided_stops_the_build_with_its_line(layer: Bench, root: Path, line: str) -> None:
    (root / "usr/lib/systemd/system-preset/30-product.preset").write_text(f"# of a product\n{line}\n")
    with pytest.raises(UserError, match=r"30-product\.preset:2 is no rule"):
        disable(layer, root)


def test_an_entry_that_is_no_link_stops_the_build(layer: Bench, root: Path) -> None:
    (root / SYSTEM / "multi-user.target.wants/odd.service").write_text(UNIT)
    with pytest.raises(UserError, match=r"odd\.service enables a unit but is no link"):
        disable(layer, root)


def test_an_image_without_the_list_is_refused(layer: Bench, root: Path) -> None:
    (root / "usr/lib/systemd/system-preset/20-everest-secure.preset").unlink()
    with pytest.raises(UserError, match="NET-06: no preset of the image says"):
        disable(layer, root)
