"""nftables rule sets as firewalls use them (nft(8)): tables, chains, sets, definitions, includes, verdict maps.

The parser is strict: whatever it does not know is an ArtefactError, so that a rule that was not understood can never look harmless.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.globbing import WILD, globbed
from everest_secure.parse.nft_rule import Rule, RuleReader
from everest_secure.parse.nft_tokens import Token, tokens

MAX_INCLUDES = 64
MAX_RULES = 1024 * 1024
"""Characters of a rule file and all that it includes together."""
_T = TypeVar("_T")
Include = Callable[[str], list[tuple[str, str]]]
"""Gives path and text of the files that an `include` names."""


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
class _Parser(RuleReader):
    include: Include = field(kw_only=True)
    tables: dict[tuple[str, str], dict[str, _ChainDraft]] = field(default_factory=dict)
    dormant: set[tuple[str, str]] = field(default_factory=set)
    """Tables whose chains the kernel does not run (nft(8), "flags dormant")."""
    includes: int = 0
    size: int = 0

    def file(self, text: str, path: str) -> None:
        self.size += len(text)
        if self.size > MAX_RULES:
            raise ArtefactError(f"{path} makes the rules longer than {MAX_RULES} characters; it is no firewall of a charger and not read")
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
                for known in (self.sets, self.maps):
                    known.clear()
            case "flush" | "delete" | "destroy" if self.taken("table"):
                table = self.table_name()
                for chain in self.tables.get(table, {}).values():
                    chain.rules.clear()
                if token.text != "flush":
                    self.tables.pop(table, None)
                    self.dormant.discard(table)
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
        """Read what is between the braces of a table, its sets and maps first: nft adds them before the rules that use them."""
        start = self.at
        self.sets_and_maps()
        self.at = start
        self.skip_ends()
        while not self.taken("}"):
            token = self.take()
            match token.text:
                case "chain":
                    self.chain()
                case "set" | "map":
                    self.take()
                    self.take("{")
                    self.skip_braces()
                case "define" | "redefine":
                    self.define()
                case "include":
                    raise self.unknown(token)
                case "flags":
                    start = self.at
                    self.to_end()
                    if any(each.text == "dormant" for each in self.stream[start : self.at]):
                        self.dormant.add(self.table)
                case "comment":
                    self.take()
                case "counter" | "limit" | "quota":
                    self.take()
                    self.take("{")
                    self.skip_block()
                case _:
                    raise self.unknown(token)
            self.skip_ends()

    def sets_and_maps(self) -> None:
        while self.at < len(self.stream) and not self.taken("}"):
            token = self.take()
            match "" if token.quoted else token.text:
                case "set":
                    self.set_block()
                case "map":
                    self.map_block()
                case "define" | "redefine":
                    self.define()
                case "{":
                    self.skip_braces()

    def skip_braces(self) -> None:
        """Step behind the brace that closes the one before."""
        depth = 1
        while depth and self.at < len(self.stream):
            token = self.take()
            depth += {"{": 1, "}": -1}.get(token.text, 0) if not token.quoted else 0

    def skip_block(self) -> None:
        while not self.taken("}"):
            if self.at >= len(self.stream) or self.take().text == "{":
                raise self.unknown(self.peek())

    def set_block(self) -> None:
        name, elements, changes = self.block(self.set_elements)
        self.sets[name] = None if changes else elements

    def map_block(self) -> None:
        """Read a verdict map; one whose verdicts may change at run time, or that has other values, is none that rules can use here."""
        name, elements, changes = self.block(self.map_elements)
        if not changes and elements is not None:
            self.maps[name] = elements

    def block(self, elements: Callable[[], list[_T]]) -> tuple[tuple[str, str, str], list[_T] | None, bool]:
        """Read name and braces of a set or map; returns its elements, None without any, and whether it changes at run time.

        Raises ArtefactError for a second one of the name: nft adds its elements to the first one, also for the rules above.
        """
        token = self.take()
        name = (*self.table, token.text)
        if name in self.sets or name in self.maps:
            raise ArtefactError(f"{token.path}:{token.line} defines '{token.text}' once more, which is not followed; write it in one place")
        found: list[_T] | None = None
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
                    found = elements()
                case _:
                    raise self.unknown(token)
            self.skip_ends()
        return name, found, changes

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
            tables.append(Table(family, name, {} if (family, name) in self.dormant else chains))
        return RuleSet(tuple(tables))


def parse_ruleset(text: str, path: str, *, include: Include = lambda _: []) -> RuleSet:
    """Parse a rule file; `include(name)` gives path and text of the files that a name or pattern stands for. Raises ArtefactError."""
    parser = _Parser(include=include)
    parser.file(text, path)
    return parser.finish()


def read_ruleset(tree: Tree, path: str) -> RuleSet:
    """Read a rule file with what it includes; a pattern may match nothing, a plain name may not."""

    def include(name: str) -> list[tuple[str, str]]:
        full = name if name.startswith("/") else f"/etc/{name}"
        paths = globbed(tree, full) if WILD.intersection(full) else [full]
        return [(path, tree.text(path)) for path in paths]

    return parse_ruleset(tree.text(path), path, include=include)
