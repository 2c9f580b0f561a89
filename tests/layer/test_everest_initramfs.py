"""What the initial RAM disk does and offers to nobody (FS-02, FS-04, NET-07, LOG-02)."""

import pytest

from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer


def test_nothing_in_the_initrd_leads_to_a_shell(layer: Bench) -> None:
    package = layer.package("everest-initramfs")
    links = {path.name: str(path.readlink()) for path in (package.files / "etc/systemd/system").iterdir()}
    assert links == {
        "debug-shell.service": "/dev/null",
        "emergency.service": "/dev/null",
        "emergency.target": "/usr/lib/systemd/system/reboot.target",
        "rescue.service": "/dev/null",
        "rescue.target": "/usr/lib/systemd/system/reboot.target",
    }


def test_an_initrd_that_stands_still_is_started_again(layer: Bench) -> None:
    package = layer.package("everest-initramfs", EVEREST_BOOT_LIMIT_SECONDS="77")
    text = (package.files / UNITS / "initrd.target.d/50-restart.conf").read_text()
    assert [line for line in text.splitlines() if line.startswith("Job")] == ["JobTimeoutSec=77", "JobTimeoutAction=reboot-force"]


def test_the_initrd_makes_the_data_partition_only_once_the_root_is_mounted(layer: Bench) -> None:
    text = (layer.package("everest-initramfs").files / UNITS / "systemd-repart.service.d/50-verified-root.conf").read_text()
    assert "After=sysroot.mount\n" in text
    assert "ConditionDirectoryNotEmpty=/sysroot/usr/lib/repart.d\n" in text


def test_the_build_enables_nothing_in_the_initrd(layer: Bench) -> None:
    package = layer.package("everest-initramfs")
    (preset,) = (package.files / "usr/lib/systemd/system-preset").iterdir()
    assert preset.name < "20"
    assert [line for line in preset.read_text().splitlines() if not line.startswith("#")] == ["disable *"]


def test_the_machine_s_id_is_there_before_the_system_starts(layer: Bench) -> None:
    package = layer.package("everest-initramfs")
    wanted = package.files / UNITS / "initrd.target.wants/everest-machine-id.service"
    assert "Requires=sysroot.mount\n" in wanted.read_text()
    assert (wanted.parent / wanted.readlink()).is_file()
    assert contents(package)["/usr/libexec/everest-machine-id"] == 0o755
