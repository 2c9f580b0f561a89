"""What a kernel's command line takes away of its hardening: KERN-01."""

from everest_secure.checks.common import entries_of, place_of
from everest_secure.checks.core import STARTING, Notes, Starting, check
from everest_secure.parse.cmdline import CommandLine
from everest_secure.policy.parameters import Parameters

_SWITCHES = frozenset(
    [
        "nokaslr", "nopti", "nosmep", "nosmap", "norandmaps", "nospectre_v1", "nospectre_v2", "nospectre_bhb", "nospec_store_bypass_disable",
        "kgdboc", "kgdbwait", "kgdbcon", "ekgdboc", "sysrq_always_enabled", "no_hash_pointers", "nordrand", "noexec", "nox2apic",
        "arm64.nopauth", "arm64.nobti", "arm64.nomte", "unsafe_fsgsbase", "slub_debug", "slab_debug",
    ]
)  # fmt: skip
"""Parameters that weaken the kernel whatever their value (Documentation/admin-guide/kernel-parameters.txt)."""
_OFF = ("0", "off", "n", "no", "false", "none", "force-off")
_PROTECTIONS = frozenset(
    [
        "mitigations", "pti", "kpti", "spectre_v2", "spectre_v2_user", "spec_store_bypass_disable", "l1tf", "mds", "tsx_async_abort", "srbds",
        "mmio_stale_data", "retbleed", "spec_rstack_overflow", "gather_data_sampling", "reg_file_data_sampling", "ssbd", "init_on_alloc",
        "init_on_free", "rodata", "randomize_kstack_offset", "hardened_usercopy", "iommu", "intel_iommu", "amd_iommu", "arm_smmu.disable_bypass",
        "iommu.strict", "module.sig_enforce", "ibt", "page_alloc.shuffle", "ima_appraise", "yama.ptrace_scope", "spectre_bhi",
        "indirect_target_selection", "tsa", "vmscape", "cfi",
    ]
)  # fmt: skip
"""Parameters that are a protection, and weaken the kernel with a value that switches it off."""
_VALUES = {
    "iommu": ("pt", "soft", "noforce"),
    "iommu.passthrough": ("1", "y", "on"),
    "debugfs": ("on",),
    "vsyscall": ("emulate", "native"),
    "proc_mem.force_override": ("always",),
    "iomem": ("relaxed",),
    "hash_pointers": ("never",),
    "clearcpuid": ("smap", "smep", "umip", "ibt", "pku"),
}
"""Other values that do, by parameter."""


@check("KERN-01", on=STARTING)
def no_command_line_takes_hardening_away(starting: Starting, policy: Parameters, note: Notes) -> None:
    """No boot entry switches off a protection that the kernel was configured with."""
    for entry in entries_of(starting):
        place = place_of(entry)
        for said in weakening(entry.command_line):
            note.finding(f"the command line weakens the kernel: {said}", at=place, remedy="Take the parameter out of the command line.")
        note.saw(f"{place}: {len(entry.command_line.parameters)} parameters")


def weakening(line: CommandLine) -> list[str]:
    """Return the parameters that weaken a kernel, as they stand there."""
    found = []
    for name, value in line.parameters:
        key, values = name.replace("-", "_"), [word for word in (value or "").lower().split(",") if word]
        off = key in _PROTECTIONS and any(word in _OFF for word in values)
        other = any(word in _VALUES.get(key, ()) for word in values)
        drops = key == "lsm" and "lockdown" not in values
        if key in _SWITCHES or off or other or drops:
            found.append(name if value is None else f"{name}={value}")
    return found
