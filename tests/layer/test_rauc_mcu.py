"""The real rauc, its service and a bundle with firmware of the safety MCU, down to the flash of an STM32 (RAUC-07)."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.run import HostTools
from support.authority import issue
from support.bundle import incompressible
from support.layer import LAYER, Bench
from support.rauc_service import RaucService
from support.raucs import SYSTEM, version
from support.reference import require
from support.stm32 import BASE, mcu

pytestmark = [
    pytest.mark.layer,
    pytest.mark.usefixtures("each_rauc"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a bundle"),
]

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


@dataclass(frozen=True)
class Updater:
    """A charger's rauc with the layer's slot, hook and handlers, and what signs its bundles."""

    place: Path
    service: RaucService

    def bundle(self, firmware: bytes) -> Path:
        content, made = self.place / "content", self.place / "update.raucb"
        (content / "mcu.img").write_bytes(firmware)
        made.unlink(missing_ok=True)
        signed: list[str | Path] = ["--cert", self.place / "signer.pem", "--key", self.place / "signer.key"]
        subprocess.run(["rauc", *signed, "bundle", content, made], capture_output=True, check=True)
        return made

    def install(self, bundle: Path) -> subprocess.CompletedProcess[str]:
        return self.service.asked("install", bundle)


@pytest.fixture
def updater(layer: Bench, tmp_path: Path) -> Updater:
    require("rauc", "mksquashfs")
    authority = issue("Update Root CA", authority=True)
    signer = issue("Signer", by=authority)
    for name, text in {"keyring.pem": authority.pem, "signer.pem": signer.pem, "signer.key": signer.key_pem}.items():
        (tmp_path / name).write_text(text)
    slot = (LAYER / "recipes-core/rauc/rauc-conf/slot-mcu.conf").read_text()
    (tmp_path / "system.conf").write_text(SYSTEM.format(place=tmp_path, compatible="charger") + slot)
    for name in ("content", "mnt"):
        (tmp_path / name).mkdir()
    (tmp_path / "content/manifest.raucm").write_text(MANIFEST)
    hook = tmp_path / "content/everest-update-guard"
    hook.write_bytes((layer.package("everest-update-guard").files / PROGRAMS / hook.name).read_bytes())
    hook.chmod(0o755)
    tool = layer.package("everest-mcu-stm32").files / PROGRAMS / "everest-mcu-stm32"
    handler = layer.package("everest-mcu-update", EVEREST_MCU_UPDATE_HANDLER=str(tool)).files / PROGRAMS / "everest-mcu-update"
    return Updater(tmp_path, RaucService(tmp_path, {"EVEREST_MCU_HANDLER": str(handler), "EVEREST_MCU_WAIT": "20"}))


def test_rauc_hands_the_firmware_of_a_bundle_down_to_the_mcu(updater: Updater) -> None:
    flash = updater.place / "flash"
    with mcu(flash, updater.place) as (port, _), updater.service.running(EVEREST_MCU_PORT=str(port)):
        done = updater.install(updater.bundle(FIRMWARE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert flash.read_bytes().startswith(FIRMWARE)


def test_an_mcu_that_does_not_answer_fails_the_installation_and_the_journal_says_why(updater: Updater) -> None:
    with mcu(updater.place / "flash", updater.place, fault="silent") as (port, _), updater.service.running(EVEREST_MCU_PORT=str(port)):
        done = updater.install(updater.bundle(FIRMWARE))
    assert done.returncode != 0
    assert "Failed updating slot mcu.0" in done.stdout + done.stderr
    assert "the flash tool failed with exit code 1: everest-mcu-stm32: the MCU does not answer on /dev/pts/" in updater.service.said


def test_a_bundle_of_another_signer_is_refused_in_words_that_the_monitor_knows(updater: Updater, layer: Bench) -> None:
    """LOG-03."""
    if version(HostTools()) < (1, 10):
        pytest.skip("RAUC before 1.10 has no line for what became of an installation; the layers' has it")
    bundle = updater.bundle(FIRMWARE)
    (updater.place / "keyring.pem").write_text(issue("Other Root CA", authority=True).pem)
    with updater.service.running():
        assert updater.install(bundle).returncode != 0
    rules = layer.package("everest-security-monitor").files / "usr/lib/everest-secure/security-events.tsv"
    (pattern,) = re.findall(r"(?m)^update-signature-refused\t\d\trauc\.service\t(.*)$", rules.read_text())
    # On a terminal, and not in the journal, sender and time stand before it.
    assert any(re.search(pattern.removeprefix("^"), line) for line in updater.service.said.splitlines())


def test_after_a_line_that_was_cut_the_same_bundle_is_installed(updater: Updater) -> None:
    bundle, flash = updater.bundle(FIRMWARE), updater.place / "flash"
    with mcu(flash, updater.place, fault="gone", after=2) as (port, _), updater.service.running(EVEREST_MCU_PORT=str(port)):
        done = updater.install(bundle)
    assert done.returncode != 0
    assert flash.read_bytes()[:8] == b"\xff" * 8, "what is half written does not start"
    with mcu(flash, updater.place) as (port, _), updater.service.running(EVEREST_MCU_PORT=str(port)):
        assert updater.install(bundle).returncode == 0
    assert flash.read_bytes().startswith(FIRMWARE)
