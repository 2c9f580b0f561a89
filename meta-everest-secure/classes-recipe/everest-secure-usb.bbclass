# Decides which USB devices a charger accepts.
#
# Purpose: the kernel authorises no device by itself (usbcore.authorized_default=0 on the signed command line); udev does so for those of
# EVEREST_USB_ALLOWED, by vendor and product (NET-08). For everest-usb-policy alone.
#
# Usage: inherit everest-secure-usb; name @EVEREST_USB_RULES@ in the rules. A hub on the way to a device is a device too.

inherit everest-secure-template

EVEREST_TEMPLATES = "60-everest-usb.rules"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_USB_RULES"

EVEREST_USB_RULES = "${@everest_secure_usb_rules(d)}"
EVEREST_USB_RULES[doc] = "One udev rule for each device of EVEREST_USB_ALLOWED."

def everest_secure_usb_rules(d):
    import re

    rule = 'ATTR{idVendor}=="%s", ATTR{idProduct}=="%s", ATTR{authorized}="1"'
    rules = []
    for device in d.getVar("EVEREST_USB_ALLOWED").split():
        if not re.fullmatch("[0-9a-f]{4}:[0-9a-f]{4}", device):
            bb.fatal("EVEREST_USB_ALLOWED has '%s', which is no USB device; write vendor:product as lsusb does, for example 0403:6001" % device)
        rules.append(rule % tuple(device.split(":")))
    return "\n".join(rules) or "# no device is accepted"
