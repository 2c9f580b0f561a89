"""What a rule set lets in: packets of every interface and protocol are sent through the input chains, all ports of a protocol at once.

The answer errs on one side only: a rule whose match cannot be decided here (an address, a rate, a mark) is taken to match when it accepts and
not to match when it drops. Established connections and what belongs to them are not inbound and are left out.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from everest_secure.errors import ArtefactError
from everest_secure.parse.nft import Chain, RuleSet, Table
from everest_secure.parse.nft_rule import Match

OTHER = "*"
"""Stands for every interface that no rule names."""
STATES = ("new", "untracked", "invalid")
MAX_DEPTH = 16
"""Jumps that nftables follows (NFT_JUMP_STACK_SIZE)."""
MAX_WORK = 50_000
"""Comparisons that a packet may meet, times interfaces."""
SERVICES: Mapping[str, int] = {
    "ssh": 22, "domain": 53, "bootps": 67, "bootpc": 68, "http": 80, "ntp": 123, "https": 443, "dhcpv6-client": 546, "dhcpv6-server": 547,
    "mqtt": 1883, "mdns": 5353,
}  # fmt: skip
_PROTOCOL_NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "ipv6-icmp": "icmpv6"}
_PORTS = ("tcp", "udp")
PROTOCOLS = (*_PORTS, "icmp", "icmpv6", "other")


Ports = int
"""A set of destination ports: port N is the bit N. Packets of protocols without ports are the bit 0."""
ALL_PORTS: Ports = (1 << 65536) - 1
_NONE: tuple[Ports, Ports] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Packets:
    """Packets that differ in their destination port alone."""

    interface: str
    family: str
    """`ip` or `ip6`."""
    protocol: str
    state: str

    @property
    def ports(self) -> Ports:
        return ALL_PORTS if self.protocol in _PORTS else 1


@dataclass(frozen=True, slots=True)
class Inbound:
    """What may come in on one interface."""

    allowed: tuple[str, ...]
    """Sorted: `icmp`, `icmpv6`, `other`, `tcp/443`, `udp/1000-2000`."""


def inbound(rules: RuleSet, interfaces: tuple[str, ...]) -> Mapping[str, Inbound]:
    """Return what may come in on each of `interfaces`, on those that the rules name, and on `*`, which stands for any other.

    Without an input chain for a protocol family everything may come in. Raises ArtefactError for rules whose effect is not understood.
    """
    _refuse_address_translation(rules)
    names = [*sorted({*interfaces, *_named_interfaces(rules)} - {OTHER}), OTHER]
    if len(names) * _comparisons(rules) > MAX_WORK:
        raise ArtefactError("the rule set is larger than a firewall of a charger, and what it lets in was not computed; write fewer rules")
    ports = {id(match): _ports_of(match) for match in _matches(rules) if match.key.endswith("dport")}
    return {name: Inbound(tuple(sorted(_allowed(rules, name, ports)))) for name in names}


def _comparisons(rules: RuleSet) -> int:
    """Return how much there is to compare for one packet; sets of ports and what is not decided here cost as one value."""
    chains = [chain for table in rules.tables for chain in table.chains.values()]
    values = sum(len(match.values) for match in _matches(rules) if match.key in _COMPARED)
    return len(chains) + sum(1 + len(rule.matches) for chain in chains for rule in chain.rules) + values


def _refuse_address_translation(rules: RuleSet) -> None:
    for chain in (chain for table in rules.tables for chain in table.chains.values()):
        if chain.kind == "nat" and chain.hook in ("prerouting", "input") and chain.rules:
            raise ArtefactError(
                f"{chain.path}:{chain.line} translates incoming addresses, which is not followed; a charger needs no such chain"
            )


def _matches(rules: RuleSet) -> Iterator[Match]:
    for table in rules.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                yield from rule.matches


def _named_interfaces(rules: RuleSet) -> set[str]:
    return {value for match in _matches(rules) if match.key in ("meta iifname", "meta iif") for value in match.values if "*" not in value}


def _ports_of(match: Match) -> Ports:
    """Return the ports that a comparison is true for; of `*` among them nothing is known, see `_meets`."""
    found = 0
    for low, high in {_port_range(value) for value in match.values if value != "*"}:
        limits = {"<": (0, low - 1), "<=": (0, low), ">": (high + 1, 65535), ">=": (high, 65535)}
        first, last = limits.get(match.operator, (low, high))
        found |= (1 << last + 1) - (1 << first) if first <= last else 0
    return ALL_PORTS & ~found if match.operator == "!=" else found


def _port_range(value: str) -> tuple[int, int]:
    low, dash, high = value.partition("-") if value not in SERVICES else (value, "", "")
    return _port(low), _port(high if dash else low)


def _port(word: str) -> int:
    number = SERVICES.get(word, int(word) if re.fullmatch(r"[0-9]{1,5}", word) else -1)
    if not 0 <= number <= 65535:
        raise ArtefactError(f"the port '{word}' of the rule set is not known; write its number")
    return number


def _allowed(rules: RuleSet, interface: str, ports: Mapping[int, Ports]) -> Iterator[str]:
    for protocol in PROTOCOLS:
        families = {"icmp": ("ip",), "icmpv6": ("ip6",)}.get(protocol, ("ip", "ip6"))
        entering = 0
        for packets in (_Packets(interface, family, protocol, state) for family in families for state in STATES):
            entering |= _passing(rules, packets, ports)
        if protocol in _PORTS:
            yield from (_named(protocol, low, high) for low, high in _runs(entering))
        elif entering:
            yield protocol


def _runs(ports: Ports) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of ports."""
    at = 0
    while ports:
        low = (ports & -ports).bit_length() - 1
        ports >>= low
        length = (~ports & (ports + 1)).bit_length() - 1
        yield at + low, at + low + length - 1
        ports >>= length
        at += low + length


