"""A root file system that satisfies the policy, in memory, from the layer's own files; tests break one thing in it."""

from support.rootfs.good import KERNEL_CONFIG, LOCAL, MODULES, UNITS, USB_RULES, WATCHDOG, good_root, keyring
from support.rootfs.judge import failing, outcomes, production
from support.rootfs.layer_files import EVEREST_CONFIG, KNOBS, everest_configuration, layer
from support.rootfs.options import hawkbit, mqtt_api
from support.rootfs.tree import MemoryTree, RootFs

__all__ = [
    "EVEREST_CONFIG",
    "KERNEL_CONFIG",
    "KNOBS",
    "LOCAL",
    "MODULES",
    "UNITS",
    "USB_RULES",
    "WATCHDOG",
    "MemoryTree",
    "RootFs",
    "everest_configuration",
    "failing",
    "good_root",
    "hawkbit",
    "keyring",
    "layer",
    "mqtt_api",
    "outcomes",
    "production",
]
