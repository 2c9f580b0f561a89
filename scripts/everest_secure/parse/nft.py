"""nftables rule sets as firewalls use them (nft(8)): tables, chains, sets, definitions, includes, verdict maps.

The parser is strict: whatever it does not know is an ArtefactError, so that a rule that was not understood can never look harmless.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

MAX_INCLUDES = 64
_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\\\n|\#[^\n]*)|(?P<newline>\n)|(?P<string>\"[^\"\n]*\")|(?P<operator>==|!=|<=|>=|[<>=])"
    r"|(?P<word>[\w*][\w*./:+-]*)|(?P<sign>[{}(),;:@$.&|^-])"
)
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


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; `hook` is empty for one that is only jumped to."""

    name: str
    kind: str
    hook: str
    policy: str
    rules: tuple[Rule, ...]
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its chains by name."""

    family: str
    name: str
    chains: Mapping[str, Chain]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What a rule file leaves in the kernel."""

    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A word, string or sign, with its place."""

    text: str
    path: str
    line: int
    quoted: bool = False


def tokens(text: str, path: str) -> list[Token]:
    """Split a rule file; a newline is a token. Raises ArtefactError for a character that nft does not know."""
    found: list[Token] = []
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ArtefactError(f"{path}:{line} holds '{text[at]!r:.8}', which is not read as nftables syntax; write it in plain rules")
        if match.lastgroup == "string":
            found.append(Token(match[0][1:-1], path, line, quoted=True))
        elif match.lastgroup != "space":
            found.append(Token(match[0], path, line))
        line += match[0].count("\n")
        at = match.end()
    return found


@dataclass
class _ChainDraft:
    name: str
    path: str
    line: int
    kind: str = ""
    hook: str = ""
    policy: str = "accept"
    rules: list[Rule] = field(default_factory=list)


@dataclass
class _Parser:
    include: Callable[[str], list[tuple[str, str]]]
    definitions: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[tuple[str, str], dict[str, _ChainDraft]] = field(default_factory=dict)
    sets: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    stream: list[Token] = field(default_factory=list)
    at: int = 0
    includes: int = 0
    table: tuple[str, str] = ("", "")

    # Reading tokens

    def peek(self) -> Token:
        return self.stream[self.at] if self.at < len(self.stream) else Token("", *self._end())

    def _end(self) -> tuple[str, int]:
        return (self.stream[-1].path, self.stream[-1].line) if self.stream else ("", 0)

    def take(self, *expected: str) -> Token:
        token = self.peek()
        self.at += 1
        if expected and (token.text not in expected or token.quoted):
            raise self.unknown(token)
        return token

    def taken(self, text: str) -> bool:
        if self.peek().text == text and not self.peek().quoted and self.at < len(self.stream):
            self.at += 1
            return True
        return False

    def skip_ends(self) -> None:
        while self.at < len(self.stream) and self.peek().text in ("\n", ";") and not self.peek().quoted:
            self.at += 1

    def unknown(self, token: Token) -> ArtefactError:
        said = token.text.replace("\n", "end of line") or "end of file"
        return ArtefactError(
            f"{token.path}:{token.line} has '{said}' where it is not understood; write it in plain rules so that it can be verified"
        )

    # Files, tables, chains

    def file(self, text: str, path: str) -> None:
        outer = self.stream, self.at
        self.stream, self.at = tokens(text, path), 0
        self.skip_ends()
        while self.at < len(self.stream):
            self.statement()
            self.skip_ends()
        self.stream, self.at = outer

    def statement(self) -> None:
        token = self.take()
        match token.text:
            case "flush" if self.taken("ruleset"):
                self.family(optional=True)
                self.tables.clear()
                self.sets.clear()
            case "flush" | "delete" | "destroy" if self.taken("table"):
                table = self.table_name()
                for chain in self.tables.get(table, {}).values():
                    chain.rules.clear()
                if token.text != "flush":
                    self.tables.pop(table, None)
            case "add" | "create" if self.peek().text == "table":
                self.statement()
            case "table":
                self.table = self.table_name()
                self.tables.setdefault(self.table, {})
                if self.taken("{"):
                    self.body()
            case "include":
                self.include_file(self.take())
            case "define" | "redefine":
                self.define()
            case _:
                raise self.unknown(token)

    def include_file(self, token: Token) -> None:
        self.includes += 1
        if self.includes > MAX_INCLUDES:
            raise ArtefactError(f"{token.path}:{token.line} includes more than {MAX_INCLUDES} files; it is taken for a loop")
        for path, text in self.include(token.text):
            self.file(text, path)

    def define(self) -> None:
        name = self.take().text
        self.take("=")
        self.definitions[name] = self.values()

    def family(self, *, optional: bool) -> str:
        if self.peek().text in ("ip", "ip6", "inet", "arp", "bridge", "netdev"):
            return self.take().text
        return "" if optional else "ip"

    def table_name(self) -> tuple[str, str]:
        return self.family(optional=True) or "ip", self.take().text

    def body(self) -> None:
        self.skip_ends()
        while not self.taken("}"):
            token = self.take()
            match token.text:
                case "chain":
                    self.chain()
                case "set":
                    self.set_block()
                case "define" | "redefine":
                    self.define()
                case "include":
                    raise self.unknown(token)
                case "flags" | "comment":
                    self.take()
                case "counter" | "limit" | "quota":
                    self.take()
                    self.take("{")
                    self.skip_block()
                case _:
                    raise self.unknown(token)
            self.skip_ends()

    def skip_block(self) -> None:
        while not self.taken("}"):
            if self.at >= len(self.stream) or self.take().text == "{":
                raise self.unknown(self.peek())

    def set_block(self) -> None:
        name = self.take().text
        elements: list[str] | None = None
        changes = False
        self.take("{")
        self.skip_ends()
        while not self.taken("}"):
            token = self.take()
            match token.text:
                case "type" | "typeof" | "timeout" | "size" | "gc-interval" | "comment" | "auto-merge" | "policy":
                    self.to_end()
                case "flags":
                    start = self.at
                    self.to_end()
                    changes = any(token.text in ("dynamic", "timeout") for token in self.stream[start : self.at])
                case "elements":
                    self.take("=")
                    elements = self.values()
                case _:
                    raise self.unknown(token)
            self.skip_ends()
        self.sets[(*self.table, name)] = ["*"] if changes or elements is None else elements

    def to_end(self) -> None:
        while self.at < len(self.stream) and self.peek().text not in ("\n", ";", "}"):
            self.at += 1

    def chain(self) -> None:
        token = self.take()
        chain = self.tables[self.table].setdefault(token.text, _ChainDraft(token.text, token.path, token.line))
        self.take("{")
        self.skip_ends()
        while not self.taken("}"):
            if self.peek().text == "type" and not chain.rules:
                self.base(chain)
            elif self.taken("policy"):
                chain.policy = self.take("accept", "drop").text
            elif self.taken("comment"):
                self.take()
            else:
                chain.rules += self.rule()
            if self.peek().text not in ("\n", ";", "}"):
                raise self.unknown(self.peek())
            self.skip_ends()

    def base(self, chain: _ChainDraft) -> None:
        self.take("type")
        chain.kind = self.take("filter", "nat", "route").text
        self.take("hook")
        chain.hook = self.take("prerouting", "input", "forward", "output", "postrouting", "ingress", "egress").text
        if self.taken("device"):
            self.take()
        self.take("priority")
        while self.at < len(self.stream) and self.peek().text not in ("\n", ";", "}"):
            self.take()

    # Rules

    def rule(self) -> list[Rule]:
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
        word = self.take().text
        if word in ("jump", "goto"):
            return f"{word} {self.take().text}"
        if word == "reject":
            if self.taken("with"):
                self.to_end_or_comment()
            return "drop"
        return "" if word == "continue" else word

    def to_end_or_comment(self) -> None:
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
        if self.peek().text in ("&", "|", "^"):
            self.to_end_or_verdict()
            return Match(key, "==", ("*",))
        operator = self.take().text if self.peek().text in ("==", "!=", "<", ">", "<=", ">=") else "=="
        values = tuple(self.values())
        return Match(key, operator, values)

    def to_end_or_verdict(self) -> None:
        while self.at < len(self.stream) and self.peek().text not in ("\n", ";", "}", *_VERDICTS):
            self.at += 1

    def verdict_map(self, key: str, matches: list[Match], first: Token) -> list[Rule]:
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

    def finish(self) -> RuleSet:
        tables = []
        for (family, name), drafts in self.tables.items():
            chains = {d.name: Chain(d.name, d.kind, d.hook, d.policy, tuple(d.rules), d.path, d.line) for d in drafts.values()}
            for rule in (rule for chain in chains.values() for rule in chain.rules):
                target = rule.verdict.partition(" ")[2]
                if target and target not in chains:
                    raise ArtefactError(
                        f"{rule.path}:{rule.line} jumps to the chain '{target}', which is not defined; nft refuses the whole file"
                    )
            tables.append(Table(family, name, chains))
        return RuleSet(tuple(tables))


def parse_ruleset(text: str, path: str, *, include: Callable[[str], list[tuple[str, str]]] = lambda _: []) -> RuleSet:
    """Parse a rule file; `include(name)` gives path and text of the files that a name or pattern stands for. Raises ArtefactError."""
    parser = _Parser(include)
    parser.file(text, path)
    return parser.finish()


def read_ruleset(tree: Tree, path: str) -> RuleSet:
    """Read a rule file with what it includes; a pattern may match nothing, a plain name may not."""

    def include(name: str) -> list[tuple[str, str]]:
        full = name if name.startswith("/") else f"/etc/{name}"
        if "*" not in full and "?" not in full:
            return [(full, tree.text(full))]
        directory, _, pattern = full.rpartition("/")
        return [(node.path, tree.text(node.path)) for node in tree.children(directory) if fnmatchcase(node.name, pattern)]

    return parse_ruleset(tree.text(path), path, include=include)
