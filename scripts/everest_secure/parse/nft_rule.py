"""One rule of nftables: matches, statements, a verdict."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from everest_secure.errors import ArtefactError
from everest_secure.parse.nft_tokens import Token, TokenReader

_MATCH_WORDS: Mapping[str, frozenset[str]] = {
    "meta": frozenset(
        ("iif", "iifname", "oif", "oifname", "l4proto", "nfproto", "protocol", "mark", "pkttype", "skuid", "length", "iiftype")
    ),
    "ip": frozenset(("saddr", "daddr", "protocol", "ttl", "dscp", "version", "length")),
    "ip6": frozenset(("saddr", "daddr", "nexthdr", "hoplimit", "version", "length")),
    "tcp": frozenset(("dport", "sport", "flags")),
    "udp": frozenset(("dport", "sport")),
    "th": frozenset(("dport", "sport")),
    "icmp": frozenset(("type", "code")),
    "icmpv6": frozenset(("type", "code")),
    "ct": frozenset(("state", "status", "direction", "mark")),
    "fib": frozenset(("daddr", "saddr")),
    "rt": frozenset(("type",)),
}
_BARE_META = frozenset(("iif", "iifname", "oif", "oifname"))
_T = TypeVar("_T")
MAX_VALUES = 1 << 18
"""Values that definitions and sets may bring into rules, each counted wherever it is used."""
MAX_TOGETHER = 4096
"""Combinations of values that the concatenations of one rule may make."""
_VERDICTS = frozenset(("accept", "drop", "reject", "return", "continue", "jump", "goto"))


@dataclass(frozen=True, slots=True)
class Match:
    """A comparison that a packet must meet."""

    key: str
    """`meta iifname`, `tcp dport`, `ct state` ..."""
    operator: str
    """`==`, `!=`, `<`, `>`, `<=`, `>=`."""
    values: tuple[str, ...]
    """Alternatives; a range as `from-to`. `*` alone stands for a set whose members are not known here."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a chain; a verdict map is one rule per element."""

    matches: tuple[Match, ...]
    verdict: str
    """`accept`, `drop`, `return`, `jump NAME`, `goto NAME`, or empty when the packet just goes on."""
    path: str
    line: int


Element = tuple[tuple[str, ...], ...]
"""What an element of a set holds: a part for each key, and of each part the alternatives."""
Mapped = tuple[Element, str]
"""An element of a verdict map, and its verdict."""


