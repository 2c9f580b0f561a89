"""The image of a slot: squashfs or EROFS followed by its dm-verity superblock and hash tree in one file (FS-01, FS-02).

The format is what `veritysetup format --hash-offset` writes and `systemd-veritysetup` attaches with the option `hash-offset=`.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ToolError
from everest_secure.reference.recipes.image import ImageRecipe
from everest_secure.run import Argument, Tools

BLOCK = 4096
"""Bytes of a data and of a hash block."""


@dataclass(frozen=True, slots=True)
class VerityImage:
    """A slot image and what its signed command line must say of it."""

    path: Path
    root_hash: str
    """SHA-256 of the tree's top, 64 hex digits."""
    hash_offset: int
    """Byte at which the superblock starts: the data ends there."""


def keep_kernel_configuration(tree: Path) -> None:
    """Copy the configuration of each kernel from /boot, which is no part of a slot, to where the layer's kernels have it (KERN-01).

    Raises ToolError when a kernel brings none.
    """
    directories = [directory for directory in (tree / "usr/lib/modules").glob("*") if directory.is_dir()]
    for directory in directories:
        source = tree / "boot" / f"config-{directory.name}"
        if not source.is_file():
            raise ToolError(f"Debian's kernel {directory.name} brings no configuration in /boot; clear the cache and build again")
        (directory / "config").write_bytes(source.read_bytes())
        (directory / "config").chmod(0o644)


def pack(tree: Path, image: Path, recipe: ImageRecipe, *, epoch: int, tools: Tools) -> VerityImage:
    """Pack `tree` at `image`, in the recipe's format and without what it leaves out, and append its hash tree. Raises ToolError.

    `epoch` (seconds) is the time of its files. Salt and UUID are the SHA-256 of the data, as the layer's everest-secure-verity.bbclass has it.
    """
    image.unlink(missing_ok=True)
    tools.run(_command(tree, image, recipe, epoch), paths=[tree, image.parent])
    with image.open("r+b") as file:
        size = -(-image.stat().st_size // BLOCK) * BLOCK
        file.truncate(size)
    with image.open("rb") as file:
        salt = hashlib.file_digest(file, "sha256").digest()
    options = [f"--hash-offset={size}", f"--data-blocks={size // BLOCK}", f"--salt={salt.hex()}", f"--uuid={uuid.UUID(bytes=salt[:16])}"]
    said = tools.run(["veritysetup", "format", image, image, *options], paths=[image.parent])
    root_hash = re.search(rb"^Root hash:\s+([0-9a-f]{64})$", said, flags=re.MULTILINE)
    if root_hash is None:
        raise ToolError(f"veritysetup named no root hash for {image}; run it by hand to see what it says")
    return VerityImage(image, root_hash[1].decode(), size)


def _command(tree: Path, image: Path, recipe: ImageRecipe, epoch: int) -> list[Argument]:
    """Return the command by which OE-Core's image_types.bbclass makes the file system; `epoch` is its SOURCE_DATE_EPOCH."""
    match recipe.root_type:
        case "squashfs-zst":
            times = ["-mkfs-time", str(epoch), "-all-time", str(epoch)]
            return ["mksquashfs", tree, image, "-noappend", "-quiet", "-comp", "zstd", *times, *recipe.root_options]
        case "erofs-lz4hc":
            return ["mkfs.erofs", "-zlz4hc", *recipe.root_options, image, tree]
        case other:
            raise ToolError(f"EVEREST_ROOT_FSTYPE is '{other}', which is not made here; set it to squashfs-zst or erofs-lz4hc")
