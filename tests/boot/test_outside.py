"""What both networks of a charger show of it (NET-01 to NET-06). Run by `make boot`, after `make demo`."""

import pytest

from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import load_profile
from support.charger_in_qemu import Charger

from .conftest import Witness

pytestmark = pytest.mark.boot


def answering(charger: Charger, proof: Witness, *scans: str) -> set[str]:
    """Return what answered to these scans of all ports, as policies name it: `tcp/50000`."""
    found = {f"{scan.split()[1]}/{port}" for scan in scans for port in charger.scans[scan]}
    proof.excerpt(f"{scan}: {charger.scans[scan] or 'no port of 65535 answers'}" for scan in scans)
    return found


def inbound(interface: str) -> set[str]:
    catalogue = load_catalogue()
    return {entry for entry in load_profile("reference", catalogue=catalogue).parameters.inbound[interface] if "/" in entry}


@pytest.mark.proves("NET-04", "NET-06")
def test_from_the_vehicles_side_exactly_the_ports_of_the_policy_answer(charger: Charger, proof: Witness) -> None:
    assert answering(charger, proof, "plc tcp ipv6", "plc udp ipv6") == inbound("eth1")


@pytest.mark.proves("NET-01", "NET-02", "NET-03", "NET-04", "NET-06")
def test_from_the_operators_side_no_port_answers(charger: Charger, proof: Witness) -> None:
    scans = [scan for scan in charger.scans if scan.startswith("management ")]
    assert len(scans) == 4
    assert answering(charger, proof, *scans) == inbound("eth0") == set()


@pytest.mark.proves("NET-06", "NET-04")
def test_where_the_firewall_lets_through_nothing_listens_in_this_image(charger: Charger, proof: Witness) -> None:
    proof.excerpt([f"plc: {charger.scans['plc tcp ipv6']}"])
    assert set(charger.scans["plc tcp ipv6"].values()) == {"closed"}
