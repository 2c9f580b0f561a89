"""Boot chain: BOOT-03."""

from collections.abc import Sequence

from everest_secure.checks.common import entries_of, place_of
from everest_secure.checks.core import Boot, Bundle, Notes, Scope, check
from everest_secure.checks.loader import saved_environments
from everest_secure.parse.boot_entries import BootEntry
from everest_secure.parse.cmdline import NO
from everest_secure.policy.parameters import Parameters

_LOCKDOWN = ("integrity", "confidentiality")
_FORBIDDEN = (
    "init", "rdinit", "systemd.debug_shell", "rd.systemd.debug_shell", "rd.break", "rd.shell", "systemd.run", "systemd.wants", "rd.systemd.wants",
    "systemd.mask", "rd.systemd.mask", "systemd.set_credential", "systemd.set_credential_binary", "systemd.break", "rd.systemd.break",
    "systemd.mount_extra", "rd.systemd.mount_extra", "systemd.swap_extra", "rd.systemd.swap_extra",
)  # fmt: skip
"""kernel-command-line(7), systemd-debug-generator(8), systemd-fstab-generator(8), systemd-run-generator(8), systemd.system-credentials(7)."""
_CONSOLE = ("systemd.crash_shell", "systemd.confirm_spawn")
"""Switches that let somebody at the console in: with a shell after a crash, or asked before each unit whether it starts (systemd(1))."""


@check("BOOT-03", on=Scope.BOOT)
def kernel_command_lines_are_fixed_and_locked_down(boot: Boot, policy: Parameters, note: Notes) -> None:
    """Each boot entry lies in a signed UKI or FIT, locks the kernel down, and opens no login or other init; U-Boot has no other command line."""
    _judge(entries_of(boot), note)
    for where, variables in saved_environments(boot.container):
        if variables.get("bootargs"):
            what = "U-Boot's saved environment has a command line of its own ('bootargs'), which goes before the signed one"
            note.finding(
                what, at=where, remedy="Ship an empty environment, and let U-Boot take no bootargs from it (CONFIG_ENV_WRITEABLE_LIST)."
            )


@check("BOOT-03", on=Scope.BUNDLE)
def kernel_command_lines_of_a_bundle_are_fixed_and_locked_down(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same of the entries that a bundle installs."""
    _judge(entries_of(bundle), note)


def _judge(entries: Sequence[BootEntry], note: Notes) -> None:
    for entry in entries:
        place, line = place_of(entry), entry.command_line
        if not entry.authenticated:
            what = "the command line lies in a file that no signature covers"
            note.finding(what, at=place, remedy="Put it into a UKI and sign it (EVEREST_SECURE_BOOT).")
        if line.kernel.last("lockdown") not in _LOCKDOWN:
            note.finding("the kernel is not locked down", at=place, remedy="Add 'lockdown=integrity' to the command line, before any '--'.")
        if any((view.last("systemd.import_credentials") or "").lower() not in NO for view in (line, line.initrd)):
            what = "systemd takes credentials from firmware and EFI partition, which no signature covers"
            note.finding(what, at=place, remedy="Add 'systemd.import_credentials=no' to the command line.")
        for name in (*_FORBIDDEN, *_CONSOLE):
            if line.has(name) and (name in _FORBIDDEN or line.asks_for(name)):
                note.finding(f"the command line holds '{name}'", at=place, remedy="Take the parameter out of the command line.")
        note.saw(f"{place}: {' '.join(name for name, _ in line.parameters)}")
