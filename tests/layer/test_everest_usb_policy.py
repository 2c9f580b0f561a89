"""USB devices that nobody listed (NET-08)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.layer import Bench, contents

pytestmark = pytest.mark.layer

RULES = "usr/lib/udev/rules.d/60-everest-usb.rules"
MODULES = "usr/lib/modprobe.d/everest-usb.conf"


def test_no_device_is_accepted_unless_it_is_listed(layer: Bench) -> None:
    package = layer.package("everest-usb-policy")
    assert contents(package) == {f"/{RULES}": 0o644, f"/{MODULES}": 0o644}
    assert "authorized}" not in (package.files / RULES).read_text()


def test_a_listed_device_is_authorised_by_vendor_and_product(layer: Bench) -> None:
    rules = (layer.package("everest-usb-policy", EVEREST_USB_ALLOWED="0403:6001 1d6b:0002").files / RULES).read_text().splitlines()
    assert [line for line in rules if "authorized}" in line] == [
        'ATTR{idVendor}=="0403", ATTR{idProduct}=="6001", ATTR{authorized}="1"',
        'ATTR{idVendor}=="1d6b", ATTR{idProduct}=="0002", ATTR{authorized}="1"',
    ]


@pytest.mark.parametrize("device", ["0403", "0403:*", "FTDI:6001", '0403:6001",RUN+="x'])
def test_what_is_no_device_stops_the_build(layer: Bench, device: str) -> None:
    with pytest.raises(UserError, match="which is no USB device; write vendor:product"):
        layer.package("everest-usb-policy", EVEREST_USB_ALLOWED=device)


@pytest.mark.skipif(shutil.which("modprobe") is None and not Path("/usr/sbin/modprobe").exists(), reason="modprobe is missing")
@pytest.mark.parametrize("module", ["usb-storage", "uas", "usbhid", "libcomposite"])
def test_modprobe_runs_false_instead_of_loading_a_driver_for_storage_keyboards_or_gadgets(layer: Bench, module: str) -> None:
    directory = (layer.package("everest-usb-policy").files / MODULES).parent
    program = shutil.which("modprobe") or "/usr/sbin/modprobe"
    said = subprocess.run([program, "--config", str(directory), "--showconfig"], capture_output=True, text=True, check=True).stdout
    assert f"install {module.replace('-', '_')} /bin/false" in said.splitlines()
