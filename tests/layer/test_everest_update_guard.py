"""What keeps older versions out, and notes the slot on trial (RAUC-05, RAUC-06, RAUC-07)."""

import itertools
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.layer import Bench, contents
from support.shells import SHELLS, shell

pytestmark = pytest.mark.layer

SCRIPT = "usr/libexec/everest-secure/everest-update-guard"
REJECTED = 10
ORDERED = ["0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"]
ORDERED += ["1.0.0", "1.0.1", "1.2.0-20261122120000", "1.2.0-20261122120001", "1.9.0", "1.10.0", "999999999.0.0"]
"""Versions from old to new, those of semver.org's own example among them."""


@dataclass(frozen=True)
class Charger:
    """The guard, with a state directory of its own."""

    script: Path
    sh: str
    state: Path

    @property
    def floor(self) -> Path:
        return self.state / "version-floor"

    def ask(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {"EVEREST_UPDATE_STATE": str(self.state), "RAUC_SYSTEM_CONFIG": str(self.configuration)}
        variables = {"PATH": "/usr/bin:/bin", **known, **environment}
        return subprocess.run([*shell(self.sh), self.script, *arguments], env=variables, capture_output=True, text=True, check=False)

    def check(self, version: str, compatible: str = "charger-x") -> subprocess.CompletedProcess[str]:
        return self.ask("install-check", RAUC_MF_VERSION=version, RAUC_MF_COMPATIBLE=compatible, RAUC_SYSTEM_COMPATIBLE="charger-x")

    @property
    def configuration(self) -> Path:
        return self.state.parent / "system.conf"

    def configure(self, version: str) -> None:
        """Let the system that runs allow bundles from a version on."""
        self.configuration.write_text(f"[system]\ncompatible=charger-x\nmin-bundle-version={version}\n")

    def confirm(self, version: str) -> subprocess.CompletedProcess[str]:
        """What follows a good first boot of a system that allows bundles from a version on; an older system runs afterwards."""
        self.configure(version)
        done = self.ask("confirm")
        self.configure(ORDERED[0])
        return done


@pytest.fixture(params=SHELLS)
def charger(request: pytest.FixtureRequest, layer: Bench, tmp_path: Path) -> Charger:
    package = layer.package("everest-update-guard")
    assert contents(package) == {f"/{SCRIPT}": 0o755}
    state = tmp_path / "state"
    state.mkdir()
    charger = Charger(package.files / SCRIPT, request.param, state)
    charger.configure(ORDERED[0])
    return charger


def test_versions_are_compared_as_semantic_versions(charger: Charger) -> None:
    answers = {}
    for confirmed in ORDERED:
        charger.floor.write_text(f"{confirmed}\n")
        for offered in ORDERED:
            answers[confirmed, offered] = charger.check(offered).returncode
    order = {version: place for place, version in enumerate(ORDERED)}
    assert answers == {
        (confirmed, offered): REJECTED if order[offered] < order[confirmed] else 0
        for confirmed, offered in itertools.product(ORDERED, ORDERED)
    }


def test_what_is_built_from_the_same_version_is_no_downgrade(charger: Charger) -> None:
    charger.floor.write_text("1.2.3+build.7\n")
    assert charger.check("1.2.3+build.6").returncode == 0


@pytest.mark.parametrize(
    "version", ["", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-a..b", "1.2.3\n9.9.9", "1.2.3;id", "1." + "2" * 20 + ".3"]
)
def test_what_is_no_version_is_refused_with_one_sentence(charger: Charger, version: str) -> None:
    done = charger.check(version)
    assert (done.returncode, done.stdout) == (REJECTED, "")
    assert done.stderr.startswith("everest-update-guard: the bundle's version '")


def test_a_bundle_of_another_product_is_refused(charger: Charger) -> None:
    done = charger.check("1.2.3", compatible="charger-y")
    assert (done.returncode, done.stderr) == (
        REJECTED,
        "everest-update-guard: the bundle is for 'charger-y', this charger is 'charger-x'\n",
    )


def test_the_device_asks_the_same_before_anything_is_written(charger: Charger) -> None:
    charger.floor.write_text("2.0.0\n")
    assert charger.ask(RAUC_META_EVEREST_SECURE_VERSION="2.0.0").returncode == 0
    assert charger.ask(RAUC_META_EVEREST_SECURE_VERSION="1.9.9").returncode == REJECTED
    assert charger.ask().returncode == REJECTED


def test_a_caller_that_has_rauc_ignore_the_version_is_refused_all_the_same(charger: Charger) -> None:
    charger.configure("1.0.0")
    assert charger.ask(RAUC_META_EVEREST_SECURE_VERSION="1.0.0").returncode == 0
    for done in (charger.ask(RAUC_META_EVEREST_SECURE_VERSION="0.9.9"), charger.check("0.9.9")):
        assert done.returncode == REJECTED
        assert done.stderr == "everest-update-guard: version 0.9.9 is older than 1.0.0, the oldest that this charger's system allows\n"
    charger.configure("")
    assert charger.check("9.9.9").returncode == REJECTED


def test_the_slot_on_trial_is_noted_with_the_boot_that_wrote_it(charger: Charger) -> None:
    slots = {"RAUC_TARGET_SLOTS": "2 4", "RAUC_SLOT_BOOTNAME_1": "A", "RAUC_SLOT_BOOTNAME_2": "", "RAUC_SLOT_BOOTNAME_4": "B"}
    assert charger.ask(RAUC_META_EVEREST_SECURE_VERSION="1.0.0", **slots).returncode == 0
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    assert (charger.state / "trial").read_text() == f"B {boot}"


def test_a_refused_bundle_puts_no_slot_on_trial(charger: Charger) -> None:
    charger.floor.write_text("2.0.0\n")
    charger.ask(RAUC_META_EVEREST_SECURE_VERSION="1.0.0", RAUC_TARGET_SLOTS="1", RAUC_SLOT_BOOTNAME_1="B")
    assert [path.name for path in charger.state.iterdir()] == ["version-floor"]


def test_a_confirmed_version_only_ever_rises(charger: Charger) -> None:
    for confirmed, kept in (("1.0.0", "1.0.0"), ("2.0.0", "2.0.0"), ("1.5.0", "2.0.0"), ("2.0.1", "2.0.1")):
        assert charger.confirm(confirmed).returncode == 0
        assert charger.floor.read_text() == f"{kept}\n"
    assert charger.check("2.0.0").returncode == REJECTED


@pytest.mark.parametrize("broken", ["", "no version\n", "1.2.3 4\n"])
def test_a_floor_that_cannot_be_read_leaves_the_system_s_own_and_is_written_anew(charger: Charger, broken: str) -> None:
    charger.floor.write_text(broken)
    charger.configure("1.0.0")
    done = charger.check("9.9.9")
    assert done.returncode == 0
    assert "holds no version" in done.stderr
    assert charger.check("0.9.0").returncode == REJECTED
    assert charger.confirm("2.0.0").returncode == 0
    assert charger.check("1.9.0").returncode == REJECTED


def test_a_configuration_without_lowest_version_confirms_nothing(charger: Charger) -> None:
    assert charger.confirm("").returncode == REJECTED
    assert not charger.floor.exists()


@pytest.mark.parametrize("name", ["image.img", "/bundle/image.img"])
def test_the_safety_mcu_gets_its_image_from_the_bundle(charger: Charger, tmp_path: Path, name: str) -> None:
    handler = tmp_path / "handler"
    handler.write_text('#!/bin/sh\necho "$1"\n')
    handler.chmod(0o755)
    slot = {"RAUC_SLOT_CLASS": "mcu", "RAUC_IMAGE_NAME": name, "RAUC_BUNDLE_MOUNT_POINT": "/bundle"}
    assert charger.ask("slot-install", EVEREST_MCU_HANDLER=str(handler), **slot).stdout == "/bundle/image.img\n"
    assert charger.ask("slot-install", EVEREST_MCU_HANDLER=str(tmp_path / "none"), **slot).returncode == REJECTED
    assert charger.ask("slot-install", EVEREST_MCU_HANDLER=str(handler), **{**slot, "RAUC_SLOT_CLASS": "rootfs"}).returncode == REJECTED


def test_what_rauc_does_not_ask_is_refused(charger: Charger) -> None:
    assert charger.ask("slot-pre-install").returncode == REJECTED
