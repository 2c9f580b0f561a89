"""The .network files of systemd-networkd and which of them an interface gets (systemd.network(5); src/network/networkd-network.c)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import conf_files, places, read_with_drop_ins
from everest_secure.parse.unit_file import Assignment, boolean, effective

DIRECTORIES = places("systemd/network")
_VIRTUAL = frozenset(["bridge", "tun", "veth"])
"""Drivers of interfaces that programs make (systemd's own files for its containers and machines)."""


@dataclass(frozen=True, slots=True)
class Network:
    """A .network file with its drop-ins; a .netdev file reads the same."""

    path: str
    assignments: tuple[Assignment, ...]

    def assigned(self, section: str, key: str) -> tuple[Assignment, ...]:
        """Return the assignments of a key that count, in order: an empty one resets those before it."""
        return effective(each for each in self.assignments if each.section == section and each.key == key)

    def last(self, section: str, key: str) -> Assignment | None:
        """Return the assignment that counts for a key with one value; None when the default does."""
        found = self.assigned(section, key)
        return found[-1] if found else None

    def any_of(self, *keys: tuple[str, str]) -> Iterator[Assignment]:
        """Yield every assignment of some keys, each a section and a name."""
        for section, key in keys:
            yield from self.assigned(section, key)

    @property
    def conditions(self) -> frozenset[str]:
        """Keys of `[Match]` that are set."""
        keys = {each.key for each in self.assignments if each.section == "Match"}
        return frozenset(key for key in keys if self.assigned("Match", key))

    def may_match(self, interface: str) -> bool:
        """Whether the file can be that of an interface: its name fits; other conditions are decided on the device."""
        patterns = [word for each in self.assigned("Match", "Name") for word in _patterns(each.value)]
        return bool(self.conditions) and _fits(interface, patterns)

    @property
    def virtual(self) -> bool:
        """Whether it is for virtual interfaces alone, which exist only where something makes them: containers', bridges, tunnels."""
        drivers = [word for each in self.assigned("Match", "Driver") for word in each.value.split()]
        return "Kind" in self.conditions or (bool(drivers) and _VIRTUAL.issuperset(drivers))

    def matches(self, interface: str) -> bool:
        """Whether the file is certainly that of an interface unless an earlier one is: the name is all that it asks for."""
        return self.conditions == {"Name"} and self.may_match(interface)


def _patterns(value: str) -> list[str]:
    """Words of `Name=`; an exclamation mark in front of the first turns them all (config_parse_match_ifnames)."""
    inverted = value.startswith("!")
    return [f"!{word}" if inverted else word for word in value.removeprefix("!").split()]


def _fits(name: str, patterns: list[str]) -> bool:
    """Whether a name is one of the patterns, or, if all are negative, none of them (net_condition_test_strv)."""
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(fnmatchcase(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return not positive or any(fnmatchcase(name, pattern) for pattern in positive)


def read_networks(tree: Tree) -> tuple[Network, ...]:
    """Read all .network files in the order in which the first match counts: by name, the first directory's file of each."""
    return _networks(tree, ".network")


def _networks(tree: Tree, suffix: str) -> tuple[Network, ...]:
    return tuple(Network(node.path, read_with_drop_ins(tree, node, DIRECTORIES)) for node in conf_files(tree, DIRECTORIES, suffix))


def made_interfaces(tree: Tree) -> frozenset[str]:
    """Return the names of the virtual interfaces that networkd makes: `Name=` of .netdev files (systemd.netdev(5))."""
    return frozenset(name.value for netdev in _networks(tree, ".netdev") if (name := netdev.last("NetDev", "Name")))


def networks_of(interface: str, networks: tuple[Network, ...]) -> tuple[Network, ...]:
    """Return every file that an interface may get: those that can match, up to the first that certainly does."""
    found: list[Network] = []
    for network in networks:
        if network.may_match(interface):
            found.append(network)
        if network.matches(interface):
            break
    return tuple(found)


def families(assignment: Assignment | None, default: str) -> frozenset[str]:
    """Return the families that a value of `DHCP=` or `LinkLocalAddressing=` switches on: `ipv4`, `ipv6`, both or none."""
    value = (assignment.value if assignment is not None else default).lower()
    if value in ("ipv4", "v4", "ipv4-fallback", "fallback"):
        return frozenset(["ipv4"])
    if value in ("ipv6", "v6"):
        return frozenset(["ipv6"])
    return frozenset(["ipv4", "ipv6"]) if boolean(value) or value == "both" else frozenset()
