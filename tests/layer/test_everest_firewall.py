import os
import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer

RULES = "etc/nftables/everest-firewall.nft"


def load(rules: Path) -> str:
    """Load a rule set with the real nft in a network namespace of its own, twice, and return what the kernel has."""
    program = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nft is missing")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespace")
    script = '"$0" --check --file "$1" && "$0" --file "$1" && "$0" --file "$1" && "$0" list ruleset'
    done = subprocess.run(["unshare", "-rn", "sh", "-c", script, program, str(rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_the_rules_bring_the_kernel_modules_that_they_need(layer: Bench) -> None:
    assert layer.package("everest-firewall").recommends == ("kernel-module-nf-tables", "kernel-module-nft-ct")


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
