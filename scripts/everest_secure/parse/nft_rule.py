"""One rule of nftables: matches, statements, a verdict."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass
class RuleReader(TokenReader):
    """Reads rules; definitions and sets are known from what was read before."""

    definitions: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    """Elements by family, table and name; `*` when they can change at run time."""
    table: tuple[str, str] = ("", "")

    def rule(self) -> list[Rule]:
        """Read a rule up to the end of its line; one with a verdict map is several."""
        first = self.peek()
        matches: list[Match] = []
        rules: list[Rule] = []
        verdict = ""
        while self.at < len(self.stream) and self.peek().text not in ("\n", ";", "}"):
            token = self.peek()
            if verdict or rules:
                if not self.taken("comment"):
                    raise self.unknown(token)
                self.take()
            elif token.text in _VERDICTS:
                verdict = self.verdict()
            elif token.text in _MATCH_WORDS or token.text in _BARE_META:
                key = self.key()
                if self.taken("vmap"):
                    rules = self.verdict_map(key, matches, first)
                else:
                    matches.append(self.match(key))
            else:
                self.side_effect(matches)
        return rules or [Rule(tuple(matches), verdict, first.path, first.line)]

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

    def verdict_map(self, key: str, matches: list[Match], first: Token) -> list[Rule]:
        """Read the elements of `vmap { value : verdict }`."""
        rules: list[Rule] = []
        self.take("{")
        self.skip_newlines()
        while not self.taken("}"):
            values = tuple(self.value())
            self.take(":")
            rules.append(Rule((*matches, Match(key, "==", values)), self.verdict(), first.path, first.line))
            self.skip_newlines()
            self.taken(",")
            self.skip_newlines()
        return rules

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
            if self.taken("comment"):
                self.take()
            self.skip_newlines()
            if not self.taken(","):
                self.skip_newlines()
                if self.peek().text != "}":
                    raise self.unknown(self.peek())
            self.skip_newlines()
        return found

    def value(self) -> list[str]:
        """Read a value, a range, `$definition` or `@set`."""
        token = self.take()
        if token.text == "$":
            name = self.take()
            if name.text not in self.definitions:
                raise ArtefactError(f"{name.path}:{name.line} uses '${name.text}', which is not defined; nft refuses the whole file")
            return list(self.definitions[name.text])
        if token.text == "@":
            name = self.take()
            if (*self.table, name.text) not in self.sets:
                raise ArtefactError(
                    f"{name.path}:{name.line} uses the set '{name.text}', which is not defined before; nft refuses the whole file"
                )
            return list(self.sets[(*self.table, name.text)])
        if not token.quoted and not re.fullmatch(r"[\w*][\w*./:+-]*", token.text):
            raise self.unknown(token)
        if self.taken("-"):
            return [f"{token.text}-{self.take().text}"]
        return [token.text]
