"""Interfaces kept apart: NET-05."""

import ipaddress
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from everest_secure.checks.activation import idle
from everest_secure.checks.common import at, started
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.deeds import deeds
from everest_secure.checks.steady import lies_on_the_root, search_path_on_the_root
from everest_secure.parse.commands import program
from everest_secure.parse.conf_files import places, read_daemon_conf
from everest_secure.parse.kernel_settings import PROC, written
from everest_secure.parse.networkd import Network, families, made_interfaces, networks_of, read_networks
from everest_secure.parse.sysctl import normalised, read_sysctl
from everest_secure.parse.unit_file import Assignment, boolean
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

SYSCTL, NETWORKD = "systemd-sysctl.service", "systemd-networkd.service"
ANY = "INTERFACE"
"""Stands in the policy's keys for `all`, `default` and the name of each interface."""
_FORWARDING = ("IPForward", "IPForwarding", "IPv4Forwarding", "IPv6Forwarding", "IPMasquerade", "IPv4ProxyARP", "IPv6ProxyNDP")
"""Keys of `[Network]` by which networkd itself sets forwarding, after systemd-sysctl, or answers for hosts behind another interface."""
_SETS = re.compile(r"(?:>|\btee\b(?:\s+-a)?)\s*[\"']?/proc/sys/net/|(?<![\w-])sysctl\b[^\n;|&]*(?:=|\s-p|--system|--load)")
"""What sets a kernel setting in a command line or a script."""
_JOINED = ("Bridge", "Bond", "VRF", "BatmanAdvanced", "IPoIB", "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "Xfrm", "Tunnel", "VXLAN")
_OFFERED = {
    "DHCPServer": "gives addresses or routes to others",
    "DHCPPrefixDelegation": "gives addresses or routes to others",
    "IPv6SendRA": "gives addresses or routes to others",
    "DefaultRouteOnDevice": "leads to other networks",
    "IPv4LLRoute": "leads to other networks",
}
"""Switches that make more of an interface than a wire; the last is the old name of the one before."""


@check("NET-05", on=Scope.ROOT)
def kernel_forwards_nothing_and_ignores_redirects(root: Root, policy: Parameters, note: Notes) -> None:
    """What systemd-sysctl sets, in its order and with its patterns, for every interface of the policy and for those to come."""
    start = started(root).get(SYSCTL)
    if start is None:
        what = f"{SYSCTL} does not start, so that nothing in sysctl.d is set"
        note.finding(what, at=at(root), remedy="Unmask it; sysinit.target wants it by itself.")
    for what in _idle(root, start.unit) if start else ():
        note.finding(f"{what}, so that nothing in sysctl.d is set", at=at(root), remedy="Remove what changes the unit of systemd.")
    if start and not any(program(command) == "systemd-sysctl" for command in start.unit.commands):
        what = f"{SYSCTL} runs something else than systemd-sysctl"
        note.finding(what, at=at(root, start.unit.path), remedy="Remove what changes the unit of systemd.")
    search_path_on_the_root(root, places("sysctl.d"), note, ".conf")
    settings = read_sysctl(root.tree)
    remedy = "Install everest-sysctl, and no file that is read after it and says otherwise."
    names = ("all", "default", *policy.inbound)
    for path in sorted({setting.path for setting in settings.assigned.values()}):
        lies_on_the_root(root, path, note)
    for key, accepted in policy.interface_settings.items():
        for each in dict.fromkeys(normalised(key).replace(ANY, name) for name in names):
            found = settings.get(each)
            if found is None:
                note.finding(f"{each} is left to the kernel instead of {' or '.join(accepted)}", at=at(root), remedy=remedy)
            elif found.value not in accepted:
                what = f"{each} is set to '{found.value}' instead of {' or '.join(accepted)}"
                note.finding(what, at=at(root, found.path, found.line), remedy=remedy)
    for write in written(root.tree):
        wanted = [accepted for key, accepted in policy.interface_settings.items() if _is_for(write.path, normalised(key))]
        if any(write.value not in accepted for accepted in wanted):
            what = f"{write.path} is set to '{write.value}', besides what systemd-sysctl sets"
            note.finding(what, at=at(root, write.source, write.line), remedy="Take the line out.")
    for who, path in deeds(root, _SETS):
        what = f"{who} sets kernel settings of the network by a command, which is not followed"
        note.finding(what, at=at(root, path), remedy="Put them into sysctl.d.")
    note.saw(f"{len(policy.interface_settings)} settings for {', '.join(names)}")


def _idle(root: Root, unit: Unit) -> Iterator[str]:
    """Yield why systemd-sysctl sets nothing: it does nothing, or is kept away from the settings, which it does not take for a failure (sysctl.c)."""
    yield from idle(root, unit)
    if unit.network_of_its_own:
        yield f"{SYSCTL} sees other interfaces than the charger's ({unit.network_of_its_own})"
    if boolean(unit.value("Service", "ProtectKernelTunables", "no")):
        yield f"{SYSCTL} may write no setting (ProtectKernelTunables=)"


def _is_for(pattern: str, key: str) -> bool:
    """Whether a path of /proc/sys, which may be a pattern, can be that of a key; `INTERFACE` in the key is any."""
    mine, parts = pattern.removeprefix(PROC).strip("/").split("/"), key.split("/")
    return len(mine) == len(parts) and all(part == ANY or fnmatchcase(part, each) for part, each in zip(parts, mine, strict=True))


@check("NET-05", on=Scope.ROOT)
def networkd_forwards_nothing(root: Root, policy: Parameters, note: Notes) -> None:
    """No .network file and no networkd.conf turns forwarding, masquerading or answering for others on.

    Files for interfaces of containers and virtual machines, which systemd brings along, count only where such an interface is made.
    """
    made = (*policy.inbound, *made_interfaces(root.tree))
    networks = [each for each in read_networks(root.tree) if not each.virtual or any(each.may_match(name) for name in made)]
    found = [each for network in networks for each in network.any_of(*(("Network", key) for key in _FORWARDING))]
    found += [each for each in read_daemon_conf(root.tree, "networkd.conf") if each.section == "Network" and each.key in _FORWARDING]
    for each in found:
        if each.value.lower() not in ("no", "false", "0", "off", "n", "f", ""):
            what = f"systemd-networkd sets {each.key}={each.value}"
            note.finding(what, at=at(root, each.path, each.line), remedy="Take the line out: a charger is no router.")
    for each in (each for network in networks for each in network.assigned("Network", "IPv4ReversePathFilter")):
        if each.value.lower() != "strict":
            what = f"systemd-networkd believes any source address: IPv4ReversePathFilter={each.value}"
            note.finding(what, at=at(root, each.path, each.line), remedy="Take the line out, or set it to strict.")
    note.saw(f"{len(networks)} .network files and networkd.conf")


@check("NET-05", on=Scope.ROOT)
def plc_side_has_link_local_addresses_only(root: Root, policy: Parameters, note: Notes) -> None:
    """Each file that systemd-networkd may give to an interface of the PLC side, drop-ins and defaults included."""
    if NETWORKD not in started(root):
        what = f"{NETWORKD} does not start, so that nobody knows who gives addresses to interfaces"
        note.finding(what, at=at(root), remedy="Enable it, and install everest-network.")
    search_path_on_the_root(root, places("systemd/network"), note, ".network")
    networks = read_networks(root.tree)
    for interface in policy.plc_interfaces:
        own = networks_of(interface, networks)
        if not own:
            what = f"no .network file is for '{interface}', whose addresses are left to others"
            note.finding(what, at=at(root), remedy="Install everest-network with EVEREST_PLC_INTERFACE set to its name.")
        for network in own:
            lies_on_the_root(root, network.path, note)
            for what, where in _beyond_link_local(network):
                place = at(root, where.path if where else network.path, where.line if where else 0)
                note.finding(f"'{interface}' {what}", at=place, remedy="Leave link-local addresses alone on the PLC side.")
            note.saw(f"{interface}: {network.path}")


def _beyond_link_local(network: Network) -> Iterator[tuple[str, Assignment | None]]:
    """Yield what a file gives an interface besides link-local addresses, and the line that says so; None for a default."""
    unmanaged = network.last("Link", "Unmanaged")
    if unmanaged is not None and boolean(unmanaged.value):
        yield "has the addresses that others give it (Unmanaged=)", unmanaged
    dhcp = network.last("Network", "DHCP")
    if families(dhcp, "no"):
        yield "asks for an address by DHCP", dhcp
    router = network.last("Network", "IPv6AcceptRA")
    if router is None and "ipv6" in families(network.last("Network", "LinkLocalAddressing"), "ipv6"):
        yield "takes addresses and routes from router advertisements, as IPv6AcceptRA= is not set", None
    elif router is not None and boolean(router.value):
        yield "takes addresses and routes from router advertisements", router
    for key, said in _OFFERED.items():
        offered = network.last("Network", key)
        if offered is not None and boolean(offered.value):
            yield f"{said} ({key}={offered.value})", offered
    for each in network.any_of(("Network", "Address"), ("Address", "Address")):
        if not _is_link_local(each.value):
            yield f"has the address {each.value}", each
    for each in network.any_of(("Network", "Gateway"), ("Route", "Gateway")):
        yield f"leads to other networks ({each.key}={each.value})", each  # whatever the gateway's own address
    for each in network.assigned("Route", "Destination"):
        if not _is_link_local(each.value):
            yield f"has a route ({each.key}={each.value})", each
    for each in network.any_of(*(("Network", key) for key in _JOINED)):
        yield f"is joined with another interface ({each.key}={each.value})", each


def _is_link_local(text: str) -> bool:
    """Whether an address or prefix, as systemd.network(5) writes it, lies in the link-local or multicast range."""
    try:
        found = ipaddress.ip_interface(text.partition("%")[0])
    except ValueError:
        return False
    return found.ip.is_link_local or found.ip.is_multicast
