"""RAUC's configuration with the real rauc (RAUC-01, RAUC-03, RAUC-04, RAUC-05, RAUC-07, RAUC-08)."""

import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from everest_secure.parse.rauc_conf import parse_rauc_config
from everest_secure.reference.recipes.harness import BuiltPackage
from everest_secure.run import HostTools
from support.layer import KEYRING, Bench, contents
from support.rauc_service import RaucService
from support.raucs import version
from support.reference import require

pytestmark = pytest.mark.layer

NEWER = ("perform-pre-check=", "min-bundle-version=", "[log.", "filename=", "format=", "max-size=", "max-files=")
"""What RAUC 1.9 to 1.13 brought and Debian 12's 1.8 does not know: it is left out there. `make boot` runs the whole with 1.13, `each_rauc` the layers' 1.15."""


def configuration_error(system_conf: Path) -> str:
    """What the real rauc says of a configuration, when it says that it cannot be loaded."""
    nothing = system_conf.with_name("nothing.raucb")
    nothing.touch()
    done = subprocess.run(["rauc", "-c", str(system_conf), "info", str(nothing)], capture_output=True, text=True, check=False)
    return "\n".join(line for line in done.stderr.splitlines() if "Failed to load system config" in line)


def known(configuration: str) -> str:
    """Return a configuration without what the rauc that is asked is too old for."""
    old = version(HostTools()) < (1, 13)
    return "\n".join(line for line in configuration.splitlines() if not (old and line.startswith(NEWER)))


def rauc_conf(layer: Bench, **settings: str) -> BuiltPackage:
    return layer.package("rauc-conf", **settings)


def text(layer: Bench, **settings: str) -> str:
    return (rauc_conf(layer, **settings).files / "etc/rauc/system.conf").read_text()


def test_the_configuration_lies_in_etc_rauc_and_brings_no_trust_anchors(layer: Bench) -> None:
    package = rauc_conf(layer)
    assert contents(package) == {"/etc/rauc/system.conf": 0o644}
    assert package.provides == ("virtual-rauc-conf",)


VARIANTS: dict[str, dict[str, str]] = {
    "uki": {},
    "fit": {"EVEREST_BOOT_CHAIN": "fit"},
    "crypt": {"EVEREST_CRYPT_BUNDLE": "1"},
    "mcu": {"EVEREST_MCU_UPDATE_HANDLER": "/usr/bin/flash-mcu"},
    "handlers": {"EVEREST_SYSTEM_INFO_HANDLER": "/usr/bin/true", "EVEREST_POST_INSTALL_HANDLER": "/usr/bin/true"},
    "revocation": {"EVEREST_CHECK_CRL": "1"},
}


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_rauc_knows_every_key_of_the_configuration(layer: Bench, tmp_path: Path, variant: dict[str, str]) -> None:
    require("rauc")
    system_conf = tmp_path / "system.conf"
    system_conf.write_text(known(text(layer, **variant)))
    assert configuration_error(system_conf) == ""
    system_conf.write_text(system_conf.read_text().replace("[keyring]", "[keyring]\nno-such-key=1"))
    assert "no-such-key" in configuration_error(system_conf)


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_rauc_s_service_starts_with_the_configuration_and_logs_beside_its_status(
    layer: Bench, tmp_path: Path, variant: dict[str, str]
) -> None:
    """LOG-03. Its directory is one of the test's own."""
    (tmp_path / "data").mkdir()
    (tmp_path / "keyring.pem").write_text(KEYRING)
    written = known(text(layer, EVEREST_COMPATIBLE="charger-x", **variant)).replace("/var/lib/rauc", f"{tmp_path}/data")
    (tmp_path / "system.conf").write_text(written)
    service = RaucService(tmp_path)
    with service.running():
        status = service.asked("status", "--output-format=shell").stdout
    assert "RAUC_SYSTEM_COMPATIBLE='charger-x'" in status
    assert "RAUC_SYSTEM_BOOTED_BOOTNAME='A'" in status
    if "[log." in written:
        assert ": Booted into rootfs.0 (A)\n" in (tmp_path / "data/updates.log").read_text()


