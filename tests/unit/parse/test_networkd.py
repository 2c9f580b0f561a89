"""Files of systemd-networkd; systemd-analyze says which drop-ins belong to a file and in which order."""

from pathlib import Path

import pytest

from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.networkd import families, networks_of, read_networks
from everest_secure.parse.unit_file import Assignment
from support.images import tool
from support.reference import require
from support.rootfs import RootFs


def matching(interface: str, *matches: str) -> list[str]:
    fs = RootFs()
    for number, match in enumerate(matches):
        fs.file(f"/usr/lib/systemd/network/{number}.network", f"[Match]\n{match}\n")
    return [network.path[-9:-8] for network in networks_of(interface, read_networks(fs.tree))]


@pytest.mark.parametrize(
    ("matches", "expected"),
    [
        (("Name=eth0", "Name=eth1", "Name=*"), ["1"]),
        (("Name=eth0 eth1",), ["0"]),
        (("Name=eth0\nName=eth1",), ["0"]),
        (("Name=eth[01]", "Name=*"), ["0"]),
        (("Name=!eth0", "Name=*"), ["0"]),
        (("Name=!eth0 eth1", "Name=*"), ["1"]),
        (("Type=ether", "Name=eth1", "Name=*"), ["0", "1"]),
        (("Name=eth1\nMACAddress=02:00:00:00:00:01", "Name=eth1"), ["0", "1"]),
        (("Name=eth0\nType=ether", "Name=*"), ["1"]),
        (("Name=eth1\nName=",), []),
        (("",), []),
    ],
)
def test_the_first_file_whose_name_fits_is_the_interfaces(matches: tuple[str, ...], expected: list[str]) -> None:
    assert matching("eth1", *matches) == expected


def test_systemd_agrees_on_drop_ins_and_their_order(tmp_path: Path) -> None:
    require("systemd-analyze")
    files = {
        "/usr/lib/systemd/network/10-a.network": "[Match]\nName=a\n",
        "/usr/lib/systemd/network/10-a.network.d/20-x.conf": "[Network]\nDNS=192.0.2.1\n",
        "/etc/systemd/network/10-a.network.d/10-y.conf": "[Network]\nDNS=192.0.2.2\n",
        "/etc/systemd/network/10-a.network.d/20-x.conf": "[Network]\nDNS=192.0.2.3\n",
        "/usr/local/lib/systemd/network/10-a.network.d/30-z.conf": "[Network]\nDNS=192.0.2.4\n",
        "/usr/local/lib/systemd/network/10-a.network.d/30-z.txt": "[Network]\nDNS=192.0.2.5\n",
    }
    fs = RootFs()
    for path, text in files.items():
        fs.file(path, text)
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(text)
    said = tool("systemd-analyze", "cat-config", f"--root={tmp_path}", "systemd/network/10-a.network").decode()
    wanted = [line.removeprefix("DNS=") for line in said.splitlines() if line.startswith("DNS=")]
    (network,) = read_networks(fs.tree)
    assert [each.value for each in network.assigned("Network", "DNS")] == wanted == ["192.0.2.2", "192.0.2.3", "192.0.2.4"]


def test_systemd_agrees_on_the_configuration_of_a_daemon(tmp_path: Path) -> None:
    require("systemd-analyze")
    files = {
        "/etc/systemd/journald.conf": "[Journal]\nStorage=auto\n",
        "/usr/lib/systemd/journald.conf.d/00-a.conf": "[Journal]\nStorage=volatile\n",
        "/etc/systemd/journald.conf.d/50-b.conf": "[Journal]\nStorage=none\n",
        "/usr/lib/systemd/journald.conf.d/50-b.conf": "[Journal]\nStorage=persistent\n",
    }
    fs = RootFs()
    for path, text in files.items():
        fs.file(path, text)
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(text)
    said = tool("systemd-analyze", "cat-config", f"--root={tmp_path}", "systemd/journald.conf").decode()
    wanted = [line.partition("=")[2] for line in said.splitlines() if line.startswith("Storage=")]
    assert [each.value for each in read_daemon_conf(fs.tree, "journald.conf")] == wanted == ["auto", "volatile", "none"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("yes", {"ipv4", "ipv6"}), ("both", {"ipv4", "ipv6"}), ("true", {"ipv4", "ipv6"}), ("ipv4", {"ipv4"}), ("v4", {"ipv4"}),
        ("ipv6", {"ipv6"}), ("ipv4-fallback", {"ipv4"}), ("no", set()), ("none", set()), ("0", set()),
    ],
)  # fmt: skip
def test_a_value_names_families(value: str, expected: set[str]) -> None:
    assert families(Assignment("Network", "DHCP", value, "x", 1), "no") == expected
