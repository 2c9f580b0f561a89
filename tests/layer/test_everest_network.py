from configparser import ConfigParser

import pytest

from support.layer import Bench, contents

pytestmark = pytest.mark.layer

FILE = "usr/lib/systemd/network/10-everest-plc.network"


def network(layer: Bench, **settings: str) -> ConfigParser:
    package = layer.package("everest-network", **settings)
    assert contents(package) == {f"/{FILE}": 0o644}
    parser = ConfigParser()
    parser.read_string((package.files / FILE).read_text())
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


def test_the_file_is_read_before_the_one_that_asks_for_an_address_on_every_wire() -> None:
    assert FILE.rpartition("/")[2] < "80-wired.network"
