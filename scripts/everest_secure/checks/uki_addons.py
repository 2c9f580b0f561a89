"""What addons of systemd-stub bring to a signed UKI: BOOT-03.

Of an addon the firmware asks, as of a UKI, whether a key that it knows has signed it, and with secure boot off not even that. Whoever can write the boot partition
may therefore put one there that was signed for another product or another release. So nothing that one brings is a matter of course.
"""

from collections.abc import Iterable

from everest_secure.checks.common import entries_of
from everest_secure.checks.contents import digest
from everest_secure.checks.core import Boot, Bundle, Location, Notes, Scope, check
from everest_secure.parse.uki_addons import COMMAND_LINE, Addon, addons
from everest_secure.policy.parameters import Parameters

_DOES = {
    COMMAND_LINE: "adds words to the command lines of UKIs",
    ".initrd": "adds an initial RAM disk, whose files take the place of those in that of a UKI",
    ".ucode": "gives the processor other microcode than the UKI",
    ".dtb": "gives the kernel another device tree than the UKI",
    ".dtbauto": "gives the kernel another device tree than the UKI",
}


@check("BOOT-03", on=Scope.BOOT)
def no_addon_changes_what_was_signed_to_boot(boot: Boot, policy: Parameters, note: Notes) -> None:
    """No addon of systemd-stub, signed or not, brings anything to UKIs but what the policy lists."""
    if not _judge(addons(boot.container), policy, note):
        note.saw(f"{boot.container.name}: {len(entries_of(boot))} boot entries, no addon of systemd-stub")


@check("BOOT-03", on=Scope.BUNDLE)
def no_addon_of_a_bundle_changes_what_was_signed_to_boot(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same of the addons that a bundle installs."""
    if not _judge(addons(bundle.artefact), policy, note):
        note.saw(f"{bundle.artefact.name}: {len(entries_of(bundle))} boot entries, no addon of systemd-stub")


def _judge(found: Iterable[Addon], policy: Parameters, note: Notes) -> bool:
    """Judge addons; returns whether there is any."""
    there = False
    for addon in found:
        there = True
        for section in addon.sections:
            known = digest(section.content)
            if known in policy.addon_sections:
                note.saw(f"{addon.name}: the policy lists its {section.name} (SHA-256 {known})")
                continue
            kept_out = "is signed" if addon.signed else "nobody signed, so that only secure boot keeps it out,"
            what = f"an addon of systemd-stub, which {kept_out} {_DOES[section.name]}: its {section.name} has the SHA-256 {known}"
            remedy = "Build it into the UKI and take the addon off the boot partition, or list this SHA-256 under 'addon_sections' if the product needs it."
            note.finding(what, at=Location(addon.name), remedy=remedy)
    return there
