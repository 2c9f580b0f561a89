"""How the kernel is configured: KERN-01, KERN-02."""

from everest_secure.checks.common import at, findings_up_to, words
from everest_secure.checks.core import STARTING, Location, NotApplicable, Notes, Root, Scope, Starting, check
from everest_secure.checks.kern_opinion import second_opinion
from everest_secure.checks.subjects import roots_that_start
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import printable
from everest_secure.image.uki import Uki
from everest_secure.parse.kconfig import KernelConfig
from everest_secure.parse.kernel_configs import kernel_configs, module_directories
from everest_secure.parse.kernel_modules import module_signatures
from everest_secure.policy.kernel_rules import KernelRule, broken_rules, kernel_rules
from everest_secure.policy.parameters import Parameters

_REMEDY = (
    "Build with the layer's kernel fragments (everest-secure-kernel.inc), or name the option under 'kernel_exceptions' with the reason."
)


@check("KERN-01", on=Scope.ROOT)
def the_kernel_is_hardened(root: Root, policy: Parameters, note: Notes) -> None:
    """The configuration satisfies every rule of KERN-01, but those that the policy excepts."""
    for config in kernels(root):
        hold_to_rules(config, "KERN-01", policy, note)
        opinion = second_opinion(config)
        if opinion:
            note.saw(opinion)


@check("KERN-02", on=Scope.ROOT)
def the_kernel_has_what_the_rest_needs(root: Root, policy: Parameters, note: Notes) -> None:
    """The configuration satisfies every rule of KERN-02, but those that the policy excepts."""
    for config in kernels(root):
        hold_to_rules(config, "KERN-02", policy, note)


@check("KERN-02", on=STARTING)
def the_kernel_that_boots_finds_its_modules_in_the_root(starting: Starting, policy: Parameters, note: Notes) -> None:
    """A UKI's kernel has the version of modules of the root: no others load, and the configuration beside them is the one that was judged."""
    there = {directory.name for root in roots_that_start(starting) for directory in module_directories(root.tree)}
    kernels = [(artefact.name, artefact.facts.uname) for artefact in starting.container.walk() if isinstance(artefact.facts, Uki)]
    if not kernels:
        raise NotApplicable(f"{starting.container.name} has no UKI, which would say the version of its kernel")
    for name, version in kernels:
        if version and there and version not in there:
            what = f"the kernel that boots is {printable(version)}, and the root has modules and configuration of {printable(words(there))} alone"
            note.finding(what, at=Location(name), remedy="Build UKI and root file system together, of one kernel.")
        else:
            note.saw(f"{name}: kernel {printable(version) or 'of a version that is not said'}; modules of {printable(words(there))}")


@check("KERN-01", on=Scope.ROOT)
def kernel_modules_are_signed(root: Root, policy: Parameters, note: Notes) -> None:
    """Every module carries a signature, without which the hardened kernel does not load it."""
    if "MODULE_SIG" in policy.kernel_exceptions:
        raise NotApplicable(f"the policy does without signed modules: {policy.kernel_exceptions['MODULE_SIG']}")
    found = module_signatures(root.tree, module_directories(root.tree))
    findings_up_to(
        note,
        [(f"the kernel module {printable(node.path)} is not signed", at(root, node.path)) for node in found.unsigned],
        remedy="Build it with the kernel's own key (CONFIG_MODULE_SIG_ALL; module.bbclass signs modules from outside), and do not strip it afterwards.",
    )
    note.saw(f"{found.looked_at} of {found.modules} kernel modules looked at; of compressed ones only some are unpacked")


def kernels(root: Root) -> tuple[KernelConfig, ...]:
    """Return the configuration of every kernel; raises ArtefactError when there is none, as nothing could be said."""
    found = kernel_configs(root.artefact, root.tree, root.container)
    if not found:
        raise ArtefactError(
            f"{root.artefact.name} says nowhere how its kernel is configured; ship the configuration as /usr/lib/modules/VERSION/config, "
            "or build the kernel with CONFIG_IKCONFIG and give the whole disk"
        )
    return found


def hold_to_rules(config: KernelConfig, requirement: str, policy: Parameters, note: Notes) -> None:
    """Note each rule of a requirement that does not hold, and what was excepted."""
    place = place_of(config)
    for rule in broken_rules(config, requirement, policy.kernel_exceptions):
        note.finding(said_of(rule, config), at=place, remedy=_REMEDY)
    rules = [rule for rule in kernel_rules() if rule.requirement == requirement and rule.applies(config)]
    note.saw(f"{place}: {len(rules)} rules for {config.architecture or 'an architecture without rules of its own'}")
    for rule in rules:
        if rule.option in policy.kernel_exceptions:
            state = "does not hold" if not rule.holds(config) else "holds without it"
            note.saw(f"the rule for {rule.option} is excepted and {state}: {policy.kernel_exceptions[rule.option]}")


def said_of(rule: KernelRule, config: KernelConfig) -> str:
    """Return the sentence part of a finding: what is, what is wanted, and why."""
    return f"CONFIG_{rule.option} is {config.value(rule.option)}; wanted is {rule.wanted()}. {rule.why}"


def place_of(config: KernelConfig) -> Location:
    """Return the place of a configuration."""
    return Location(config.artefact, printable(config.path))
