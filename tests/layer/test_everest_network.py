"""The networks as systemd reads them (NET-05)."""

from configparser import ConfigParser

import pytest

from support.layer import Bench, contents

pytestmark = pytest.mark.layer

PLC, MANAGEMENT, OTHER = FILES = ("10-everest-plc.network", "15-everest-management.network", "79-everest-other.network")
DIRECTORY = "usr/lib/systemd/network"
RESOLVED = "usr/lib/systemd/resolved.conf.d/50-everest-resolved.conf"


def network(layer: Bench, file: str = PLC, **settings: str) -> ConfigParser:
    package = layer.package("everest-network", **settings)
    assert contents(package) == {f"/{path}": 0o644 for path in (*(f"{DIRECTORY}/{name}" for name in FILES), RESOLVED)}
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys keep their case: the documented way
    parser.read_string((package.files / DIRECTORY / file).read_text())
    return parser


def test_a_vehicle_gives_the_charger_no_address_route_or_name_server(layer: Bench) -> None:
    rules = network(layer)
    assert rules["Match"]["Name"] == "eth1"
    assert {key: rules["Network"][key] for key in ("DHCP", "IPv6AcceptRA", "LLMNR", "MulticastDNS")} == dict.fromkeys(
        ("DHCP", "IPv6AcceptRA", "LLMNR", "MulticastDNS"), "no"
    )


def test_iso_15118_has_its_link_local_address(layer: Bench) -> None:
    assert network(layer)["Network"]["LinkLocalAddressing"] == "ipv6"


def test_the_interface_is_the_knobs(layer: Bench) -> None:
    assert network(layer, EVEREST_PLC_INTERFACE="plc0")["Match"]["Name"] == "plc0"


def test_the_files_are_read_before_the_one_that_asks_for_an_address_on_every_wire() -> None:
    assert max(FILES) < "80-wired.network"


def test_the_management_side_gets_an_ipv4_address_and_nobody_there_is_its_router(layer: Bench) -> None:
    rules = network(layer, MANAGEMENT, EVEREST_MANAGEMENT_INTERFACE="lan0")
    assert rules["Match"]["Name"] == "lan0"
    assert {key: rules["Network"][key] for key in ("DHCP", "LinkLocalAddressing", "IPv6AcceptRA")} == {
        "DHCP": "ipv4",
        "LinkLocalAddressing": "no",
        "IPv6AcceptRA": "no",
    }


def test_ipv6_comes_by_the_knob(layer: Bench) -> None:
    rules = network(layer, MANAGEMENT, EVEREST_MANAGEMENT_IPV6="1")["Network"]
    assert (rules["DHCP"], rules["LinkLocalAddressing"], rules["IPv6AcceptRA"]) == ("yes", "ipv6", "yes")


def test_any_other_interface_stays_down(layer: Bench) -> None:
    rules = network(layer, OTHER)
    assert "Name" not in rules["Match"]
    assert rules["Link"]["ActivationPolicy"] == "down"


@pytest.mark.parametrize("file", FILES)
def test_the_charger_announces_nothing_and_forwards_nothing(layer: Bench, file: str) -> None:
    found = dict(network(layer, file)["Network"])
    forbidden = {"IPForward", "IPv4Forwarding", "IPv6Forwarding", "IPMasquerade", "DHCPServer", "Bridge"}
    assert not forbidden & found.keys()
    assert {found.get(key, "no") for key in ("LLMNR", "MulticastDNS", "EmitLLDP", "IPv6SendRA")} == {"no"}


def test_names_come_from_the_operator_alone_and_no_socket_waits_for_questions(layer: Bench) -> None:
    parser = ConfigParser()
    parser.read_string((layer.package("everest-network").files / RESOLVED).read_text())
    assert dict(parser["Resolve"]) == {"fallbackdns": "", "llmnr": "no", "multicastdns": "no", "dnsstublistener": "no"}
