"""Sockets, routes, broker, firewall and USB."""

import socket
from collections.abc import Iterator
from pathlib import Path

from proof import SERVICE_USER, Fact, proves, run

BROKER = "/run/mosquitto/everest.sock"
CLIENTS = {("udp", 68), ("udp6", 546), ("raw6", socket.IPPROTO_ICMPV6)}
"""Sockets by which systemd-networkd asks for addresses and routers."""
LISTENING, UNCONNECTED = "0A", "07"


@proves("NET-06")
def nothing_listens_that_is_not_listed() -> Iterator[Fact]:
    for kind, address, port, program in _listening():
        yield (kind, port) in CLIENTS and program == "systemd-network", f"{kind} {address} port {port}: {program}"
    yield True, "these are all sockets that listen"


@proves("NET-06")
def only_listed_services_run() -> Iterator[Fact]:
    said = run("systemctl", "list-units", "--type=service,socket", "--state=running,listening", "--plain", "--no-legend").stdout
    yield True, f"running: {' '.join(line.split()[0] for line in said.splitlines())}"
    failed = run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend").stdout
    yield not failed.strip(), f"failed units: {failed.strip() or 'none'}"


@proves("NET-01")
def the_broker_is_on_its_socket_alone() -> Iterator[Fact]:
    tcp = [entry for entry in _listening() if entry[3] == "mosquitto"]
    yield not tcp, f"the broker's network sockets: {tcp or 'none'}"
    sent = ("mosquitto_pub", "--unix", BROKER, "-t", "everest/audit", "-m", "x")
    done = run(*sent, user=SERVICE_USER)
    yield done.returncode == 0, f"{SERVICE_USER} publishes: exit code {done.returncode} {done.stdout}"
    done = run(*sent, user="nobody")
    yield done.returncode != 0, f"nobody does not publish: exit code {done.returncode} {done.stdout}"


@proves("NET-05")
def interfaces_are_separate() -> Iterator[Fact]:
    for name in (
        "net/ipv4/ip_forward",
        "net/ipv6/conf/all/forwarding",
        "net/ipv4/conf/all/accept_redirects",
        "net/ipv6/conf/eth1/accept_redirects",
    ):
        value = Path("/proc/sys", name).read_text().strip()
        yield value == "0", f"{name.replace('/', '.')} = {value}"
    for name, filtered in (("eth0", "net/ipv4/conf/eth0/rp_filter"), ("eth1", "net/ipv4/conf/eth1/rp_filter")):
        strictest = max(int(Path("/proc/sys", path).read_text()) for path in ("net/ipv4/conf/all/rp_filter", filtered))
        yield strictest == 1, f"rp_filter of {name} = {strictest}"
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    yield all(route[0] != "eth1" for route in routes), f"IPv4 routes: {', '.join(f'{r[0]} {_ipv4(r[1])}' for r in routes) or 'none'}"
    plc = [line.split() for line in Path("/proc/net/ipv6_route").read_text().splitlines() if line.split()[-1] == "eth1"]
    yield (
        len(plc) > 0 and all(route[0].startswith(("fe80", "ff")) for route in plc),
        f"IPv6 routes of eth1: {' '.join(sorted({r[0][:4] for r in plc}))}",
    )


@proves("NET-04")
def the_firewall_is_loaded() -> Iterator[Fact]:
    rules = run("nft", "list", "ruleset").stdout
    yield "policy drop" in rules and 'iifname "eth1"' in rules, f"nft: {rules}"


@proves("KERN-01")
def the_kernel_is_set_as_listed() -> Iterator[Fact]:
    for line in Path("/usr/lib/sysctl.d/60-everest.conf").read_text().splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or name.startswith(("#", ";")) or "*" in name:
            continue
        file = Path("/proc/sys", name.lstrip("-").replace(".", "/"))
        if not file.exists() and name.startswith("-"):
            continue
        found = file.read_text().split()
        yield found == value.split(), f"{name.lstrip('-')} = {' '.join(found)}"


@proves("NET-08")
def a_usb_disk_is_no_block_device() -> Iterator[Fact]:
    devices = sorted(Path("/sys/class/block").iterdir())
    usb = [device.name for device in devices if "/usb" in str(device.resolve())]
    yield not usb, f"block devices of USB: {', '.join(usb) or 'none'}; there are {' '.join(device.name for device in devices)}"
    bus = Path("/sys/bus/usb/devices")
    plugged = [device for device in bus.glob("[0-9]*-[0-9]*") if ":" not in device.name] if bus.is_dir() else []
    states = [f"{device.name} authorized {(device / 'authorized').read_text().strip()}" for device in plugged]
    yield (
        all(state.endswith("0") for state in states),
        f"USB: {', '.join(states) or 'no device is known, as the kernel has no USB host driver'}",
    )


@proves("NET-07")
def shells_are_masked() -> Iterator[Fact]:
    for unit in ("debug-shell.service", "getty@tty1.service", "serial-getty@ttyS0.service", "emergency.service", "rescue.service"):
        state = run("systemctl", "show", unit, "--property=LoadState", "--value").stdout.strip()
        yield state == "masked", f"{unit} is {state}"


def _listening() -> list[tuple[str, str, int, str]]:
    """Return (kind, address, port, program) of every socket that takes what comes over a network."""
    owners = _owners()
    found = []
    for kind in ("tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6"):
        table = Path("/proc/net", kind)
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            address, _, port = fields[1].rpartition(":")
            if fields[3] == (LISTENING if kind.startswith("tcp") else UNCONNECTED):
                shown = _ipv4(address) if len(address) == 8 else _ipv6(address)
                found.append((kind, shown, int(port, 16), owners.get(fields[9], "kernel")))
    return found


def _owners() -> dict[str, str]:
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
            for descriptor in (process / "fd").iterdir():
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    found[target[8:-1]] = name
        except OSError:
            continue
    return found


def _ipv4(text: str) -> str:
    return socket.inet_ntoa(bytes.fromhex(text)[::-1])


def _ipv6(text: str) -> str:
    words = bytes.fromhex(text)
    return socket.inet_ntop(socket.AF_INET6, b"".join(words[at : at + 4][::-1] for at in range(0, 16, 4)))
