from dataclasses import replace

import pytest

from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.rootfs import LOCAL, UNITS, failing, good_root, production

PLC = "/usr/lib/systemd/network/10-everest-plc.network"
OWN = "/etc/systemd/network"
SETTINGS = "/usr/lib/sysctl.d/60-everest.conf"


def plc(name: str, pattern: str, new: str) -> Mutation:
    return Mutation(name, "NET-05", lambda fs: fs.replace(PLC, pattern, new))


def setting(name: str, line: str) -> Mutation:
    return Mutation(name, "NET-05", lambda fs: fs.file("/etc/sysctl.d/99-product.conf", line + "\n"))


MUTATIONS = [
    setting("IPv4 is forwarded", "net.ipv4.ip_forward = 1"),
    setting("IPv6 is forwarded", "net/ipv6/conf/all/forwarding = 1"),
    setting("IPv6 is forwarded on one interface", "net.ipv6.conf.eth0.forwarding=1"),
    setting("redirects of the vehicle are followed", "net.ipv4.conf.eth1.accept_redirects = 1"),
    setting("redirects are followed by interfaces to come", "net.ipv6.conf.default.accept_redirects=1"),
    setting("redirects are sent", "net.ipv4.conf.all.send_redirects=1"),
    setting("any source address is believed", "net.ipv4.conf.*.rp_filter = 0"),
    setting("a setting is left to the kernel", "-net.ipv4.conf.eth1.accept_source_route"),
    Mutation("no settings are installed", "NET-05", lambda fs: fs.remove(SETTINGS)),
    Mutation("the settings are a link to the data partition", "NET-05", lambda fs: move_behind(fs, SETTINGS)),
    Mutation("the PLC side's file is a link to the data partition", "NET-05", lambda fs: move_behind(fs, PLC)),
    Mutation("an empty file hides the settings", "NET-05", lambda fs: fs.file("/etc/sysctl.d/60-everest.conf", "")),
    Mutation("the settings are not made", "NET-05", lambda fs: fs.remove(f"{UNITS}/sysinit.target.wants/systemd-sysctl.service")),
    plc("networkd forwards", r"^\[Network\]$", "[Network]\nIPv4Forwarding=yes"),
    plc("networkd forwards one family", r"^\[Network\]$", "[Network]\nIPForward=ipv6"),
    Mutation(
        "another interface masquerades",
        "NET-05",
        lambda fs: fs.file(f"{OWN}/15-everest-management.network.d/x.conf", "[Network]\nIPMasquerade=both\n"),
    ),
    Mutation(
        "a bridge that networkd makes masquerades",
        "NET-05",
        lambda fs: (
            fs.file(f"{OWN}/br0.netdev", "[NetDev]\nName=br0\nKind=bridge\n"),
            fs.file(f"{OWN}/br0.network", "[Match]\nName=br*\nKind=bridge\n[Network]\nIPMasquerade=ipv4\n"),
        ),
    ),
    Mutation(
        "networkd's own configuration forwards",
        "NET-05",
        lambda fs: fs.file("/etc/systemd/networkd.conf.d/x.conf", "[Network]\nIPv6Forwarding=yes\n"),
    ),
    Mutation("networkd does not start", "NET-05", lambda fs: fs.remove(f"{LOCAL}/multi-user.target.wants/systemd-networkd.service")),
    plc("the vehicle gives an address", "^DHCP=no$", "DHCP=yes"),
    plc("the vehicle gives an IPv4 address", "^DHCP=no$", "DHCP=ipv4"),
    plc("the vehicle's advertisements count", "^IPv6AcceptRA=no$", "IPv6AcceptRA=yes"),
    plc("the vehicle's advertisements count by default", "^IPv6AcceptRA=no$", ""),
    plc("the vehicle gets routes", "^IPv6SendRA=no$", "IPv6SendRA=yes"),
    plc("the vehicle gets an address", r"^\[Network\]$", "[Network]\nDHCPServer=yes"),
    plc("the PLC side has an address", r"^\[Network\]$", "[Network]\nAddress=192.168.7.1/24"),
    plc("the PLC side has an address in a section of its own", r"^\[Network\]$", "[Address]\nAddress=fd00::1/64\n[Network]"),
    plc("the PLC side has a gateway", r"^\[Network\]$", "[Network]\nGateway=192.168.7.254"),
    plc("the PLC side is left to the kernel", r"^\[Network\]$", "[Link]\nUnmanaged=yes\n[Network]"),
    plc("the vehicle is the gateway to everywhere", r"^\[Network\]$", "[Network]\nGateway=fe80::1"),
    plc("the vehicle is the gateway of a route", r"^\[Network\]$", "[Route]\nGateway=169.254.7.1\nGatewayOnLink=yes\n[Network]"),
    plc("the wire to the vehicle is the way to everywhere", r"^\[Network\]$", "[Network]\nDefaultRouteOnDevice=yes"),
    plc("the PLC side has a route", r"^\[Network\]$", "[Route]\nDestination=10.0.0.0/8\n[Network]"),
    plc("the PLC side is bridged", r"^\[Network\]$", "[Network]\nBridge=br0"),
    Mutation(
        "a drop-in asks the vehicle for an address",
        "NET-05",
        lambda fs: fs.file(f"{OWN}/10-everest-plc.network.d/x.conf", "[Network]\nDHCP=yes\n"),
    ),
    Mutation(
        "an earlier file takes the PLC side",
        "NET-05",
        lambda fs: fs.file(f"{OWN}/05-all.network", "[Match]\nName=eth*\n[Network]\nIPv6AcceptRA=no\nDHCP=yes\n"),
    ),
    Mutation(
        "an earlier file may take the PLC side",
        "NET-05",
        lambda fs: fs.file(f"{OWN}/05-wire.network", "[Match]\nType=ether\n[Network]\nIPv6AcceptRA=no\nDHCP=yes\n"),
    ),
    Mutation(
        "no file is for the PLC side",
        "NET-05",
        lambda fs: (
            [fs.remove(f"/usr/lib/systemd/network/{name}") for name in ("79-everest-other.network", "80-wired.network")] + [fs.remove(PLC)]
        ),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_later_file_for_every_wire_does_not_reach_the_plc_side() -> None:
    assert failing(good_root().file(f"{OWN}/90-wire.network", "[Match]\nName=eth*\n[Network]\nDHCP=yes\n")) == {}


def test_a_file_that_matches_nothing_is_no_file() -> None:
    assert failing(good_root().file(f"{OWN}/05-nobody.network", "[Network]\nDHCP=yes\n")) == {}


def test_link_local_addresses_and_routes_are_allowed_on_the_plc_side() -> None:
    fs = good_root().replace(PLC, r"^\[Network\]$", "[Network]\nAddress=fe80::1/64\nAddress=169.254.7.1/16")
    assert failing(fs.append(PLC, "[Route]\nDestination=ff02::/16\n")) == {}


def test_what_systemd_has_for_containers_that_nobody_makes_forwards_nothing() -> None:
    fs = good_root()
    for name, match in (("ve", "Name=ve-*\nDriver=veth"), ("vz", "Name=vz-*\nKind=bridge")):
        fs.file(
            f"/usr/lib/systemd/network/80-container-{name}.network", f"[Match]\n{match}\n[Network]\nDHCPServer=yes\nIPMasquerade=both\n"
        )
    assert failing(fs) == {}


def test_a_setting_of_a_vlan_s_interface_is_found_by_its_name_with_a_dot() -> None:
    policy = replace(production(), inbound={**production().inbound, "eth0.100": ()})
    assert "NET-05" not in failing(good_root(), policy)
    fs = good_root().file("/etc/sysctl.d/99-product.conf", "net/ipv4/conf/eth0.100/accept_redirects = 1\n")
    assert "net/ipv4/conf/eth0.100/accept_redirects is set to '1'" in failing(fs, policy)["NET-05"][0]
