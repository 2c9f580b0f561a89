"""Program of `target.port`: lives in a network namespace of its own, makes the machine's peer there, and hands its descriptor out.

Arguments: the number of a connected Unix socket, and addresses of the peer. Ends when the socket is closed, and the namespace with it. Standard
library alone: it is started without this package.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys

PEER = "charger"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
"""linux/if_tun.h."""


def main() -> int:
    """Run until the other end of the socket is closed."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", PEER.encode(), IFF_TAP | IFF_NO_PI))
    for address in sys.argv[2:]:
        subprocess.run(["ip", "address", "add", address, "dev", PEER], check=True)
    for interface in ("lo", PEER):
        subprocess.run(["ip", "link", "set", interface, "up"], check=True)
    socket.send_fds(channel, [b"1"], [tap])
    os.close(tap)
    channel.recv(1)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"{error}")
