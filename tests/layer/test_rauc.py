import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.reference.recipes.harness import BuiltPackage
from support.layer import KEYRING, Bench, contents

pytestmark = pytest.mark.layer


def configuration_error(system_conf: Path) -> str:
    """What the real rauc says of a configuration, when it says that it cannot be loaded."""
    nothing = system_conf.with_name("nothing.raucb")
    nothing.touch()
    done = subprocess.run(["rauc", "-c", str(system_conf), "info", str(nothing)], capture_output=True, text=True, check=False)
    return "\n".join(line for line in done.stderr.splitlines() if "system config" in line)


def rauc_conf(layer: Bench, **settings: str) -> BuiltPackage:
    return layer.package("rauc-conf", **settings)


def test_configuration_and_keyring_lie_in_etc_rauc(layer: Bench) -> None:
    package = rauc_conf(layer)
    assert contents(package) == {"/etc/rauc/keyring.pem": 0o644, "/etc/rauc/system.conf": 0o644}
    assert (package.files / "etc/rauc/keyring.pem").read_text() == KEYRING
    assert package.provides == ("virtual-rauc-conf",)


@pytest.mark.skipif(shutil.which("rauc") is None, reason="rauc is missing")
def test_rauc_knows_every_key_of_the_configuration(layer: Bench, tmp_path: Path) -> None:
    system_conf = rauc_conf(layer).files / "etc/rauc/system.conf"
    assert configuration_error(system_conf) == ""
    wrong = tmp_path / "system.conf"
    wrong.write_text(system_conf.read_text().replace("[keyring]", "[keyring]\nno-such-key=1"))
    assert "no-such-key" in configuration_error(wrong)


def test_the_device_accepts_verity_bundles_signed_for_code_alone(layer: Bench) -> None:
    text = (rauc_conf(layer, EVEREST_COMPATIBLE="charger-x").files / "etc/rauc/system.conf").read_text()
    for line in ("compatible=charger-x", "bundle-formats=verity", "check-purpose=codesign", "data-directory=/var/lib/rauc"):
        assert f"\n{line}\n" in text


def test_the_tool_that_sets_the_boot_order_comes_with_the_configuration(layer: Bench) -> None:
    package = rauc_conf(layer)
    assert "\nbootloader=efi\n" in (package.files / "etc/rauc/system.conf").read_text()
    assert "efibootmgr" in package.depends


def test_a_build_without_a_keyring_stops_with_one_sentence(layer: Bench) -> None:
    with pytest.raises(UserError, match="EVEREST_RAUC_KEYRING '' is no readable file") as caught:
        rauc_conf(layer, EVEREST_RAUC_KEYRING="")
    assert "\n" not in str(caught.value)


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
