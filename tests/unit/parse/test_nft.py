"""Rule sets, judged by the parser and by the kernel's own nft."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.nft import parse_ruleset, read_ruleset
from everest_secure.parse.nft_inbound import inbound
from support.rootfs import RootFs, layer

BASE = "table inet f {{\nchain input {{\ntype filter hook input priority 0; policy drop;\n{}\n}}\n{}\n}}"


def allowed(rules: str, interface: str = "eth0", chains: str = "") -> tuple[str, ...]:
    return inbound(parse_ruleset(BASE.format(rules, chains), "x.nft"), ("eth0", "eth1"))[interface].allowed


CASES = [
    ("", "", ()),
    ("tcp dport 22 accept", "", ("tcp/22",)),
    ("tcp dport ssh accept", "", ("tcp/22",)),
    ("tcp dport { 80, 443, 8000-8002 } accept", "", ("tcp/443", "tcp/80", "tcp/8000-8002")),
    ("tcp dport != 22 accept", "", ("tcp/0-21", "tcp/23-65535")),
    ("tcp dport >= 65000 accept", "", ("tcp/65000-65535",)),
    ("tcp dport 1-10 accept\ntcp dport 5 drop", "", ("tcp/1-10",)),
    ("tcp dport 5 drop\ntcp dport 1-10 accept", "", ("tcp/1-4", "tcp/6-10")),
    ("udp dport 67 udp sport 68 accept", "", ("udp/67",)),
    ("th dport 53 accept", "", ("other", "tcp/53", "udp/53")),
    ("meta l4proto { tcp, udp } th dport 53 accept", "", ("tcp/53", "udp/53")),
    ("meta l4proto tcp accept", "", ("tcp/0-65535",)),
    ("meta l4proto ipv6-icmp accept", "", ("icmpv6",)),
    ("ip protocol icmp accept", "", ("icmp",)),
    ("icmpv6 type { nd-neighbor-solicit, nd-router-advert } accept", "", ("icmpv6",)),
    ("icmp type echo-request limit rate 5/second accept", "", ("icmp",)),
    ('iifname "eth1" tcp dport 22 accept', "", ()),
    ('iifname "eth*" tcp dport 22 accept', "", ("tcp/22",)),
    ('iifname != "eth1" tcp dport 22 accept', "", ("tcp/22",)),
    ('iifname { "eth0", "eth2" } tcp dport 22 accept', "", ("tcp/22",)),
    ("ct state established,related accept", "", ()),
    ("ct state { new, established } tcp dport 22 accept", "", ("tcp/22",)),
    ("ct state vmap { established : accept, related : accept, invalid : drop }", "", ()),
    ("tcp dport vmap { 22 : accept, 80 : drop, 443 : jump web }", "chain web {\naccept\n}", ("tcp/22", "tcp/443")),
    ('iifname . tcp dport { "eth0" . 22, "eth1" . 80, "eth0" . 90-91 } accept', "", ("tcp/22", "tcp/90-91")),
    ('iifname . tcp dport != { "eth0" . 22 } drop\ntcp dport 80 accept', "", ("tcp/80",)),
    ('iifname . tcp dport vmap { "eth0" . 22 : accept, "eth0" . 80 : drop }\ntcp dport { 80, 81 } accept', "", ("tcp/22", "tcp/81")),
    ("ip saddr 10.0.0.0/8 tcp dport 22 accept", "", ("tcp/22",)),
    ("ip saddr 10.0.0.0/8 drop\ntcp dport 22 accept", "", ("tcp/22",)),
    ("ip6 saddr fe80::/10 udp dport 15118 accept", "", ("udp/15118",)),
    ("jump known", "chain known {\ntcp dport 22 accept\ntcp dport 80 return\ndrop\n}", ("tcp/22",)),
    ("goto known\ntcp dport 443 accept", "chain known {\ntcp dport 22 accept\n}", ("tcp/22",)),
    ("jump known\ntcp dport 443 accept", "chain known {\ntcp dport 22 accept\n}", ("tcp/22", "tcp/443")),
    ('tcp dport 22 counter log prefix "ssh " level info accept comment "maintenance"', "", ("tcp/22",)),
    ("counter packets 0 bytes 0 drop\ntcp dport 22 accept", "", ()),
    ("limit rate over 10/second drop\ntcp dport 22 accept", "", ("tcp/22",)),
    ("tcp dport 22 reject with tcp reset\ntcp dport 22 accept", "", ()),
    ("tcp flags & (fin|syn) == syn tcp dport 22 accept", "", ("tcp/22",)),
    ("fib daddr type local tcp dport 22 accept", "", ("tcp/22",)),
    ("tcp dport 22 accept; tcp dport 80 accept", "", ("tcp/22", "tcp/80")),
    ("tcp dport { # ports\n 22, # ssh\n 80,\n } accept", "", ("tcp/22", "tcp/80")),
]


@pytest.mark.parametrize(("rules", "chains", "expected"), CASES, ids=[case[0] or "no rule" for case in CASES])
def test_what_comes_in_is_what_the_rules_accept(rules: str, chains: str, expected: tuple[str, ...]) -> None:
    # A chain must be known before it is jumped to in a file that nft loads in one go, or be in the same table; both are the case here.
    assert allowed(rules, chains=chains) == expected


def test_without_an_input_chain_everything_comes_in() -> None:
    assert inbound(parse_ruleset("", "x"), ("eth0",))["eth0"].allowed == ("icmp", "icmpv6", "other", "tcp/0-65535", "udp/0-65535")


def test_a_table_for_ipv4_alone_leaves_ipv6_open() -> None:
    rules = "table ip f { chain i { type filter hook input priority 0; policy drop; } }"
    assert inbound(parse_ruleset(rules, "x"), ("eth0",))["eth0"].allowed == ("icmpv6", "other", "tcp/0-65535", "udp/0-65535")


def test_a_packet_must_pass_every_input_chain() -> None:
    rules = (
        BASE.format("tcp dport { 22, 80 } accept", "")
        + "\ntable inet g { chain i { type filter hook input priority 10; tcp dport 80 drop\n} }"
    )
    assert inbound(parse_ruleset(rules, "x"), ("eth0",))["eth0"].allowed == ("tcp/22",)


def test_definitions_sets_and_includes_are_put_in() -> None:
    fs = RootFs().file("/etc/nft/a.nft", 'define PLC = "eth1"\ndefine PORTS = { 50000, 61341 }\ninclude "/etc/nft/d/*.nft"\n')
    fs.file(
        "/etc/nft/d/b.nft",
        BASE.format("iifname $PLC tcp dport $PORTS accept\ntcp dport @open accept", "").replace(
            "{\nchain", "{\nset open { type inet_service; elements = { 443 }\n }\n chain", 1
        ),
    )
    found = inbound(read_ruleset(fs.tree, "/etc/nft/a.nft"), ())
    assert found["eth1"].allowed == ("tcp/443", "tcp/50000", "tcp/61341")
    assert found["*"].allowed == ("tcp/443",)


def test_an_include_follows_patterns_of_directories_and_passes_over_hidden_files() -> None:
    fs = RootFs().file("/etc/a.nft", 'include "/etc/nft/*/[a-z].nft"\n').file("/etc/nft/y/.x.nft", "flush ruleset\n")
    fs.file("/etc/nft/x/b.nft", BASE.format("tcp dport 443 accept", "")).file("/etc/nft/x/.c.nft", "flush ruleset\n")
    assert inbound(read_ruleset(fs.tree, "/etc/a.nft"), ())["*"].allowed == ("tcp/443",)
    fs.file("/etc/a.nft", 'include "/etc/nft/*/*.nft"\n')
    assert inbound(read_ruleset(fs.tree, "/etc/a.nft"), ())["*"].allowed == ("tcp/443",)


NAMED = [
    ("iifname . tcp dport @open accept", "set open {\ntype ifname . inet_service\nelements = { eth0 . 22, eth1 . 80 }\n}", ("tcp/22",)),
    ("iifname . tcp dport @open accept", "set open {\ntype ifname . inet_service\nflags dynamic\n}", ("tcp/0-65535",)),
    ("iifname . tcp dport != @open drop\ntcp dport 80 accept", "set open {\ntype ifname . inet_service\nelements = { eth0 . 22 }\n}", ("tcp/80",)),
    ("iifname vmap @sides", "map sides {\ntype ifname : verdict\nelements = { eth0 : jump web, eth1 : accept }\n}\nchain web {\ntcp dport 80 accept\n}", ("tcp/80",)),
    ("iifname . tcp dport vmap @m", "map m {\ntype ifname . inet_service : verdict\nelements = { eth0 . 22 : accept, eth0 . 80 : drop }\n}", ("tcp/22",)),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "named", "expected"), NAMED)
def test_sets_and_maps_are_known_by_their_names(rules: str, named: str, expected: tuple[str, ...]) -> None:
    before = BASE.format(rules, "").replace("{\nchain", f"{{\n{named}\nchain", 1)
    for text in (before, BASE.format(rules, named)):
        assert inbound(parse_ruleset(text, "x"), ("eth0", "eth1"))["eth0"].allowed == expected


UNFOLLOWED = [
    ("tcp dport vmap @m", "map m {\ntype inet_service : verdict\nflags dynamic\nelements = { 22 : accept }\n}"),
    ("tcp dport vmap @m", "map m {\ntype inet_service : verdict\n}"),
    ("tcp dport vmap @m", "map m {\ntype inet_service : verdict\nelements = { 22 : accept }\n}\nmap m {\nelements = { 80 : accept }\n}"),
    ("tcp dport vmap @m", "map m {\ntype inet_service . inet_service : verdict\nelements = { 22 . 23 : accept }\n}"),
    ("tcp dport @m accept", "set m {\ntype ifname . inet_service\nelements = { eth0 . 22 }\n}"),
    ("iifname . tcp dport @m accept", "set m {\ntype inet_service\nelements = { 22 }\n}"),
    ("tcp dport @m accept", "set m {\ntype inet_service\nelements = { 22 }\n}\nset m {\nelements = { 80 }\n}"),
]


@pytest.mark.parametrize(("rules", "named"), UNFOLLOWED)
def test_sets_and_maps_whose_elements_are_not_known_or_do_not_fit_are_refused(rules: str, named: str) -> None:
    with pytest.raises(ArtefactError):
        parse_ruleset(BASE.format(rules, "").replace("{\nchain", f"{{\n{named}\nchain", 1), "x")


def test_thousands_of_rules_are_judged_and_more_are_refused() -> None:
    """Each port at which something may change went through every rule once: ten minutes for this."""
    rules = "".join(f"tcp dport {2 * number} accept\n" for number in range(3000))
    assert len(allowed(rules)) == 3000
    with pytest.raises(ArtefactError, match="larger than a firewall"):
        allowed(rules * 5)


def test_definitions_that_double_are_refused() -> None:
    doubled = "define a0 = { 1, 2 }\n" + "".join(f"define a{n + 1} = {{ $a{n}, $a{n} }}\n" for n in range(40))
    with pytest.raises(ArtefactError, match="values"):
        parse_ruleset(doubled, "x")


def test_a_set_that_changes_at_run_time_may_hold_anything() -> None:
    rules = BASE.format("tcp dport @open accept", "").replace(
        "{\nchain", "{\nset open { type inet_service; flags dynamic,timeout; }\n chain", 1
    )
    assert inbound(parse_ruleset(rules, "x"), ("eth0",))["eth0"].allowed == ("tcp/0-65535",)


def test_a_flush_forgets_what_came_before() -> None:
    rules = BASE.format("accept", "") + "\nflush ruleset\n" + BASE.format("", "")
    assert inbound(parse_ruleset(rules, "x"), ("eth0",))["eth0"].allowed == ()


REFUSED = [
    "tcp dport 22 queue num 1",
    "tcp dport $UNKNOWN accept",
    "tcp dport @unknown accept",
    "jump nowhere",
    "tcp dport strange-service accept",
    "socket transparent 1 accept",
    "numgen inc mod 2 == 0 accept",
    "meta mark set 1 accept",
    "tcp dport map { 22 : 80 } accept",
    "tcp dport 70000 accept",
    'iifname . tcp dport "eth1" . 22 accept',
    "accept tcp dport 22",
    "`",
]


@pytest.mark.parametrize("rule", REFUSED)
def test_what_is_not_understood_is_an_error_that_names_the_place(rule: str) -> None:
    with pytest.raises(ArtefactError):
        allowed(rule)


def test_an_endless_jump_is_refused() -> None:
    with pytest.raises(ArtefactError, match="loop"):
        allowed("jump a", chains="chain a { jump b }\nchain b { jump a }")


def test_incoming_address_translation_is_refused() -> None:
    rules = "table ip n { chain p { type nat hook prerouting priority -100; tcp dport 80 redirect to :8080\n} }"
    with pytest.raises(ArtefactError):
        inbound(parse_ruleset(rules, "x"), ("eth0",))


@pytest.mark.parametrize("cut", [1, 5, 20, 60, 120, 200, 300])
def test_a_truncated_rule_set_is_refused_or_keeps_its_policy(cut: int) -> None:
    text = BASE.format("tcp dport 22 accept", "")
    with pytest.raises(ArtefactError):
        parse_ruleset(text[: max(1, len(text) - cut)], "x.nft")


def nft(tmp_path: Path, rules: str) -> "subprocess.CompletedProcess[bytes]":
    if not shutil.which("nft") or not shutil.which("unshare") or os.getuid():
        pytest.skip("nft, unshare or root is missing")
    file = tmp_path / "x.nft"
    file.write_text(rules)
    return subprocess.run(["unshare", "-n", "nft", "-j", "-c", "-f", file], capture_output=True, check=False)


@pytest.mark.parametrize(("rules", "chains"), [case[:2] for case in CASES], ids=[case[0] or "no rule" for case in CASES])
def test_nft_accepts_the_same_rules(rules: str, chains: str, tmp_path: Path) -> None:
    done = nft(tmp_path, BASE.format(rules, chains))
    if b"Operation not permitted" in done.stderr:
        pytest.skip("this machine lets nobody use nftables")
    assert done.returncode == 0, done.stderr.decode()


def test_the_layers_rule_set_is_read_as_the_kernel_lists_it(tmp_path: Path) -> None:
    """What nft lists after loading, parsed again, lets in the same."""
    if not shutil.which("nft") or not shutil.which("unshare") or os.getuid():
        pytest.skip("nft, unshare or root is missing")
    ours = layer("recipes-connectivity/everest-firewall/files/everest-firewall.nft")
    (tmp_path / "x.nft").write_text(ours)
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", f"nft -f {tmp_path}/x.nft && nft -n list ruleset"], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nft cannot load rules here: {done.stderr.decode().splitlines()[0]}")
    listed = parse_ruleset(done.stdout.decode(), "listed")
    assert inbound(listed, ("eth0", "eth1")) == inbound(parse_ruleset(ours, "ours"), ("eth0", "eth1"))


def test_rules_that_include_a_large_file_again_and_again_are_refused() -> None:
    text = 'include "again"\n' + "# filler\n" * 10_000
    with pytest.raises(ArtefactError, match="longer than 1048576 characters"):
        parse_ruleset(text, "x", include=lambda name: [(name, text)])