@dataclass
class RuleReader(TokenReader):
    """Reads rules; definitions and sets are known from what was read before."""

    definitions: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[tuple[str, str, str], list[Element] | None] = field(default_factory=dict)
    """Elements by family, table and name; None when they can change at run time."""
    maps: dict[tuple[str, str, str], list[Mapped]] = field(default_factory=dict)
    """Verdict maps that cannot change at run time."""
    table: tuple[str, str] = ("", "")
    brought: int = 0

    def rule(self) -> list[Rule]:
        """Read a rule up to the end of its line; one with a verdict map is several."""
        first = self.peek()
        matches: list[Match] = []
        together: list[tuple[Match, ...]] = [()]
        verdicts: list[tuple[tuple[Match, ...], str]] = []
        verdict = ""
        while self.at < len(self.stream) and self.peek().text not in ("\n", ";", "}"):
            token = self.peek()
            if verdict or verdicts:
                if not self.taken("comment"):
                    raise self.unknown(token)
                self.take()
            elif token.text in _VERDICTS:
                verdict = self.verdict()
            elif token.text in _MATCH_WORDS or token.text in _BARE_META:
                keys = self.keys()
                if self.taken("vmap"):
                    verdicts = self.verdict_map(keys)
                elif len(keys) == 1:
                    matches.append(self.match(keys[0]))
                else:
                    more = self.concatenation(keys)
                    if len(together) * len(more) > MAX_TOGETHER:
                        raise ArtefactError(f"{token.path}:{token.line} compares more than {MAX_TOGETHER} combinations; write fewer")
                    together = [(*one, *other) for one in together for other in more]
            else:
                self.side_effect(matches)
        ends = verdicts or [((), verdict)]
        if len(together) * len(ends) > MAX_TOGETHER:
            raise ArtefactError(f"{first.path}:{first.line} is a rule of more than {MAX_TOGETHER} combinations; write fewer")
        return [Rule((*matches, *one, *last), each, first.path, first.line) for one in together for last, each in ends]

    def verdict(self) -> str:
        """Read a verdict; `reject` is `drop` with an answer."""
        word = self.take().text
        if word in ("jump", "goto"):
            return f"{word} {self.take().text}"
        if word == "reject":
            if self.taken("with"):
                self.to_end_or_comment()
            return "drop"
        return "" if word == "continue" else word

    def to_end_or_comment(self) -> None:
        """Pass over the options of a statement."""
        while self.at < len(self.stream) and self.peek().text not in ("\n", ";", "}", "comment"):
            self.at += 1

    def side_effect(self, matches: list[Match]) -> None:
        """Statements that let the packet go on; a rate limit makes the rule match only some packets."""
        token = self.take()
        match token.text:
            case "counter":
                if self.taken("packets"):
                    self.take()
                    self.take("bytes")
                    self.take()
                elif self.taken("name"):
                    self.take()
            case "log":
                while self.peek().text in ("prefix", "level", "group", "flags", "snaplen", "queue-threshold"):
                    self.take()
                    self.take()
            case "comment":
                self.take()
            case "limit":
                self.take("rate")
                self.taken("over")
                self.take()
                if self.peek().text == "bytes" or self.peek().text.endswith("bytes/second"):
                    self.take()
                if self.taken("burst"):
                    self.take()
                    self.take("packets", "bytes")
                matches.append(Match("limit", "==", ("*",)))
            case _:
                raise self.unknown(token)

    def key(self) -> str:
        """Read what a match looks at: `tcp dport`; raises ArtefactError for anything not listed."""
        token = self.take()
        if token.text in _BARE_META:
            return "meta " + token.text
        selector = self.take()
        if selector.text not in _MATCH_WORDS[token.text]:
            raise self.unknown(selector)
        if token.text == "fib":
            while self.taken("."):
                self.take("iif", "oif", "saddr", "daddr", "mark")
            selector = self.take("type", "oif", "oifname")
            return f"fib {selector.text}"
        return f"{token.text} {selector.text}"

    def keys(self) -> tuple[str, ...]:
        """Read one key, or several with dots between them: `iifname . tcp dport`."""
        found = [self.key()]
        while self.taken("."):
            found.append(self.key())
        return tuple(found)

    def match(self, key: str) -> Match:
        """Read operator and values; of a bit mask nothing is known here."""
        if self.taken("&"):
            return self.masked(key)
        operator = self.take().text if self.peek().text in ("==", "!=", "<", ">", "<=", ">=") else "=="
        values = tuple(self.values())
        return Match(key, operator, values)

    def masked(self, key: str) -> Match:
        """Read `(fin | syn) == syn` behind an `&`."""
        if self.taken("("):
            while not self.taken(")"):
                self.value()
                self.taken("|")
        else:
            self.value()
        self.take("==", "!=")
        self.values()
        return Match(key, "==", ("*",))

    def concatenation(self, keys: tuple[str, ...]) -> list[tuple[Match, ...]]:
        """Read what several keys are compared with; returns alternatives, as a rule with one element for each does the same."""
        if self.taken("!="):
            self.elements(len(keys))
            return [(Match(" . ".join(keys), "!=", ("*",)),)]
        self.taken("==")
        return [tuple(Match(key, "==", part) for key, part in zip(keys, each, strict=True)) for each in self.elements(len(keys))]

    def elements(self, parts: int) -> list[Element]:
        """Read a set of elements of so many parts, or the name of one; of one that changes every part is unknown."""
        named = self.peek()
        if self.taken("@"):
            known = self.named(self.sets, "set")
            unknown: Element = (("*",),) * parts
            found = [unknown] if known is None else self.counted(known, named)
        elif named.text == "{":
            found = self.set_elements()
        else:
            raise self.unknown(named)
        if any(len(each) != parts for each in found):
            raise self.unknown(named)
        return found

    def set_elements(self) -> list[Element]:
        """Read `{ "eth0" . 22, "eth1" . 80 }`, or one element without braces."""
        if not self.taken("{"):
            return [self.element()]
        found: list[Element] = []
        self.skip_newlines()
        while not self.taken("}"):
            found.append(self.element())
            self.after_element()
        return found

    def element(self) -> Element:
        """Read `"eth0" . 22`; each part may be a range or a definition."""
        found = [tuple(self.value())]
        while self.taken("."):
            found.append(tuple(self.value()))
        return tuple(found)

    def after_element(self) -> None:
        """Step over what separates elements; raises ArtefactError when nothing does."""
        if self.taken("comment"):
            self.take()
        self.skip_newlines()
        if not self.taken(",") and self.peek().text != "}":
            raise self.unknown(self.peek())
        self.skip_newlines()

    def named(self, known: Mapping[tuple[str, str, str], _T], what: str) -> _T:
        """Read the name behind an `@` and return what it stands for; raises ArtefactError when it is not known."""
        name = self.take()
        if (*self.table, name.text) not in known:
            raise ArtefactError(
                f"{name.path}:{name.line} uses the {what} '{name.text}', which the table does not define; nft refuses the whole file"
            )
        return known[(*self.table, name.text)]

    def counted(self, values: list[_T], token: Token) -> list[_T]:
        """Return the values once more; raises ArtefactError when definitions and sets bring more than a firewall has."""
        self.brought += len(values)
        if self.brought > MAX_VALUES:
            raise ArtefactError(f"{token.path}:{token.line} brings the rules to more than {MAX_VALUES} values; write fewer")
        return list(values)

    def verdict_map(self, keys: tuple[str, ...]) -> list[tuple[tuple[Match, ...], str]]:
        """Read `vmap { value : verdict }`, or the name of a verdict map; returns what each element compares, and its verdict."""
        name = self.peek()
        found = self.counted(self.named(self.maps, "verdict map"), name) if self.taken("@") else self.map_elements()
        if any(len(parts) != len(keys) for parts, _ in found):
            raise self.unknown(name)
        return [(tuple(Match(key, "==", part) for key, part in zip(keys, parts, strict=True)), verdict) for parts, verdict in found]

    def map_elements(self) -> list[Mapped]:
        """Read `{ value : verdict, ... }`."""
        found: list[Mapped] = []
        self.take("{")
        self.skip_newlines()
        while not self.taken("}"):
            parts = self.element()
            self.take(":")
            found.append((parts, self.verdict()))
            self.after_element()
        return found

    def skip_newlines(self) -> None:
        """Pass over line ends inside a set."""
        while self.taken("\n"):
            pass

    def values(self) -> list[str]:
        """Read one value, a comma list, or a set; definitions and named sets are put in."""
        if not self.taken("{"):
            found = self.value()
            while self.taken(","):
                found += self.value()
            return found
        found = []
        self.skip_newlines()
        while not self.taken("}"):
            found += self.value()
            self.after_element()
        return found

    def value(self) -> list[str]:
        """Read a value, a range, `$definition` or `@set`."""
        token = self.take()
        if token.text == "$":
            name = self.take()
            if name.text not in self.definitions:
                raise ArtefactError(f"{name.path}:{name.line} uses '${name.text}', which is not defined; nft refuses the whole file")
            return self.counted(self.definitions[name.text], name)
        if token.text == "@":
            known = self.named(self.sets, "set")
            if known is None:
                return ["*"]
            if any(len(each) != 1 for each in known):
                raise self.unknown(token)
            return self.counted([value for (part,) in known for value in part], token)
        if not token.quoted and not re.fullmatch(r"[\w*][\w*./:+-]*", token.text):
            raise self.unknown(token)
        if self.taken("-"):
            return [f"{token.text}-{self.take().text}"]
        return [token.text]