def _named(protocol: str, low: int, high: int) -> str:
    return f"{protocol}/{low}" if low == high else f"{protocol}/{low}-{high}"


def _passing(rules: RuleSet, packets: _Packets, ports: Mapping[int, Ports]) -> Ports:
    """Return those of the packets that every input chain which sees them may accept."""
    passing = packets.ports
    for table in rules.tables:
        if table.family in (packets.family, "inet"):
            walk = _Walk(table, packets, ports)
            for chain in table.chains.values():
                if chain.hook == "input":
                    passing &= walk.base(chain)
    return passing


@dataclass
class _Walk:
    table: Table
    packets: _Packets
    ports: Mapping[int, Ports]
    known: dict[str, Mapping[str, Ports]] = field(default_factory=dict)

    def base(self, chain: Chain) -> Ports:
        """Return the ports that a base chain may accept."""
        ends = self.chain(chain, 0)
        return ends["accept"] | (ends["return"] if chain.policy == "accept" else 0)

    def chain(self, chain: Chain, depth: int) -> Mapping[str, Ports]:
        """Return the ways in which packets may leave the chain, `accept`, `drop` and `return`, with the ports that may leave so."""
        if depth > MAX_DEPTH:
            raise ArtefactError(f"{chain.path}:{chain.line} is a chain more than {MAX_DEPTH} jumps deep, or in a loop; nft refuses it")
        if chain.name not in self.known:
            self.known[chain.name] = self._chain(chain, depth)
        return self.known[chain.name]

    def _chain(self, chain: Chain, depth: int) -> Mapping[str, Ports]:
        ends = dict.fromkeys(("accept", "drop", "return"), 0)
        here = self.packets.ports
        for rule in chain.rules:
            surely, perhaps = self._rule(rule.matches)
            meeting = here & (surely | perhaps)
            if not meeting or not rule.verdict:
                continue
            word, _, target = rule.verdict.partition(" ")
            leaves = self.chain(self.table.chains[target], depth + 1) if target else {word: self.packets.ports}
            back = leaves["return"] if word == "jump" else 0
            for way, leaving in leaves.items():
                if word != "jump" or way != "return":
                    ends[way] |= meeting & leaving
            here &= ~surely | back
        ends["return"] |= here
        return ends

    def _rule(self, matches: tuple[Match, ...]) -> tuple[Ports, Ports]:
        """Return the ports that surely meet all comparisons, and those that perhaps do."""
        surely = possibly = self.packets.ports
        for match in matches:
            yes, maybe = self._meets(match)
            surely &= yes
            possibly &= yes | maybe
        return surely, possibly & ~surely

    def _meets(self, match: Match) -> tuple[Ports, Ports]:
        """Return the ports that surely meet a comparison, and those that perhaps do."""
        packets, every = self.packets, self.packets.ports
        head = match.key.partition(" ")[0]
        if head in ("tcp", "udp", "icmp", "icmpv6") and packets.protocol != head:
            return _NONE
        if head == "th" and packets.protocol not in _PORTS:
            return (0, every) if packets.protocol == "other" else _NONE
        if head in ("ip", "ip6") and packets.family != head:
            return _NONE
        if match.key.endswith("dport"):
            return (0, every) if "*" in match.values else (self.ports[id(match)] & every, 0)
        answer = _decide(match, packets)
        return (every, 0) if answer is _Answer.YES else (0, every) if answer is _Answer.MAYBE else _NONE


class _Answer(Enum):
    NO = 0
    MAYBE = 1
    YES = 2


def _decide(match: Match, packets: _Packets) -> _Answer:
    """Say whether packets meet a comparison that is not about ports."""
    if match.key not in _COMPARED or "*" in match.values:
        return _Answer.MAYBE
    answers = [_COMPARED[match.key](value, packets) for value in match.values]
    best = max(answers, key=lambda answer: answer.value, default=_Answer.NO)
    if match.operator != "!=":
        return best
    return {_Answer.YES: _Answer.NO, _Answer.NO: _Answer.YES, _Answer.MAYBE: _Answer.MAYBE}[best]


def _yes(holds: bool) -> _Answer:
    return _Answer.YES if holds else _Answer.NO


def _interface(value: str, packets: _Packets) -> _Answer:
    if "*" not in value:
        return _yes(value == packets.interface)
    return _Answer.MAYBE if packets.interface == OTHER else _yes(packets.interface.startswith(value.removesuffix("*")))


def _protocol(value: str, packets: _Packets) -> _Answer:
    value = _PROTOCOL_NAMES.get(value, value)
    if packets.protocol == "other":
        return _Answer.NO if value in PROTOCOLS else _Answer.MAYBE
    return _yes(value == packets.protocol)


def _family(value: str, packets: _Packets) -> _Answer:
    return _yes({"ipv4": "ip", "ipv6": "ip6"}.get(value, value) == packets.family)


def _state(value: str, packets: _Packets) -> _Answer:
    return _yes(value == packets.state)


_COMPARED: Mapping[str, Callable[[str, _Packets], _Answer]] = {
    "meta iifname": _interface,
    "meta iif": _interface,
    "meta l4proto": _protocol,
    "ip protocol": _protocol,
    "ip6 nexthdr": _protocol,
    "meta nfproto": _family,
    "meta protocol": _family,
    "ct state": _state,
}
"""What is decided here; a comparison of anything else may be true."""
