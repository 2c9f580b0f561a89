"""The packet filter with the real nft (NET-04, LOG-03)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.image.directory import DirectoryTree
from everest_secure.parse.nft import read_ruleset
from everest_secure.parse.nft_inbound import inbound
from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer

RULES = "etc/nftables/everest-firewall.nft"


def load(rules: Path, *commands: str) -> str:
    """Load a rule set with the real nft in a network namespace of its own, twice, then give commands; returns what the kernel has."""
    program = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nft is missing")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespace")
    script = 'nft=$1 && "$nft" --check --file "$2" && "$nft" --file "$2" && "$nft" --file "$2" && shift 2'
    script += ' && for each; do "$nft" "$each" || exit 1; done && "$nft" list ruleset'
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script, "sh", program, str(rules), *commands], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def opened(layer: Bench, **settings: str) -> tuple[str, ...]:
    """What the checker says may come in on the management interface."""
    package = layer.package("everest-firewall", **settings)
    tree = DirectoryTree(package.files, "the package")
    return inbound(read_ruleset(tree, f"/{RULES}"), ("eth0",))["eth0"].allowed


def test_the_kernel_accepts_the_rules_and_drops_by_default(layer: Bench) -> None:
    loaded = load(layer.package("everest-firewall").files / RULES)
    assert "hook input priority filter; policy drop;" in loaded
    assert "hook forward priority filter; policy drop;" in loaded
    assert 'iifname "eth1" tcp dport { 50000, 61341, 64109 } accept' in loaded
    assert 'iifname "eth0"' not in loaded


def test_ports_of_the_management_interface_open_only_by_the_knob(layer: Bench) -> None:
    package = layer.package("everest-firewall", EVEREST_MANAGEMENT_INBOUND_TCP="443 8080", EVEREST_MANAGEMENT_INTERFACE="lan0")
    assert 'iifname "lan0" tcp dport { 443, 8080 } accept' in load(package.files / RULES)


def test_a_knob_that_is_no_port_stops_the_build_with_a_sentence(layer: Bench) -> None:
    with pytest.raises(UserError, match="EVEREST_PLC_INBOUND_TCP has 'ssh', which is no TCP port"):
        layer.package("everest-firewall", EVEREST_PLC_INBOUND_TCP="ssh")


@pytest.mark.parametrize("port", ["", "8883 8884"])
def test_the_mqtt_api_has_one_port(layer: Bench, port: str) -> None:
    with pytest.raises(UserError, match=f"EVEREST_MQTT_API_PORT is '{port}'; set it to one TCP port"):
        layer.package("everest-firewall", EVEREST_MQTT_API="1", EVEREST_MQTT_API_PORT=port)


def test_the_rules_bring_the_kernel_modules_that_they_need(layer: Bench) -> None:
    assert set(layer.package("everest-firewall").recommends) == {
        f"kernel-module-{name}" for name in ("nf-log-syslog", "nf-tables", "nft-ct", "nft-limit", "nft-log")
    }


def test_what_was_sent_to_the_charger_and_refused_is_logged_but_floods_no_log(layer: Bench) -> None:
    loaded = load(layer.package("everest-firewall").files / RULES)
    (logged,) = (line.strip() for line in loaded.splitlines() if " log " in line)
    assert logged == 'meta pkttype host limit rate 10/minute burst 20 packets log prefix "everest-firewall: refused: " level notice'


def test_the_management_side_has_ipv6_by_the_knob_alone(layer: Bench) -> None:
    assert opened(layer, EVEREST_MANAGEMENT_IPV6="0") == ()
    assert opened(layer, EVEREST_MANAGEMENT_IPV6="1") == ("icmpv6", "udp/546")
    loaded = load(layer.package("everest-firewall", EVEREST_MANAGEMENT_IPV6="1").files / RULES)
    assert "nd-router-advert" in loaded
    assert "ip6 hoplimit 255 accept" in loaded


def test_the_port_of_the_mqtt_api_is_open_only_while_it_is_in_the_set(layer: Bench) -> None:
    assert opened(layer, EVEREST_MQTT_API="0") == ()
    assert opened(layer, EVEREST_MQTT_API="1", EVEREST_MQTT_API_PORT="8884") == ("tcp/8884",)
    rules = layer.package("everest-firewall", EVEREST_MQTT_API="1").files / RULES
    assert "elements" not in load(rules)
    loaded = load(rules, "add element inet everest mqtt_api { 8883 timeout 30m }")
    assert "elements = { 8883 timeout 30m expires" in loaded


def test_the_network_does_not_start_without_the_rules(layer: Bench) -> None:
    package = layer.package("everest-firewall")
    assert package.services == ("everest-firewall.service",)
    assert package.enabled
    assert contents(package).keys() == {
        f"/{RULES}",
        f"/{UNITS}/everest-firewall.service",
        f"/{UNITS}/systemd-networkd.service.d/50-everest-firewall.conf",
    }
    drop_in = (package.files / UNITS / "systemd-networkd.service.d/50-everest-firewall.conf").read_text()
    assert "Requires=everest-firewall.service" in drop_in
    assert "Before=network-pre.target" in (package.files / UNITS / "everest-firewall.service").read_text()
