"""What a crash of the kernel leaves does not fill the firmware's variables: BOOT-05.

Linux writes the log of a crash into them (efi_pstore), some 25 KB each, of 256 KB that OVMF has. Once they are full, no update can change the boot
order.
"""

from everest_secure.checks.activation import never
from everest_secure.checks.common import at
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.kern import kernels, place_of
from everest_secure.parse.cmdline import NO
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.kconfig import KernelConfig
from everest_secure.parse.kernel_configs import module_directories
from everest_secure.parse.kernel_modules import module_of
from everest_secure.parse.modprobe import blacklisted_modules, refused_modules
from everest_secure.policy.parameters import Parameters

_TAKER = "systemd-pstore.service"
_MODULE = "efi_pstore"


@check("BOOT-05", on=Scope.ROOT)
def logs_of_crashes_are_taken_out_of_the_firmware(root: Root, policy: Parameters, note: Notes) -> None:
    """Where a kernel writes them to UEFI variables, systemd-pstore takes them out at the next start, and nothing tells it to leave them."""
    writing = [config for config in kernels(root) if _writes(root, config)]
    if not writing:
        raise NotApplicable("no kernel writes the log of a crash into the firmware's variables")
    place = place_of(writing[0])
    for why in never(root, _TAKER):
        note.finding(
            f"the log of each crash stays in the firmware's variables until they are full and no update can be started: {why}",
            at=place,
            remedy=f"Enable {_TAKER} by a preset (everest-unit-policy), or build the kernel without CONFIG_EFI_VARS_PSTORE.",
        )
    set_to = {each.key: each for each in read_daemon_conf(root.tree, "pstore.conf") if each.section == "PStore"}
    for key, leaves in (("Storage", ("none",)), ("Unlink", NO)):
        found = set_to.get(key)
        if found and found.value.lower() in leaves:
            what = f"systemd-pstore leaves the logs of crashes in the firmware's variables: {key}={found.value}"
            note.finding(what, at=at(root, found.path, found.line), remedy="Take the line out.")
    note.saw(f"{place}: CONFIG_EFI_VARS_PSTORE={writing[0].value('EFI_VARS_PSTORE')}, {_TAKER}")


def _writes(root: Root, config: KernelConfig) -> bool:
    """Whether a kernel does so: by what is built in or by a module of the root that udev may load, unless it waits to be told."""
    if config.value("EFI_VARS_PSTORE_DEFAULT_DISABLE") == "y":
        return False
    built = config.value("EFI_VARS_PSTORE")
    return built == "y" or (built == "m" and _loaded(root))


def _loaded(root: Root) -> bool:
    if _MODULE in blacklisted_modules(root.tree) | refused_modules(root.tree):
        return False
    return any(module_of(node) == _MODULE for each in module_directories(root.tree) for node in root.tree.under(each.path) if node.is_file)
