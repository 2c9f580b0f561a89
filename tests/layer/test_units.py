"""Units and drop-ins of all recipes, read by the real systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.layer import LAYER, UNITS, Bench

pytestmark = [pytest.mark.layer, pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")]

EVEREST = """[Unit]
Description=EVerest
Requires=mosquitto.service
[Service]
Type=simple
ExecStart=/bin/true --config /etc/everest/config.yaml
"""
BROKER = """[Unit]
Description=Broker
[Service]
Type=notify
ExecStartPre=/bin/mkdir -m 740 -p /run/mosquitto
ExecStart=/bin/true -c /etc/mosquitto/mosquitto.conf
"""


def verify(units: Path, *names: str) -> str:
    """What systemd says of units in a directory; programs need not exist on this machine."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(units / name) for name in names)],
        env={"SYSTEMD_UNIT_PATH": f"{units}:/usr/lib/systemd/system", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "\n".join(line for line in done.stderr.splitlines() if "is not executable" not in line)


def stage(layer: Bench, tmp_path: Path, *recipes: str, **units: str) -> Path:
    """Put the units of recipes and of their upstream packages into one directory."""
    place = tmp_path / "units"
    for recipe in recipes:
        shutil.copytree(layer.package(recipe).files / UNITS, place, dirs_exist_ok=True)
    for name, text in units.items():
        (place / f"{name}.service").write_text(text)
    return place


def exposure(unit: Path) -> float:
    """How exposed a service is, as systemd sees it: from 0 to 10."""
    said = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=True)
    score = re.search(r"exposure level for \S+: ([0-9.]+)", said.stdout)
    assert score is not None
    return float(score[1])


def test_systemd_knows_every_directive_of_the_service_sandbox(layer: Bench, tmp_path: Path) -> None:
    place = stage(layer, tmp_path, "everest-service-hardening", "everest-broker-conf", everest=EVEREST, mosquitto=BROKER)
    assert verify(place, "everest.service", "mosquitto.service") == ""


def test_systemd_reports_a_directive_it_does_not_know(layer: Bench, tmp_path: Path) -> None:
    place = stage(layer, tmp_path, "everest-broker-conf", mosquitto=BROKER + "ProtectEverything=yes\n")
    assert "ProtectEverything" in verify(place, "mosquitto.service")


def test_systemd_accepts_mounts_and_firewall(layer: Bench, tmp_path: Path) -> None:
    place = stage(layer, tmp_path, "everest-state", "everest-firewall")
    assert verify(place, "var.mount", "etc-everest-certs.mount", "everest-firewall.service") == ""


def test_systemd_accepts_the_units_of_the_mqtt_api_and_its_relays(layer: Bench, tmp_path: Path) -> None:
    place = stage(layer, tmp_path, "everest-mqtt-api", "everest-broker-conf", "everest-firewall", mosquitto=BROKER)
    assert verify(place, *(path.name for path in place.glob("everest-mqtt-api*"))) == ""


def test_systemd_accepts_the_pipe_that_reboots_and_the_broker_of_the_tpm(layer: Bench, tmp_path: Path) -> None:
    tpm = "[Service]\nType=dbus\nBusName=com.intel.tss2.Tabrmd\nUser=root\nExecStart=/bin/true\n"
    place = stage(layer, tmp_path, "everest-reboot", "everest-tpm-broker", **{"tpm2-abrmd": tpm})
    for unit in place.glob("*.socket"):
        unit.write_text(unit.read_text().replace("=everest\n", "=root\n"))
    assert verify(place, "everest-reboot.socket", "everest-reboot.service", "tpm2-abrmd.service") == ""


def test_the_service_is_hardly_exposed(layer: Bench, tmp_path: Path) -> None:
    place = stage(layer, tmp_path, "everest-service-hardening", everest=EVEREST)
    assert exposure(place / "everest.service") < 3.5


@pytest.mark.parametrize("unit", ["everest-security-monitor", "everest-security-monitor-daily"])
def test_the_monitor_is_known_to_systemd_and_exposed_less_than_what_it_watches(layer: Bench, tmp_path: Path, unit: str) -> None:
    place = stage(layer, tmp_path, "everest-security-monitor")
    assert verify(place, f"{unit}.service", "everest-security-monitor.timer") == ""
    assert exposure(place / f"{unit}.service") < 2.0


def test_the_manager_starts_as_root_and_its_drop_in_sets_no_user(layer: Bench) -> None:
    text = (layer.package("everest-service-hardening").files / UNITS / "everest.service.d/50-everest-secure.conf").read_text()
    assert not re.search(r"^(User|AmbientCapabilities)=", text, re.MULTILINE)
    assert "Environment=OPENSSL_CONF=/etc/everest/openssl.cnf\n" in text


def test_the_service_is_started_again_for_as_long_as_it_takes(layer: Bench) -> None:
    text = (layer.package("everest-service-hardening").files / UNITS / "everest.service.d/50-everest-secure.conf").read_text()
    unit, service = text.split("[Service]\n")
    assert "\nStartLimitIntervalSec=0\n" in unit
    assert re.search(r"^RestartSec=[1-9]", service, re.MULTILINE)


NOT_SANDBOXED = {
    "everest-failed-boot.service": "ExecStart=/usr/bin/sleep @EVEREST_FAILED_BOOT_SECONDS@\n",
    "everest-machine-id.service": "ConditionPathExists=/etc/initrd-release\n",
    "everest-mqtt-api-off.service": "ExecStart=/bin/true\n",
}
"""Services that a sandbox is not for, with the line why: two run a program that does nothing, the first in a system whose mounts have failed; one mounts
something for the system that the initial RAM disk starts."""


@pytest.mark.parametrize("unit", sorted(LAYER.rglob("files/*.service")), ids=lambda unit: unit.name)
def test_every_service_of_ours_is_hardly_exposed(unit: Path, tmp_path: Path) -> None:
    if unit.name in NOT_SANDBOXED:
        assert NOT_SANDBOXED[unit.name] in unit.read_text()
        return
    (tmp_path / unit.name).write_text(unit.read_text())
    assert exposure(tmp_path / unit.name) <= 2.0