def test_the_device_accepts_bundles_signed_for_code_whose_every_block_is_signed(layer: Bench) -> None:
    config = parse_rauc_config(text(layer, EVEREST_COMPATIBLE="charger-x"), "system.conf")
    assert (config.compatible, config.check_purpose) == ("charger-x", "codesign")
    assert config.bundle_formats == {"verity"}
    assert config.statusfile == "/var/lib/rauc/central.raucs"


@pytest.mark.parametrize(
    ("chain", "bootloader", "classes"), [("uki", "efi", ("efi", "rootfs")), ("fit", "uboot", ("fit", "rootfs"))], ids=["uki", "fit"]
)
def test_slots_come_in_pairs_for_each_boot_chain(layer: Bench, chain: str, bootloader: str, classes: tuple[str, ...]) -> None:
    written = text(layer, EVEREST_BOOT_CHAIN=chain)
    slots = parse_rauc_config(written, "system.conf").slots
    assert f"\nbootloader={bootloader}\n" in written
    assert sorted(slot.slot_class for slot in slots) == sorted(classes * 2)
    assert {slot.bootname: slot.device for slot in slots if slot.bootname} == {
        "A": "/dev/disk/by-partlabel/rootfs-a",
        "B": "/dev/disk/by-partlabel/rootfs-b",
    }
    assert all(slot.device.endswith("-b") == (slot.parent or slot.name).endswith("1") for slot in slots)


def test_nothing_older_than_the_image_comes_back_unless_the_product_says_so(layer: Bench) -> None:
    assert "\nmin-bundle-version=2.3.4\n" in text(layer, EVEREST_IMAGE_VERSION="2.3.4")
    assert "\nmin-bundle-version=2.0.0\n" in text(layer, EVEREST_IMAGE_VERSION="2.3.4", EVEREST_MIN_BUNDLE_VERSION="2.0.0")
    assert "pre-install=/usr/libexec/everest-secure/everest-update-guard\n" in text(layer)
    assert "prevent-late-fallback" not in text(layer)
    assert "\nprevent-late-fallback=true\n" in text(layer, EVEREST_LATE_FALLBACK_PREVENTED="1")


def test_encrypted_bundles_and_the_safety_mcu_are_there_when_asked_for(layer: Bench) -> None:
    assert "\nbundle-formats=verity crypt\n" in text(layer, EVEREST_CRYPT_BUNDLE="1")
    assert "[encryption]" in text(layer, EVEREST_CRYPT_BUNDLE="1")
    assert "[encryption]" not in text(layer)
    assert "[slot.mcu.0]" not in text(layer)
    package = rauc_conf(layer, EVEREST_MCU_UPDATE_HANDLER="/usr/bin/flash-mcu")
    assert "[slot.mcu.0]" in (package.files / "etc/rauc/system.conf").read_text()
    assert "everest-mcu-update" in package.depends


def test_what_switches_slots_comes_with_the_configuration(layer: Bench) -> None:
    assert {"everest-boot-entries", "everest-health-gate", "everest-update-guard"} <= set(rauc_conf(layer).depends)
    assert "efibootmgr" in layer.package("everest-boot-entries").depends
    assert {"u-boot-fw-utils", "u-boot-default-env"} <= set(rauc_conf(layer, EVEREST_BOOT_CHAIN="fit").depends)


def test_only_root_and_the_service_user_may_call_rauc(layer: Bench) -> None:
    file = layer.package("everest-rauc-dbus-policy").files / "etc/dbus-1/system.d/everest-rauc.conf"
    policies = ET.fromstring(file.read_text()).findall("policy")
    allowed = {
        policy.get("user")
        for policy in policies
        for rule in policy.findall("allow")
        if rule.get("send_destination") == "de.pengutronix.rauc"
    }
    denied = [rule.attrib for policy in policies if policy.get("context") == "default" for rule in policy.findall("deny")]
    assert allowed == {"root", "everest"}
    assert {"send_destination": "de.pengutronix.rauc"} in denied
