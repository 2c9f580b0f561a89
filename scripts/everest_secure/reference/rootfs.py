"""The image of a slot: squashfs followed by its dm-verity superblock and hash tree in one file (FS-01, FS-02).

The format is what `veritysetup format --hash-offset` writes and `systemd-veritysetup` attaches with the option `hash-offset=`.
"""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ToolError
from everest_secure.run import Tools

BLOCK = 4096
"""Bytes of a data and of a hash block."""
LEFT_OUT = ("var/*", "boot/*", "usr/lib/modules/*/vmlinuz")


@dataclass(frozen=True, slots=True)
class VerityImage:
    """A slot image and what its signed command line must say of it."""

    path: Path
    root_hash: str
    """SHA-256 of the tree's top, 64 hex digits."""
    hash_offset: int
    """Byte at which the superblock starts: the data ends there."""


def pack(tree: Path, image: Path, *, epoch: int, tools: Tools) -> VerityImage:
    """Pack `tree` as squashfs at `image` and append its hash tree; `epoch` (seconds) is the time of the file system. Raises ToolError."""
    image.unlink(missing_ok=True)
    times = ["-mkfs-time", str(epoch), "-all-time", str(epoch)]
    quiet = ["-noappend", "-no-progress", "-quiet"]
    tools.run(
        # The contents of /var stay out, where the data partition is mounted, and the kernel, which is in the UKI.
        ["mksquashfs", tree, image, "-comp", "zstd", "-Xcompression-level", "9", *quiet, *times, "-wildcards", "-e", *LEFT_OUT],
        paths=[tree, image.parent],
    )
    with image.open("r+b") as file:
        size = -(-image.stat().st_size // BLOCK) * BLOCK
        file.truncate(size)
    salt = secrets.token_hex(32)
    said = tools.run(
        ["veritysetup", "format", image, image, f"--hash-offset={size}", f"--data-blocks={size // BLOCK}", f"--salt={salt}"],
        paths=[image.parent],
    )
    root_hash = re.search(rb"^Root hash:\s+([0-9a-f]{64})$", said, flags=re.MULTILINE)
    if root_hash is None:
        raise ToolError(f"veritysetup named no root hash for {image}; run it by hand to see what it says")
    return VerityImage(image, root_hash[1].decode(), size)
