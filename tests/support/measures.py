"""What QEMU counted of a machine since power on."""

from dataclasses import dataclass
from typing import Any, cast

from everest_secure.target.session import Session


@dataclass(frozen=True)
class Writes:
    """Writes to a disk."""

    operations: int
    size: int
    """Bytes."""


def disk_writes(session: Session) -> Writes:
    """Return what the machine has written to its first disk."""
    devices = cast("list[dict[str, Any]]", session.emulator.qmp.execute("query-blockstats"))
    (found,) = [device["stats"] for device in devices if device["device"] == "disk"]
    return Writes(found["wr_operations"], found["wr_bytes"])
