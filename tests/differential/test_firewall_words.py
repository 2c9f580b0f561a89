"""Rules as the parser understands them, and as `nft --json list ruleset` shows them once the kernel has them."""

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.nft import RuleSet, parse_ruleset
from everest_secure.parse.nft_inbound import inbound
from support.reference import require
from support.rootfs import layer

BASE = "table inet filter {{\n{extra}\nchain input {{\ntype filter hook input priority 0; policy drop;\n{rules}\n}}\n}}\n"
PLC = "chain plc {\ntcp dport { 22, 443 } accept\n}"
CASES = {
    "the layer's rules": layer("recipes-connectivity/everest-firewall/files/everest-firewall.nft"),
    "sets": BASE.format(extra="set s {\ntype inet_service; flags interval; elements = { 22, 100-200 }\n}", rules="tcp dport @s accept\nudp dport { 53, 67 } drop"),
    "a set behind its rule": BASE.format(extra="", rules="tcp dport @s accept\n}\nset s {\ntype inet_service\nelements = { 22 }"),
    "maps of interfaces": BASE.format(
        extra=f'map m {{\ntype ifname : verdict\nelements = {{ "eth0" : accept, "eth1" : jump plc, "eth2" : goto plc }}\n}}\n{PLC}',
        rules='iifname vmap @m\niifname vmap { "eth3" : drop, "eth4" : return }',
    ),
    "concatenations": BASE.format(
        extra="set s {\ntype ifname . inet_service\nelements = { eth0 . 22, eth1 . 443 }\n}",
        rules='iifname . tcp dport @s accept\niifname . udp dport { "eth0" . 53, "eth1" . 60-70 } drop\niifname . tcp dport != { "eth9" . 9 } accept',
    ),
    "maps of concatenations": BASE.format(
        extra="map m {\ntype ifname . inet_service : verdict\nelements = { eth0 . 22 : accept, eth1 . 443 : drop }\n}",
        rules='iifname . tcp dport vmap @m\nmeta l4proto . th dport vmap { tcp . 22 : accept, udp . 53 : drop }',
    ),
    "definitions": 'define PLC = "eth1"\ndefine PORTS = { 22, 80-90 }\n' + BASE.format(extra="", rules="iifname $PLC tcp dport $PORTS accept"),
    "signs and states": BASE.format(extra="", rules="ct state established,related accept\nct state invalid drop\ntcp dport != 22 accept\ntcp dport >= 1024 drop\nudp dport 5-9 reject"),
    "addresses": BASE.format(extra="", rules='ip saddr 10.0.0.0/8 tcp dport 22 counter accept comment "x"\nip6 saddr fe80::/10 udp dport 547 log prefix "a " accept'),
    "several tables": BASE.format(extra="", rules="tcp dport 22 accept") + "table ip6 more {\nchain pre {\ntype filter hook input priority -5; policy accept\nudp dport 5353 drop\n}\n}\n",
    "the same table twice": BASE.format(extra="", rules="tcp dport 22 accept") + "table inet filter {\nchain input {\ntcp dport 80 accept\n}\n}\n",
    "what was flushed": BASE.format(extra="", rules="tcp dport 22 accept") + "flush ruleset\n" + BASE.format(extra="", rules="tcp dport 80 accept"),
}  # fmt: skip
REFUSED = {
    "an element of one part": "iifname . tcp dport { 22 } accept",
    "a concatenation without a set": 'iifname . tcp dport "eth0" . 22 accept',
    "a set that is not there": "tcp dport @nowhere accept",
    "a map that is not there": "tcp dport vmap @nowhere",
    "a chain that is not there": "jump nowhere",
    "a definition that is not there": "tcp dport $NOWHERE accept",
    "two verdicts": "accept drop",
    "a port too large": "tcp dport 65536 accept",
    "a range without an end": "tcp dport 5- accept",
    "an unknown word": "tcp dportt 22 accept",
}
Words = tuple[str, ...]


@pytest.fixture(autouse=True)
def _root() -> None:
    require("nft", "unshare")
    if os.getuid():
        pytest.skip("only root can have a network of its own")


