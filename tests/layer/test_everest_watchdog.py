"""Watchdogs, and boots that fail (BOOT-05)."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer

TARGETS = ("emergency.target", "rescue.target")


def test_systemd_feeds_the_hardware_watchdog_as_the_knobs_say(layer: Bench) -> None:
    package = layer.package("everest-watchdog", EVEREST_WATCHDOG_SECONDS="12", EVEREST_REBOOT_WATCHDOG_SECONDS="99")
    text = (package.files / "usr/lib/systemd/system.conf.d/50-everest-watchdog.conf").read_text()
    for line in ("RuntimeWatchdogSec=12", "RebootWatchdogSec=99", "CrashReboot=yes", "CrashShell=no", "CtrlAltDelBurstAction=none"):
        assert f"\n{line}\n" in text


@pytest.mark.parametrize("value", ["", "0", "30s", "-1"])
def test_what_is_no_number_of_seconds_stops_the_build(layer: Bench, value: str) -> None:
    with pytest.raises(UserError, match=f"EVEREST_WATCHDOG_SECONDS is '{value}'; set it to a whole number"):
        layer.package("everest-watchdog", EVEREST_WATCHDOG_SECONDS=value)


@pytest.mark.parametrize("target", TARGETS)
def test_a_failed_boot_restarts_and_offers_no_shell(layer: Bench, target: str) -> None:
    package = layer.package("everest-watchdog")
    text = (package.files / "etc/systemd/system" / target).read_text()
    assert re.findall(r"^(?:Requires|Wants|OnFailure)=(.*)$", text, re.MULTILINE) == ["everest-failed-boot.service"]
    service = (package.files / UNITS / "everest-failed-boot.service").read_text()
    assert "\nSuccessAction=reboot-force\nFailureAction=reboot-force\n" in service
    assert "\nExecStart=/usr/bin/sleep 30\n" in service


def test_a_boot_that_waits_for_ever_is_ended(layer: Bench) -> None:
    package = layer.package("everest-watchdog", EVEREST_BOOT_LIMIT_SECONDS="77")
    text = (package.files / UNITS / "basic.target.d/50-everest-boot-limit.conf").read_text()
    assert "\nJobTimeoutSec=77\nJobTimeoutAction=reboot-force\n" in text


def test_the_package_holds_what_this_file_looks_at(layer: Bench) -> None:
    assert contents(layer.package("everest-watchdog")).keys() == {
        "/etc/systemd/system/emergency.target",
        "/etc/systemd/system/rescue.target",
        f"/{UNITS}/basic.target.d/50-everest-boot-limit.conf",
        f"/{UNITS}/everest-failed-boot.service",
        "/usr/lib/systemd/system.conf.d/50-everest-watchdog.conf",
    }


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("target", TARGETS)
def test_systemd_takes_our_targets_for_its_own_and_finds_nothing_to_complain_about(layer: Bench, target: str) -> None:
    files = layer.package("everest-watchdog").files
    path = f"{files / 'etc/systemd/system'}:{files / UNITS}:/usr/lib/systemd/system"
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", target],
        env={"SYSTEMD_UNIT_PATH": path, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if target in line or "everest" in line]
    assert (ours, done.returncode) == ([], 0)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_reports_a_target_that_needs_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "emergency.target").write_text("[Unit]\nRequires=nowhere.service\nSuccessActions=reboot\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "emergency.target"],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:/usr/lib/systemd/system", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SuccessActions" in done.stderr
