"""What the initial RAM disk does and offers to nobody (BOOT-03, FS-02, FS-04, NET-07, LOG-02)."""

import subprocess
from pathlib import Path

import pytest

from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer


def test_nothing_in_the_initrd_leads_to_a_shell(layer: Bench) -> None:
    package = layer.package("everest-initramfs")
    links = {path.name: str(path.readlink()) for path in (package.files / "etc/systemd/system").iterdir()}
    assert set(links.values()) == {"/dev/null"}
    assert set(links) >= {"debug-shell.service", "emergency.service", "rescue.service"}


@pytest.mark.parametrize("unit", ["sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-sysext.socket"])
def test_neither_initrd_nor_system_opens_what_is_for_developers_alone(layer: Bench, unit: str) -> None:
    for name in ("everest-initramfs", "everest-unit-policy"):
        assert str((layer.package(name).files / "etc/systemd/system" / unit).readlink()) == "/dev/null"


def test_a_root_that_is_refused_ends_the_boot_at_once(layer: Bench) -> None:
    package = layer.package("everest-initramfs")
    text = (package.files / UNITS / "systemd-veritysetup@.service.d/50-refused-root.conf").read_text()
    assert "\nOnFailure=emergency.target\n" in text
    # Its emergency.target restarts.
    assert "everest-watchdog" in package.depends


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


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("ro quiet --", True),
        ("ro quiet", False),
        ("ro quiet -- init=/bin/sh", False),
        ("ro quiet -- systemd.debug_shell --", False),
        ("", False),
    ],
)
def test_systemd_starts_when_nothing_stands_behind_the_signed_command_line(layer: Bench, tmp_path: Path, line: str, starts: bool) -> None:
    (tmp_path / "cmdline").write_text(f"{line}\n")
    text = (layer.package("everest-initramfs").files / "init").read_text()
    for real, here in (("mount -t", "true -t"), ("/proc/cmdline", str(tmp_path / "cmdline")), ("/usr/lib/systemd/systemd", "echo started")):
        assert text.count(real) == 1
        text = text.replace(real, here)
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode == 0, done.stdout == "started\n") == (starts, starts)


def test_the_initrd_starts_by_our_own_init(layer: Bench) -> None:
    package = layer.package("everest-initramfs")
    assert contents(package)["/init"] == 0o755
