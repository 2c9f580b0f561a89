"""What the firewall lets in, by our reading of the rules and by packets that the kernel decides over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.parse.nft import parse_ruleset
from everest_secure.parse.nft_inbound import inbound
from support.reference import require
from support.rootfs import layer

PORTS = (22, 443, 1883, 15118, 50000, 61341, 64109)
PROBE = """
import json, socket, subprocess, sys
peer = subprocess.Popen(["unshare", "-n", "sleep", "60"])
inside = ["nsenter", "-t", str(peer.pid), "-n"]
def sh(*words): subprocess.run(words, check=True)
import time, os
while os.readlink(f"/proc/{peer.pid}/ns/net") == os.readlink("/proc/self/ns/net"): time.sleep(0.01)
try:
    sh("ip", "link", "add", sys.argv[2], "type", "veth", "peer", "name", "far", "netns", str(peer.pid))
    sh("ip", "addr", "add", "10.9.0.1/24", "dev", sys.argv[2])
    sh("ip", "link", "set", sys.argv[2], "up")
    sh(*inside, "ip", "addr", "add", "10.9.0.2/24", "dev", "far")
    sh(*inside, "ip", "link", "set", "far", "up")
    sh("nft", "-f", sys.argv[1])
    # Each closed port of UDP answers by ICMP, of which the kernel otherwise sends a few alone.
    open("/proc/sys/net/ipv4/icmp_ratemask", "w").write("0")
    ask = '''
import json, socket, sys
found = []
for port in json.loads(sys.argv[1]):
    for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.settimeout(0.4)
            try:
                probe.connect(("10.9.0.1", port))
                if name == "udp":
                    probe.send(b"x"); probe.recv(1)
            except ConnectionRefusedError:
                found.append(f"{name}/{port}")
            except OSError:
                pass
print(json.dumps(found))
'''
    print(subprocess.run([*inside, sys.executable, "-c", ask, sys.argv[3]], check=True, capture_output=True, text=True).stdout)
finally:
    peer.kill(); peer.wait()
"""

OURS = layer("recipes-connectivity/everest-firewall/files/everest-firewall.nft")
BASE = "table inet filter {{ {extra} chain input {{ type filter hook input priority 0; policy drop; {rules}; }}\n}}"
CASES = {
    "the layer's rules, PLC side": ("eth1", OURS),
    "the layer's rules, management side": ("eth0", OURS),
    "the layer's rules, any other": ("eth7", OURS),
    "a set and a jump": (
        "eth1",
        BASE.format(extra="set open { type inet_service; elements = { 22, 50000 }; }\n chain plc { tcp dport @open accept; }\n", rules='iifname "eth1" jump plc'),
    ),
    "a verdict map": ("eth1", BASE.format(extra="", rules="tcp dport vmap { 22 : drop, 443 : accept, 1883 : accept }")),
    "a range with a hole": ("eth1", BASE.format(extra="", rules="udp dport 15118 accept; tcp dport 60000-62000 accept")),
    "an earlier chain drops": (
        "eth1",
        BASE.format(extra="chain early { type filter hook input priority -10; policy accept; tcp dport 443 drop; }\n", rules="tcp dport { 443, 22 } accept"),
    ),
    "no rule for input": ("eth1", "table inet filter { chain forward { type filter hook forward priority 0; policy drop; }\n}"),
    "IPv6 alone": ("eth1", "table ip6 filter { chain input { type filter hook input priority 0; policy drop; }\n}"),
    "a map of interfaces to chains": (
        "eth1",
        BASE.format(
            extra='map sides { type ifname : verdict; elements = { "eth0" : accept, "eth1" : jump plc } }\n chain plc { tcp dport { 22, 443 } accept; }\n',
            rules="iifname vmap @sides; tcp dport 1883 accept",
        ),
    ),
    "interfaces with their ports": ("eth1", BASE.format(extra="", rules='iifname . tcp dport { "eth0" . 22, "eth1" . 443, "eth1" . 60000-62000 } accept')),
    "a named set of protocols with their ports": (
        "eth1",
        BASE.format(extra="set open { type inet_proto . inet_service; elements = { tcp . 22, udp . 15118 }; }\n", rules="meta l4proto . th dport @open accept"),
    ),
    "all but interfaces with their ports": ("eth1", BASE.format(extra="", rules='iifname . tcp dport != { "eth1" . 22, "eth0" . 443 } accept').replace("drop", "accept", 1)),
    "a map of interfaces with their ports": (
        "eth1",
        BASE.format(extra="", rules='iifname . udp dport vmap { "eth1" . 15118 : accept, "eth1" . 50000 : drop, "eth0" . 64109 : accept }; udp dport 64109 accept'),
    ),
    "a return ends the chain": ("eth1", BASE.format(extra="chain x { tcp dport 22 return; accept; }\n", rules="jump x")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_lets_in_what_we_read_from_the_rules(name: str, tmp_path: Path) -> None:
    require("nft", "unshare", "nsenter", "ip")
    if os.getuid():
        pytest.skip("only root can have a network of its own")
    interface, rules = CASES[name]
    (tmp_path / "x.nft").write_text(rules)
    command = ["unshare", "-n", sys.executable, "-c", PROBE, str(tmp_path / "x.nft"), interface, json.dumps(PORTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine lets nobody use nftables")
    assert done.returncode == 0, done.stderr
    open_ = inbound(parse_ruleset(rules, "x.nft"), (interface,))[interface].allowed
    read = {f"{kind}/{port}" for kind in ("tcp", "udp") for port in PORTS if _allows(open_, kind, port)}
    assert set(json.loads(done.stdout)) == read


def _allows(allowed: "frozenset[str] | tuple[str, ...]", kind: str, port: int) -> bool:
    """Whether words such as `tcp/22`, `tcp/60000-62000`, `tcp` or `all` name a port."""
    for word in allowed:
        name, _, ports = word.partition("/")
        first, _, last = ports.partition("-")
        if name in ("all", "any", "everything") or (
            name == kind and (not ports or (first.isdigit() and int(first) <= port <= int(last or first)))
        ):
            return True
    return False