def nft(text: str, place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Load rules into a network of its own and list what the kernel has."""
    (place / "x.nft").write_text(text)
    script = f"nft -f {place / 'x.nft'} && nft {' '.join(words)} list ruleset"
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine lets nobody use nftables")
    return done


def ours(rules: RuleSet) -> dict[Words, list[tuple[frozenset[Words], str]]]:
    """Return each chain by family, table, name, hook and policy, and of each rule its comparisons and verdict, a line for each combination."""
    return {
        (table.family, table.name, chain.name, chain.hook, chain.policy if chain.hook else ""): [
            (frozenset((match.key, *each) for match, each in zip(rule.matches, values, strict=True)), rule.verdict)
            for rule in chain.rules
            for values in product(*(((match.operator, value) for value in match.values) if match.operator == "==" else [(match.operator, *sorted(match.values))] for match in rule.matches))
        ]
        for table in rules.tables
        for chain in table.chains.values()
    }  # fmt: skip


def theirs(listed: list[dict[str, Any]]) -> dict[Words, list[tuple[frozenset[Words], str]]]:
    """Return the same of nft's JSON (libnftables-json(5))."""
    named: dict[tuple[str, str], list[Any]] = {
        (kind, each[kind]["name"]): each[kind].get("elem", []) for each in listed for kind in ("set", "map") if kind in each
    }
    found: dict[Words, list[tuple[frozenset[Words], str]]] = {}
    chains: dict[Words, Words] = {}
    for chain in (each["chain"] for each in listed if "chain" in each):
        name = (chain["family"], chain["table"], chain["name"])
        chains[name] = (*name, chain.get("hook", ""), chain.get("policy", ""))
        found[chains[name]] = []
    for rule in (each["rule"] for each in listed if "rule" in each):
        lines = found[chains[rule["family"], rule["table"], rule["chain"]]]
        comparisons, ends = _expressions(rule["expr"], named)
        lines += [
            (frozenset(word for each in one for word in each) | end, verdict) for one in product(*comparisons) for end, verdict in ends
        ]
    return found


def _expressions(
    expressions: list[dict[str, Any]], named: dict[tuple[str, str], list[Any]]
) -> tuple[list[list[list[Words]]], list[tuple[frozenset[Words], str]]]:
    comparisons: list[list[list[Words]]] = []
    ends: list[tuple[frozenset[Words], str]] = [(frozenset(), "")]
    for expression in expressions:
        ((kind, said),) = expression.items()
        if kind == "match":
            comparisons.append(list(_compared(said, named)))
        elif kind == "vmap":
            elements = named["map", said["data"][1:]] if isinstance(said["data"], str) else said["data"]["set"]
            ends = [
                (frozenset((key, "==", part) for key, part in zip(_keys(said["key"]), _parts(value), strict=True)), _verdict(end))
                for value, end in elements
            ]
        elif kind in ("accept", "drop", "reject", "return", "jump", "goto"):
            ends = [(frozenset(), _verdict(expression))]
        elif kind == "limit":
            comparisons.append([[("limit", "==", "*")]])
    return comparisons, ends


def _compared(said: dict[str, Any], named: dict[tuple[str, str], list[Any]]) -> Iterator[list[Words]]:
    """Yield for each element what is compared."""
    keys, right, sign = _keys(said["left"]), said["right"], "==" if said["op"] == "in" else said["op"]
    elements = named["set", right[1:]] if isinstance(right, str) and right[:1] == "@" else right
    elements = (
        elements["set"] if isinstance(elements, dict) and "set" in elements else elements if isinstance(elements, list) else [elements]
    )
    if sign == "==":
        yield from ([_words(key, sign, part) for key, part in zip(keys, _parts(each), strict=True)] for each in elements)
    elif len(keys) > 1:
        yield [(" . ".join(keys), sign, "*")]
    else:
        yield [(keys[0], sign, *sorted(_value(each) for each in elements))]


def _words(*words: str) -> Words:
    return words


def _keys(left: dict[str, Any]) -> list[str]:
    ((kind, said),) = left.items()
    if kind == "concat":
        return [key for each in said for key in _keys(each)]
    return [f"{said['protocol']} {said['field']}" if kind == "payload" else f"{kind} {said['key']}"]


def _parts(element: Any) -> list[str]:
    return [_value(each) for each in element["concat"]] if isinstance(element, dict) and "concat" in element else [_value(element)]


def _value(element: Any) -> str:
    if isinstance(element, dict) and "range" in element:
        return "-".join(str(each) for each in element["range"])
    if isinstance(element, dict) and "prefix" in element:
        return f"{element['prefix']['addr']}/{element['prefix']['len']}"
    return str(element)


def _verdict(said: dict[str, Any]) -> str:
    ((kind, target),) = said.items()
    return f"{kind} {target['target']}" if kind in ("jump", "goto") else "drop" if kind == "reject" else kind


@pytest.mark.parametrize("name", CASES)
def test_nft_lists_the_rules_that_we_read(name: str, tmp_path: Path) -> None:
    done = nft(CASES[name], tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    read, listed = ours(parse_ruleset(CASES[name], "x")), theirs(json.loads(done.stdout)["nftables"])
    assert read.keys() == listed.keys()
    for chain, lines in read.items():
        assert sorted(map(str, map(_sorted, lines))) == sorted(map(str, map(_sorted, listed[chain])))


def _sorted(line: tuple[frozenset[Words], str]) -> tuple[list[Words], str]:
    return sorted(line[0]), line[1]


@pytest.mark.parametrize("name", CASES)
def test_what_nft_lists_lets_in_what_the_rules_did(name: str, tmp_path: Path) -> None:
    done = nft(CASES[name], tmp_path, "--numeric-priority", "--stateless")
    assert done.returncode == 0, done.stderr
    assert inbound(parse_ruleset(done.stdout, "x"), ("eth0", "eth1")) == inbound(parse_ruleset(CASES[name], "x"), ("eth0", "eth1"))


@pytest.mark.parametrize("name", REFUSED)
def test_nft_and_we_refuse_the_same(name: str, tmp_path: Path) -> None:
    text = BASE.format(extra="", rules=REFUSED[name])
    assert nft(text, tmp_path).returncode
    with pytest.raises(ArtefactError):
        inbound(parse_ruleset(text, "x"), ("eth0",))
