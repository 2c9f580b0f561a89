"""The packet filter, and how it is loaded: NET-04."""

import re
from collections.abc import Iterator

from everest_secure.checks.common import at, executes, started, units_of, words
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.deeds import deeds
from everest_secure.checks.interfaces import NETWORKD
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.parse.nft import RuleSet, read_ruleset
from everest_secure.parse.nft_command import parse_nft
from everest_secure.parse.nft_inbound import OTHER, inbound
from everest_secure.parse.unit_file import effective
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

_ENDS = frozenset(["emergency.target", "rescue.target", "reboot.target", "poweroff.target", "halt.target"])
"""Where no network comes up, or goes down."""
_AFTERWARDS = frozenset(["network-pre.target", NETWORKD, "network.target", "network-online.target", "systemd-networkd-wait-online.service"])
"""What waits for network-pre.target, and that itself."""
_CHANGES_RULES = re.compile(
    r"(?<![\w.-])nft(?=[\s\"'])(?![^\n;|&]{0,400}\s[\"']?(?:-\w*c\w*|--check)\b)"
    r"[^\n;|&]{0,400}?[\s\"'](?:-\w*f|--file|add|insert|create|replace|delete|destroy|flush)\b"
)
"""What changes the rules in a script or a rule of udev; with `-c` nft only looks at them."""


@check("NET-04", on=Scope.ROOT)
def firewall_lets_in_only_what_the_policy_lists(root: Root, policy: Parameters, note: Notes) -> None:
    """The rules that are loaded at boot are followed for every interface, protocol and port."""
    rules, path = _rules(root, note)
    if rules is None:
        return
    found = inbound(rules, tuple(policy.inbound))
    for interface, open_ in found.items():
        if interface == "lo":
            continue
        wanted = set(policy.inbound.get(interface, ()))
        where = "any interface without rules of its own" if interface == OTHER else f"'{interface}'"
        if set(open_.allowed) - wanted:
            what = f"the firewall lets in {words(set(open_.allowed) - wanted)} on {where}"
            note.finding(what, at=at(root, path), remedy="Drop by default and accept only what the policy's 'inbound' lists.")
        if wanted - set(open_.allowed):
            what = f"the firewall does not let in {words(wanted - set(open_.allowed))} on {where}, which the policy lists"
            note.finding(what, at=at(root, path), remedy="Accept it, or take it out of the policy's 'inbound'.")
        note.saw(f"{path}: {interface}: {words(open_.allowed)}")


def _rules(root: Root, note: Notes) -> tuple[RuleSet | None, str]:
    remedy = "Enable one unit that loads the rules with 'nft -f FILE' before network-pre.target."
    runs = [
        (start, parse_nft(command)) for start in started(root).values() for command in start.unit.commands if executes(root, command, "nft")
    ]
    for start, run in runs:
        if run.changes:
            what = f"{start.unit.name} changes the rules by '{' '.join(run.changes)}', which is not followed"
            note.finding(what, at=at(root, start.unit.path), remedy="Put every rule into the one file that is loaded.")
    for who, path in deeds(root, _CHANGES_RULES, commands=False):
        note.finding(
            f"{who} changes the rules by a command, which is not followed",
            at=at(root, path),
            remedy="Put every rule into the one file that is loaded.",
        )
    loaders = [(start, path) for start, run in runs for path in run.loads]
    if len(loaders) != 1:
        what = "no unit that starts loads a firewall" if not loaders else f"{len(loaders)} units load firewall rules, in no certain order"
        note.finding(what, at=at(root, loaders[0][0].unit.path if loaders else ""), remedy=remedy)
        return None, ""
    start, path = loaders[0]
    for what, mend in (*_late(start.unit), *_open_at_failure(root, start.unit)):
        note.finding(f"{start.unit.name} {what}", at=at(root, start.unit.path), remedy=mend)
    lies_on_the_root(root, path, note)
    return read_ruleset(root.tree, path), path


def _late(unit: Unit) -> Iterator[tuple[str, str]]:
    """Yield why the rules may be missing when the network comes up; nothing else starts the passive network-pre.target (systemd.special(7))."""
    pulled = {name for key in ("Wants", "Requires", "BindsTo") for name in unit.words("Unit", key)}
    if "network-pre.target" not in unit.words("Unit", "Before") or "network-pre.target" not in pulled:
        what = "does not load the firewall before the network comes up"
        yield what, "Add Before=network-pre.target and Wants=network-pre.target."
    for name in sorted(_AFTERWARDS.intersection(unit.words("Unit", "After"))):
        yield f"comes after {name}, which comes after it: systemd drops one of the two", f"Take {name} out of After=."
    if unit.value("Service", "Type") != "oneshot":
        yield "does not wait until the rules are loaded", "Set Type=oneshot."
    if unit.network_of_its_own:
        yield f"loads the rules where no interface of the charger is ({unit.network_of_its_own})", f"Take {unit.network_of_its_own} out."
    for condition in effective(
        each for each in unit.assignments if each.section == "Unit" and each.key.startswith(("Condition", "Assert"))
    ):
        yield f"loads no firewall where {condition.key}={condition.value} does not hold", "Take the condition out of the unit."


def _open_at_failure(root: Root, unit: Unit) -> Iterator[tuple[str, str]]:
    """Yield why the network comes up although the rules could not be loaded."""
    if any(parse_nft(command).loads for command in unit.forgiven if executes(root, command, "nft")):
        yield "takes rules that could not be loaded for success", "Take the '-' from the command."
    ends = unit.value("Unit", "FailureAction", "none") != "none" or _ENDS.intersection(unit.words("Unit", "OnFailure"))
    if not ends and NETWORKD in started(root) and unit.name not in units_of(root.tree).required(NETWORKD):
        what = f"may fail, and {NETWORKD} brings the network up without a firewall"
        yield what, f"Add Requires={unit.name} and After={unit.name} to {NETWORKD} in a drop-in, as everest-firewall does."
