"""What a rule set lets in: every interface, protocol and port is sent through the input chains.

The answer errs on one side only: a rule whose match cannot be decided here (an address, a rate, a mark) is taken to match when it accepts and
not to match when it drops. Established connections and what belongs to them are not inbound and are left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from everest_secure.errors import ArtefactError
from everest_secure.parse.nft import Chain, RuleSet, Table
from everest_secure.parse.nft_rule import Match

OTHER = "*"
"""Stands for every interface that no rule names."""
STATES = ("new", "untracked", "invalid")
MAX_DEPTH = 16
"""Jumps that nftables follows (NFT_JUMP_STACK_SIZE)."""
SERVICES: Mapping[str, int] = {
    "ssh": 22, "domain": 53, "bootps": 67, "bootpc": 68, "http": 80, "ntp": 123, "https": 443, "dhcpv6-client": 546, "dhcpv6-server": 547,
    "mqtt": 1883, "mdns": 5353,
}  # fmt: skip
_PROTOCOL_NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "ipv6-icmp": "icmpv6"}
_PORTS = ("tcp", "udp")
PROTOCOLS = (*_PORTS, "icmp", "icmpv6", "other")


class _Answer(Enum):
    NO = 0
    MAYBE = 1
    YES = 2


@dataclass(frozen=True, slots=True)
class _Packet:
    interface: str
    family: str
    """`ip` or `ip6`."""
    protocol: str
    port: int
    """Destination port; -1 for protocols without."""
    state: str


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
    starts = _port_starts(rules)
    return {name: Inbound(tuple(sorted(_allowed(rules, name, starts)))) for name in names}


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


def _port_starts(rules: RuleSet) -> list[int]:
    """Ports at which an answer can change: each run up to the next is treated alike."""
    found = {0, 65536}
    for match in _matches(rules):
        if match.key.endswith("dport"):
            for low, high in (_port_range(value) for value in match.values if value != "*"):
                found |= {low, high + 1}
    return sorted(found)


def _port_range(value: str) -> tuple[int, int]:
    low, _, high = value.partition("-") if value not in SERVICES else (value, "", "")
    return _port(low), _port(high or low)


def _port(word: str) -> int:
    number = SERVICES.get(word, int(word) if re.fullmatch(r"[0-9]{1,5}", word) else -1)
    if not 0 <= number <= 65535:
        raise ArtefactError(f"the port '{word}' of the rule set is not known; write its number")
    return number


def _allowed(rules: RuleSet, interface: str, starts: list[int]) -> Iterator[str]:
    for protocol in PROTOCOLS:
        if protocol not in _PORTS:
            if _enters(rules, interface, protocol, -1):
                yield protocol
            continue
        run: list[int] = []
        for low, after in pairwise(starts):
            if _enters(rules, interface, protocol, low):
                run = [run[0], after - 1] if run else [low, after - 1]
            elif run:
                yield _named(protocol, run)
                run = []
        if run:
            yield _named(protocol, run)


def _named(protocol: str, run: list[int]) -> str:
    low, high = run
    return f"{protocol}/{low}" if low == high else f"{protocol}/{low}-{high}"


def _enters(rules: RuleSet, interface: str, protocol: str, port: int) -> bool:
    families = {"icmp": ("ip",), "icmpv6": ("ip6",)}.get(protocol, ("ip", "ip6"))
    return any(_passes(rules, _Packet(interface, family, protocol, port, state)) for family in families for state in STATES)


def _passes(rules: RuleSet, packet: _Packet) -> bool:
    """Whether every input chain that sees the packet may accept it."""
    for table in rules.tables:
        if table.family not in (packet.family, "inet"):
            continue
        for chain in table.chains.values():
            if chain.hook == "input" and "accept" not in _Walk(table, packet).base(chain):
                return False
    return True


@dataclass
class _Walk:
    table: Table
    packet: _Packet
    known: dict[str, frozenset[str]] = field(default_factory=dict)

    def base(self, chain: Chain) -> frozenset[str]:
        ends = self.chain(chain, 0)
        return (ends - {"return"}) | ({chain.policy} if "return" in ends else frozenset())

    def chain(self, chain: Chain, depth: int) -> frozenset[str]:
        """Return the ways in which the packet may leave the chain: `accept`, `drop`, `return`."""
        if depth > MAX_DEPTH:
            raise ArtefactError(f"{chain.path}:{chain.line} is a chain more than {MAX_DEPTH} jumps deep, or in a loop; nft refuses it")
        if chain.name not in self.known:
            self.known[chain.name] = self._chain(chain, depth)
        return self.known[chain.name]

    def _chain(self, chain: Chain, depth: int) -> frozenset[str]:
        ends: set[str] = set()
        for rule in chain.rules:
            answer = self._rule(rule.matches)
            if answer is _Answer.NO or not rule.verdict:
                continue
            word, _, target = rule.verdict.partition(" ")
            leaves = self.chain(self.table.chains[target], depth + 1) if target else frozenset((word,))
            goes_on = word == "jump" and "return" in leaves
            ends |= leaves - {"return"} if word == "jump" else leaves
            if answer is _Answer.YES and not goes_on:
                return frozenset(ends)
        return frozenset(ends | {"return"})

    def _rule(self, matches: tuple[Match, ...]) -> _Answer:
        answers = [_meets(match, self.packet) for match in matches]
        return min(answers, key=lambda answer: answer.value, default=_Answer.YES)


def _meets(match: Match, packet: _Packet) -> _Answer:
    head = match.key.partition(" ")[0]
    if head in ("tcp", "udp", "icmp", "icmpv6") and packet.protocol != head:
        return _Answer.NO
    if head == "th" and packet.protocol not in _PORTS:
        return _Answer.MAYBE if packet.protocol == "other" else _Answer.NO
    if head in ("ip", "ip6") and packet.family != head:
        return _Answer.NO
    if "*" in match.values:
        return _Answer.MAYBE
    match match.key:
        case "meta iifname" | "meta iif":
            return _compare(match, [_interface(value, packet.interface) for value in match.values])
        case "meta l4proto" | "ip protocol" | "ip6 nexthdr":
            return _compare(match, [_protocol(value, packet.protocol) for value in match.values])
        case "meta nfproto" | "meta protocol":
            return _compare(match, [_yes({"ipv4": "ip", "ipv6": "ip6"}.get(value, value) == packet.family) for value in match.values])
        case "tcp dport" | "udp dport" | "th dport":
            return _compare(match, [_in_range(match.operator, _port_range(value), packet.port) for value in match.values])
        case "ct state":
            return _compare(match, [_yes(value == packet.state) for value in match.values])
        case _:
            return _Answer.MAYBE


def _compare(match: Match, answers: list[_Answer]) -> _Answer:
    best = max(answers, key=lambda answer: answer.value, default=_Answer.NO)
    if match.operator != "!=":
        return best
    return {_Answer.YES: _Answer.NO, _Answer.NO: _Answer.YES, _Answer.MAYBE: _Answer.MAYBE}[best]


def _yes(holds: bool) -> _Answer:
    return _Answer.YES if holds else _Answer.NO


def _interface(value: str, name: str) -> _Answer:
    if "*" not in value:
        return _yes(value == name)
    return _Answer.MAYBE if name == OTHER else _yes(name.startswith(value.removesuffix("*")))


def _protocol(value: str, protocol: str) -> _Answer:
    value = _PROTOCOL_NAMES.get(value, value)
    if protocol == "other":
        return _Answer.NO if value in PROTOCOLS else _Answer.MAYBE
    return _yes(value == protocol)


def _in_range(operator: str, limits: tuple[int, int], port: int) -> _Answer:
    low, high = limits
    holds = {"<": port < low, "<=": port <= low, ">": port > high, ">=": port >= high}
    return _yes(holds.get(operator, low <= port <= high))
