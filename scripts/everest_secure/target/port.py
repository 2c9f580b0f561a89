"""A network port of a machine: a cable to an interface in a network namespace that nobody else is in, and programs run there.

User namespaces make this work for ordinary users too (unshare(1), user_namespaces(7)).
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ToolError
from everest_secure.run import Argument, Completed, attempt, running
from everest_secure.target import portholder

PEER = portholder.PEER
"""The interface on this side of the cable."""
START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Cable:
    """Where a port of the machine leads."""

    name: str
    """`management`, `plc`."""
    mac: str
    """Hardware address of the machine's interface."""
    addresses: tuple[str, ...] = ()
    """Of the peer, with prefix length; it has an IPv6 link-local one anyway."""


MANAGEMENT = Cable("management", "52:54:00:e5:ec:00", ("192.0.2.1/24",))
PLC = Cable("plc", "52:54:00:e5:ec:01")


@dataclass(frozen=True, slots=True)
class Port:
    """An open cable."""

    cable: Cable
    descriptor: int
    """The tap device that QEMU gets."""
    holder: int
    """Process in the namespace."""

    def run(self, argv: Sequence[Argument], *, seconds: float, stdin: bytes = b"") -> Completed:
        """Run a program on this side of the cable, where PEER is the only interface; raises ToolError when it is missing or takes too long."""
        return attempt([*self.enter(), *argv], limit=seconds, stdin=stdin)

    def enter(self) -> list[Argument]:
        """Return the words before a command that run it on this side."""
        return ["nsenter", f"--target={self.holder}", "--user", "--preserve-credentials", "--net", "--"]

    def link_local(self) -> str:
        """Return the machine's IPv6 link-local address as its hardware address gives it (RFC 4291, appendix A), with PEER as its zone."""
        first, *rest = (int(part, 16) for part in self.cable.mac.split(":"))
        octets = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
        address = socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + octets)
        return f"{address}%{PEER}"


@contextmanager
def opened(cable: Cable) -> Iterator[Port]:
    """Open a cable for as long as the context lasts.

    Raises ToolError when this computer gives no user namespaces or tap devices.
    """
    near, far = socket.socketpair()
    program: list[Argument] = [sys.executable, "-I", "-S", Path(portholder.__file__), str(far.fileno()), *cable.addresses]
    with (
        far,
        running(["unshare", "--user", "--map-root-user", "--net", "--", *program], inherits=[far.fileno()]) as process,
        # Closed first: the holder then ends by itself.
        near,
    ):
        far.close()
        descriptor = _descriptor(near, process)
        try:
            yield Port(cable, descriptor, process.pid)
        finally:
            os.close(descriptor)


def _descriptor(channel: socket.socket, process: subprocess.Popen[bytes]) -> int:
    """Return the tap device that the holder hands out."""
    channel.settimeout(START_SECONDS)
    try:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    except OSError:
        descriptors = []
    if descriptors:
        return descriptors[0]
    process.terminate()
    _, said = process.communicate()
    lines = said.decode(errors="replace").split("\n")
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    raise ToolError(
        f"there is no network of its own for the machine: {reason}; allow user namespaces and /dev/net/tun, or run it with --network user"
    )
