"""The real rauc, its service and a bundle with firmware of the safety MCU, down to the flash of an STM32 (RAUC-07)."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import HostTools, running
from support.authority import issue
from support.bundle import incompressible
from support.layer import LAYER, Bench
from support.raucs import SYSTEM, version
from support.reference import require
from support.stm32 import BASE, mcu
from support.waiting import while_it_runs

pytestmark = [pytest.mark.layer, pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a bundle")]

PROGRAMS = "usr/libexec/everest-secure"
FIRMWARE = (0x20008000).to_bytes(4, "little") + (BASE + 0x101).to_bytes(4, "little") + incompressible(601)
MANIFEST = """[update]
compatible=charger
version=1.0.0
[bundle]
format=plain
[hooks]
filename=everest-update-guard
[image.mcu]
filename=mcu.img
hooks=install
"""
"""RAUC-01 wants another format; this one is mounted without the kernel's device mapper."""
BUS = """<busconfig><type>session</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


@dataclass(frozen=True)
class Updater:
    """A charger's rauc with the layer's slot, hook and handlers, and what signs its bundles."""

    place: Path
    environment: Mapping[str, str]

    def bundle(self, firmware: bytes) -> Path:
        content, made = self.place / "content", self.place / "update.raucb"
        (content / "mcu.img").write_bytes(firmware)
        made.unlink(missing_ok=True)
        signed: list[str | Path] = ["--cert", self.place / "signer.pem", "--key", self.place / "signer.key"]
        subprocess.run(["rauc", *signed, "bundle", content, made], capture_output=True, check=True)
        return made

    @contextmanager
    def service(self, **more: str) -> Iterator[None]:
        """rauc's service on a bus of its own."""
        environment = {**self.environment, **more}
        with running(["dbus-daemon", f"--config-file={self.place}/bus.conf", "--nofork"]) as bus:
            while_it_runs(bus, (self.place / "bus").exists)
            command: list[str | Path] = ["rauc", "--conf", self.place / "system.conf", "--override-boot-slot=A", "service"]
            with (
                (self.place / "service.log").open("w") as log,
                subprocess.Popen(command, env=environment, stdout=log, stderr=log) as service,
            ):
                try:
                    ask = ["rauc", "status"]
                    while_it_runs(service, lambda: subprocess.run(ask, env=environment, capture_output=True, check=False).returncode == 0)
                    yield
                finally:
                    service.terminate()
        (self.place / "bus").unlink(missing_ok=True)

    @property
    def said(self) -> str:
        """What the service wrote, which is the journal's on a charger."""
        return (self.place / "service.log").read_text()

    def install(self, bundle: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["rauc", "install", bundle], env=self.environment, capture_output=True, text=True, check=False)


@pytest.fixture
def updater(layer: Bench, tmp_path: Path) -> Updater:
    require("rauc", "dbus-daemon", "mksquashfs")
    authority = issue("Update Root CA", authority=True)
    signer = issue("Signer", by=authority)
    for name, text in {"keyring.pem": authority.pem, "signer.pem": signer.pem, "signer.key": signer.key_pem}.items():
        (tmp_path / name).write_text(text)
    slot = (LAYER / "recipes-core/rauc/rauc-conf/slot-mcu.conf").read_text()
    (tmp_path / "system.conf").write_text(SYSTEM.format(place=tmp_path, compatible="charger") + slot)
    (tmp_path / "bus.conf").write_text(BUS.format(place=tmp_path))
    for name in ("content", "mnt"):
        (tmp_path / name).mkdir()
    (tmp_path / "content/manifest.raucm").write_text(MANIFEST)
    hook = tmp_path / "content/everest-update-guard"
    hook.write_bytes((layer.package("everest-update-guard").files / PROGRAMS / hook.name).read_bytes())
    hook.chmod(0o755)
    tool = layer.package("everest-mcu-stm32").files / PROGRAMS / "everest-mcu-stm32"
    handler = layer.package("everest-mcu-update", EVEREST_MCU_UPDATE_HANDLER=str(tool)).files / PROGRAMS / "everest-mcu-update"
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DBUS_STARTER_BUS_TYPE": "session",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus",
        "EVEREST_MCU_HANDLER": str(handler),
        "EVEREST_MCU_WAIT": "20",
    }
    return Updater(tmp_path, environment)


def test_rauc_hands_the_firmware_of_a_bundle_down_to_the_mcu(updater: Updater) -> None:
    flash = updater.place / "flash"
    with mcu(flash, updater.place) as (port, _), updater.service(EVEREST_MCU_PORT=str(port)):
        done = updater.install(updater.bundle(FIRMWARE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert flash.read_bytes().startswith(FIRMWARE)


def test_an_mcu_that_does_not_answer_fails_the_installation_and_the_journal_says_why(updater: Updater) -> None:
    with mcu(updater.place / "flash", updater.place, fault="silent") as (port, _), updater.service(EVEREST_MCU_PORT=str(port)):
        done = updater.install(updater.bundle(FIRMWARE))
    assert done.returncode != 0
    assert "Failed updating slot mcu.0" in done.stdout + done.stderr
    assert "the flash tool failed with exit code 1: everest-mcu-stm32: the MCU does not answer on /dev/pts/" in updater.said


def test_a_bundle_of_another_signer_is_refused_in_words_that_the_monitor_knows(updater: Updater, layer: Bench) -> None:
    """LOG-03."""
    if version(HostTools()) < (1, 10):
        pytest.skip("RAUC before 1.10 has no line for what became of an installation; the layer's is 1.15")
    bundle = updater.bundle(FIRMWARE)
    (updater.place / "keyring.pem").write_text(issue("Other Root CA", authority=True).pem)
    with updater.service():
        assert updater.install(bundle).returncode != 0
    rules = layer.package("everest-security-monitor").files / "usr/lib/everest-secure/security-events.tsv"
    (pattern,) = re.findall(r"(?m)^update-signature-refused\t\d\trauc\.service\t(.*)$", rules.read_text())
    # On a terminal, and not in the journal, sender and time stand before it.
    assert any(re.search(pattern.removeprefix("^"), line) for line in updater.said.splitlines())


def test_after_a_line_that_was_cut_the_same_bundle_is_installed(updater: Updater) -> None:
    bundle, flash = updater.bundle(FIRMWARE), updater.place / "flash"
    with mcu(flash, updater.place, fault="gone", after=2) as (port, _), updater.service(EVEREST_MCU_PORT=str(port)):
        done = updater.install(bundle)
    assert done.returncode != 0
    assert flash.read_bytes()[:8] == b"\xff" * 8, "what is half written does not start"
    with mcu(flash, updater.place) as (port, _), updater.service(EVEREST_MCU_PORT=str(port)):
        assert updater.install(bundle).returncode == 0
    assert flash.read_bytes().startswith(FIRMWARE)
