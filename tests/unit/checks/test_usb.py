from dataclasses import replace

import pytest

from everest_secure.parse.kernel_modules import MAGIC
from everest_secure.parse.udev_rules import authorisations
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import KERNEL_CONFIG, MODULES, USB_RULES, RootFs, failing, good_root, outcomes, production

MODULE = b"\x7fELF" + bytes(100) + MAGIC
MODPROBE = "/usr/lib/modprobe.d/everest-usb.conf"


def rule(name: str, text: str) -> Mutation:
    return Mutation(name, "NET-08", lambda fs: fs.replace(USB_RULES, "^# no device is accepted$", text))


def driver(fs: RootFs, name: str) -> RootFs:
    return fs.file(f"{MODULES}/kernel/drivers/usb/{name}", MODULE)


MUTATIONS = [
    Mutation(
        "storage is built in", "NET-08", lambda fs: fs.replace(KERNEL_CONFIG, "^# CONFIG_USB_STORAGE is not set$", "CONFIG_USB_STORAGE=y")
    ),
    Mutation("keyboards are built in", "NET-08", lambda fs: fs.replace(KERNEL_CONFIG, "^# CONFIG_USB_HID is not set$", "CONFIG_USB_HID=y")),
    Mutation(
        "the charger can be a gadget",
        "NET-08",
        lambda fs: fs.replace(KERNEL_CONFIG, "^# CONFIG_USB_GADGET is not set$", "CONFIG_USB_GADGET=y"),
    ),
    Mutation(
        "a driver for storage is a module that nothing refuses",
        "NET-08",
        lambda fs: driver(fs, "usb-storage.ko").replace(MODPROBE, "^install usb-storage .*$", ""),
    ),
    Mutation(
        "a driver is only blacklisted",
        "NET-08",
        lambda fs: driver(fs, "usb-storage.ko").replace(MODPROBE, "^install usb-storage .*$", "blacklist usb-storage"),
    ),
    Mutation(
        "the refusal of a driver is overridden",
        "NET-08",
        lambda fs: driver(fs, "uas.ko").file("/etc/modprobe.d/everest-usb.conf", "install uas /sbin/modprobe --ignore-install uas\n"),
    ),
    Mutation("a driver comes from outside the kernel", "NET-08", lambda fs: fs.file(f"{MODULES}/updates/usbip_core.ko", MODULE)),
    rule("udev authorises every device", 'ATTR{authorized}="1"'),
    rule("udev authorises by class", 'ATTR{bDeviceClass}=="08", ATTR{authorized}="1"'),
    rule("udev authorises a vendor", 'ATTR{idVendor}=="0403", ATTR{authorized}="1"'),
    rule("udev authorises all products of a vendor", 'ATTR{idVendor}=="0403", ATTR{idProduct}=="*", ATTR{authorized}="1"'),
    rule("udev changes the default of a bus", 'ATTR{authorized_default}="1"'),
    rule("udev runs a program that authorises", "RUN+=\"/bin/sh -c 'echo 1 > /sys$devpath/authorized'\""),
    rule("udev authorises a device that the policy does not know", 'ATTR{idVendor}=="0403", ATTR{idProduct}=="6001", ATTR{authorized}="1"'),
    rule("a rule goes on in the next line", 'ATTR{idVendor}=="0403", \\\n ATTR{authorized}="1"'),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("name", ["usb-storage.ko", "usb_storage.ko", "uas.ko", "usbhid.ko", "libcomposite.ko", "thunderbolt.ko"])
def test_a_driver_that_modprobe_refuses_is_as_good_as_none(name: str) -> None:
    option = {"usb": "USB_STORAGE", "uas": "USB_UAS", "usbhid": "USB_HID", "lib": "USB_GADGET", "thu": "USB4"}
    found = next(value for prefix, value in reversed(option.items()) if name.startswith(prefix))
    assert failing(driver(good_root(), name).replace(KERNEL_CONFIG, f"^# CONFIG_{found} is not set$", f"CONFIG_{found}=m")) == {}


def test_a_module_that_the_image_left_out_cannot_be_loaded() -> None:
    assert failing(good_root().replace(KERNEL_CONFIG, "^# CONFIG_USB_HID is not set$", "CONFIG_USB_HID=m").remove(MODPROBE)) == {}


def test_a_listed_device_may_be_authorised() -> None:
    text = 'ATTR{idVendor}=="0403", ATTR{idProduct}=="6001", ATTR{authorized}="1"'
    fs = good_root().replace(USB_RULES, "^# no device is accepted$", text)
    assert outcomes(fs, replace(production(), usb_devices=("0403:6001",)))["NET-08"] == ()


@pytest.mark.parametrize("text", ['ATTR{authorized}="0"', 'ATTR{authorized}=="1", TAG+="seen"', '# ATTR{authorized}="1"'])
def test_a_rule_that_authorises_nothing_is_none_of_our_business(text: str) -> None:
    assert failing(good_root().replace(USB_RULES, "^# no device is accepted$", text)) == {}


def test_a_driver_that_the_product_needs_is_excepted_with_a_reason() -> None:
    fs = driver(good_root(), "usbhid.ko").replace(MODPROBE, "^install usbhid .*$", "")
    fs.replace(KERNEL_CONFIG, "^# CONFIG_USB_HID is not set$", "CONFIG_USB_HID=m")
    assert outcomes(fs)["NET-08"] != ()
    assert outcomes(fs, replace(production(), kernel_exceptions={"USB_HID": "the payment terminal is one"}))["NET-08"] == ()


def test_a_finding_names_the_line_in_which_its_rule_begins() -> None:
    fs = good_root().replace(
        USB_RULES, "^# no device is accepted$", 'KERNEL=="a", \\\\\n TAG+="b"\nATTR{idVendor}=="1", \\\\\n ATTR{authorized}="1"'
    )
    (found,) = authorisations(fs.tree)
    lines = fs.nodes[USB_RULES][1].decode().split("\n")
    assert lines[found.line - 1].startswith("ATTR{idVendor}")
