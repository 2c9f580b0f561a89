"""What a device plugged into the charger can do: NET-08."""

import re

from everest_secure.checks.common import at, entries_of, place_of
from everest_secure.checks.core import STARTING, NotApplicable, Notes, Root, Scope, Starting, check
from everest_secure.checks.deeds import deeds
from everest_secure.checks.kern import kernels, said_of
from everest_secure.checks.kern import place_of as place_of_config
from everest_secure.checks.steady import search_path_on_the_root
from everest_secure.checks.subjects import roots_that_start
from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import places
from everest_secure.parse.kconfig import KernelConfig
from everest_secure.parse.kernel_configs import kernel_configs, module_directories
from everest_secure.parse.kernel_modules import SUFFIXES
from everest_secure.parse.modprobe import module_name, module_options, refused_modules
from everest_secure.parse.tmpfiles import read_writes
from everest_secure.parse.udev_rules import DIRECTORIES as UDEV_RULES
from everest_secure.parse.udev_rules import authorisations
from everest_secure.policy.kernel_rules import KernelRule, kernel_rules
from everest_secure.policy.parameters import Parameters

_REMEDY = "Build the kernel with the layer's USB fragment (usb-lock.cfg), or refuse the module with 'install NAME /bin/false' (everest-usb-policy)."
_AUTHORISED = re.compile(r"/authorized(?:_default)?$")
_AUTHORISES = re.compile(r"(?:>|\btee\b(?:\s+-a)?)\s*\S*/authorized(?:_default)?\b")
"""What lets a device in, in a command line or a script."""
_PARAMETER = "usbcore.authorized_default"
_REFUSING = ("0", "2")
"""Values with which the kernel lets no device in that is plugged in from outside (drivers/usb/core/hcd.c)."""


@check("NET-08", on=Scope.ROOT)
def there_are_no_drivers_for_storage_keyboards_or_gadgets(root: Root, policy: Parameters, note: Notes) -> None:
    """The kernel is built without them, or has them as modules that are not in the image or that modprobe refuses."""
    search_path_on_the_root(root, places("modprobe.d"), note, ".conf")
    present, refused = _modules(root.tree), refused_modules(root.tree)
    rules = [rule for rule in kernel_rules() if rule.requirement == "NET-08" and rule.option not in policy.kernel_exceptions]
    for config in kernels(root):
        for rule in rules:
            _judge(rule, config, note)
        note.saw(f"{place_of_config(config)}: {len(rules)} rules for drivers of USB devices")
    for name in (module_name(name) for rule in rules for name in rule.modules):
        if name in present and name not in refused:
            note.finding(f"the driver {name} can be loaded", at=at(root, present[name]), remedy=_REMEDY)
        elif name in present:
            note.saw(f"modprobe refuses {name}")


def _judge(rule: KernelRule, config: KernelConfig, note: Notes) -> None:
    """A driver that is built in is there whatever modprobe thinks; one that is a module is looked for among the modules."""
    if rule.applies(config) and config.value(rule.option) != "m" and not rule.holds(config):
        note.finding(said_of(rule, config), at=place_of_config(config), remedy=_REMEDY)


def _modules(tree: Tree) -> dict[str, str]:
    """Return the path of every module by its name."""
    nodes = (node for directory in module_directories(tree) for node in tree.under(directory.path))
    return {module_name(node.name.partition(".ko")[0]): node.path for node in nodes if node.name.endswith(SUFFIXES)}


@check("NET-08", on=Scope.ROOT)
def udev_lets_in_only_devices_that_the_policy_lists(root: Root, policy: Parameters, note: Notes) -> None:
    """Rules authorise devices one by one, by vendor and product, and only those of `usb_devices`."""
    search_path_on_the_root(root, UDEV_RULES, note, ".rules")
    for write in read_writes(root.tree):
        if write.path.startswith("/sys/") and _AUTHORISED.search(write.path) and write.value != "0":
            what = f"systemd-tmpfiles writes {write.value} to {write.path}, which lets devices in"
            note.finding(what, at=at(root, write.source, write.line), remedy="Take the line out.")
    for who, path in deeds(root, _AUTHORISES):
        if not who.startswith("udev "):  # rules are judged one by one
            note.finding(f"{who} lets USB devices in by a command", at=at(root, path), remedy="Take the command out of the unit.")
    for option in module_options(root.tree):
        if (option.module, option.name) == ("usbcore", "authorized_default") and option.value not in _REFUSING:
            what = f"usbcore is loaded with authorized_default={option.value}"
            note.finding(what, at=at(root, option.path, option.line), remedy="Take the line out.")
    found = list(authorisations(root.tree))
    for each in found:
        place = at(root, each.path, each.line)
        if not each.device:
            what = "the rule authorises USB devices without naming vendor and product of one"
            note.finding(what, at=place, remedy="Match ATTR{idVendor} and ATTR{idProduct} (EVEREST_USB_ALLOWED).")
        elif each.device not in policy.usb_devices:
            what = f"the rule authorises the USB device {each.device}, which the policy does not list"
            note.finding(what, at=place, remedy="Take it out of EVEREST_USB_ALLOWED, or list it under 'usb_devices'.")
    note.saw(f"{len(found)} udev rules authorise USB devices")


@check("NET-08", on=STARTING)
def the_kernel_authorises_no_usb_device_by_itself(starting: Starting, policy: Parameters, note: Notes) -> None:
    """Every command line has `usbcore.authorized_default=0`."""
    entries = entries_of(starting)
    configs = [config for root in roots_that_start(starting) for config in kernel_configs(root.artefact, root.tree, root.container)]
    if configs and all(config.value("USB") == "n" for config in configs):
        raise NotApplicable("the kernel has no USB")
    for entry in entries:
        value = entry.command_line.kernel.last(_PARAMETER)
        if value in _REFUSING:
            note.saw(f"{place_of(entry)}: {_PARAMETER}={value}")
        else:
            what = "the kernel lets in every USB device that is plugged in"
            note.finding(what, at=place_of(entry), remedy=f"Add '{_PARAMETER}=0' to the command line, before any '--'.")
