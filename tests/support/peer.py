"""Programs for the other end of a machine's cable, run in that network by the system's Python with the standard library alone.

`peer.py dhcp ADDRESS` gives ADDRESS to whoever asks, until it is stopped. `peer.py scan tcp|udp ADDRESS` prints every port that answers, and how, as
JSON: `{"50000": "closed"}`. A port whose packets are dropped does not answer.
"""

import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

PEER = "charger"
PORTS = range(1, 65536)
SOURCE = 40000
BATCH, PAUSE_SECONDS, PASSES, QUIET_SECONDS = 64, 0.005, 2, 3.0
"""Packets are sent in small batches, so that an emulated machine does not drop them, and all of them twice."""
SYN, RST, SYN_ACK = 0x02, 0x04, 0x12
MAGIC = b"\x63\x82\x53\x63"


def dhcp(address: str) -> None:
    """Answer every DHCP client with one address (RFC 2131)."""
    server = socket.inet_aton("192.0.2.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, PEER.encode())
        channel.bind(("", 67))
        while True:
            request = channel.recv(2048)
            at = request.find(b"\x35\x01", 240)
            if request[236:240] != MAGIC or at < 0:
                continue
            answer = {1: 2, 3: 5}.get(request[at + 2])
            if answer is None:
                continue
            options = {53: bytes([answer]), 54: server, 51: struct.pack(">I", 3600), 1: bytes([255, 255, 255, 0]), 3: server}
            fixed = struct.pack(
                ">4B4sHH4s4s4s4s16s192x", 2, 1, 6, 0, request[4:8], 0, 0x8000, b"", socket.inet_aton(address), server, b"", request[28:44]
            )
            body = b"".join(bytes([code, len(value)]) + value for code, value in options.items())
            channel.sendto(fixed + MAGIC + body + b"\xff", ("255.255.255.255", 68))


def scan(protocol: str, address: str) -> dict[str, str]:
    """Return how each port that answers does: `open` or `closed`."""
    family, *_, place = socket.getaddrinfo(address, None)[0]
    found: dict[str, str] = {}
    send, read = _tcp(family, place) if protocol == "tcp" else _udp(family, place)
    for _ in range(PASSES):
        for first in range(PORTS.start, PORTS.stop, BATCH):
            for port in range(first, min(first + BATCH, PORTS.stop)):
                send(port)
            time.sleep(PAUSE_SECONDS)
            found.update(read(0))
        end = time.monotonic() + QUIET_SECONDS
        while (left := end - time.monotonic()) > 0:
            found.update(read(left))
    return found


Way = tuple[Callable[[int], None], Callable[[float], Iterator[tuple[str, str]]]]


def _tcp(family: int, place: tuple[Any, ...]) -> Way:
    """Ask by SYN segments; the kernel here ends what is opened, as it knows nothing of it."""
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    raw.bind(_own(family, place))
    source = raw.getsockname()[0].split("%")[0]
    if family == socket.AF_INET6:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 16)

    def send(port: int) -> None:
        segment = struct.pack(">HHIIBBHHH", SOURCE, port, 1, 0, 5 << 4, SYN, 1024, 0, 0)
        if family == socket.AF_INET:
            pseudo = socket.inet_aton(source) + socket.inet_aton(place[0]) + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(segment))
            segment = segment[:16] + struct.pack(">H", _checksum(pseudo + segment)) + segment[18:]
        raw.sendto(segment, place)

    def answers(packet: bytes) -> Iterator[tuple[str, str]]:
        port, ours, _, _, _, flags = struct.unpack_from(">HHIIBB", packet)
        if ours == SOURCE and flags & RST:
            yield str(port), "closed"
        elif ours == SOURCE and flags & SYN_ACK == SYN_ACK:
            yield str(port), "open"

    return send, _reader(raw, family, answers)


def _udp(family: int, place: tuple[Any, ...]) -> Way:
    """Ask by empty datagrams; a port that nobody has is told by ICMP, where the firewall lets it through."""
    six = family == socket.AF_INET6
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    asking = socket.socket(family, socket.SOCK_DGRAM)
    asking.bind(("", SOURCE))

    def send(port: int) -> None:
        asking.sendto(b"", (place[0], port, *place[2:]))

    def answers(packet: bytes) -> Iterator[tuple[str, str]]:
        # Type and code of "port unreachable" (RFC 792, RFC 4443), then the datagram that was not wanted.
        if packet[:2] == (b"\x01\x04" if six else b"\x03\x03"):
            ports = packet[8 + (40 if six else 20) :]
            yield str(struct.unpack_from(">HH", ports)[1]), "closed"

    icmp = _reader(raw, family, answers)

    def read(seconds: float) -> Iterator[tuple[str, str]]:
        yield from icmp(seconds)
        while True:
            try:
                _, sender = asking.recvfrom(2048, socket.MSG_DONTWAIT)
            except OSError:
                return
            yield str(sender[1]), "open"

    return send, read


def _reader(
    raw: socket.socket, family: int, answers: Callable[[bytes], Iterator[tuple[str, str]]]
) -> Callable[[float], Iterator[tuple[str, str]]]:
    def read(seconds: float) -> Iterator[tuple[str, str]]:
        # Only reading does not wait: what is sent waits until the machine has room for it.
        select.select([raw], [], [], seconds)
        while True:
            try:
                packet = raw.recv(2048, socket.MSG_DONTWAIT)
            except OSError:
                return
            yield from answers(packet if family == socket.AF_INET6 else packet[(packet[0] & 15) * 4 :])

    return read


def _own(family: int, place: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return this side's address towards `place`."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((place[0], 9, *place[2:]))
        address, _, *zone = probe.getsockname()
        return address, 0, *zone


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


if __name__ == "__main__":
    if sys.argv[1] == "dhcp":
        dhcp(sys.argv[2])
    else:
        print(json.dumps(scan(sys.argv[2], sys.argv[3])))
