"""File systems and archives, read down to the last byte."""

import re
from collections.abc import Iterator
from pathlib import Path

from everest_secure.image.artefact import Opener
from everest_secure.image.blob import from_bytes
from everest_secure.image.cpio import open_cpio
from everest_secure.image.erofs import open_erofs
from everest_secure.image.ext4 import open_ext4
from everest_secure.image.squashfs import open_squashfs
from everest_secure.image.tar import open_tar
from everest_secure.image.vfat import open_vfat
from fuzz.target import target
from support.images import initial_ram_disk, set_attributes, tool
from support.reading import everything

LONGEST = 1 << 20
_USTAR = re.compile(rb"ustar(?:\0|  \0)")


def read(opener: Opener, data: bytes) -> None:
    """Open bytes with one format's reader and read all that is there."""
    artefact = opener(from_bytes(data, "input"), 0)
    if artefact is not None:
        everything(artefact, longest=LONGEST)


def little_tree(root: Path) -> Path:
    """Fill a directory with one of each thing that keeps a format busy, in few bytes."""
    for name in ("etc/deep", "usr/bin", "many"):
        (root / name).mkdir(parents=True)
    (root / "etc/tiny").write_bytes(b"x" * 59)
    (root / "etc/inline-more").write_bytes(b"z" * 150)
    (root / "etc/passwd").write_bytes(b"root:*:0:0::/root:/bin/false\n")
    (root / "usr/bin/big").write_bytes(bytes(range(256)) * 40)
    with (root / "usr/bin/sparse").open("wb") as file:
        file.seek(200_000)
        file.write(b"end of a hole")
    (root / "etc/link").symlink_to("passwd")
    (root / "etc/long-link").symlink_to("/" + "c/" * 45)
    (root / "etc/hard").hardlink_to(root / "etc/passwd")
    for number in range(20):
        (root / "many" / f"{'name-' * 12}{number}").touch()
    set_attributes(root)
    return root


def _ext4(work: Path) -> Iterator[bytes]:
    root = little_tree(work / "root")
    for number, options in enumerate(
        (
            ("-t", "ext2"),
            ("-t", "ext4", "-O", "^metadata_csum,^has_journal"),
            ("-t", "ext4", "-O", "^metadata_csum,^has_journal,inline_data,meta_bg,^resize_inode"),
            ("-t", "ext4", "-O", "^metadata_csum,^has_journal,bigalloc", "-C", "4096"),
        )
    ):
        image = work / f"ext-{number}"
        tool("mke2fs", "-q", "-F", "-b", "1024", "-N", "64", *options, "-d", root, image, "192k")
        yield image.read_bytes()


@target(seeds=_ext4)
def ext4(data: bytes) -> None:
    """ext2, ext3 and ext4."""
    read(open_ext4, data)


def _squashfs(work: Path) -> Iterator[bytes]:
    root = little_tree(work / "root")
    plain = ("-noI", "-noD", "-noF", "-noX")
    for number, options in enumerate(
        (plain, (*plain, "-no-fragments"), *(("-comp", name) for name in ("gzip", "xz", "zstd", "lz4", "lzo")))
    ):
        image = work / f"squashfs-{number}"
        tool("mksquashfs", root, image, "-no-progress", "-nopad", *options)
        yield image.read_bytes()


@target(seeds=_squashfs)
def squashfs(data: bytes) -> None:
    """SquashFS with every compressor, and with none, so that what is inside can be altered."""
    read(open_squashfs, data)


def _erofs(work: Path) -> Iterator[bytes]:
    root = little_tree(work / "root")
    small = ("-Enosbcrc",)
    for number, options in enumerate(
        (
            small,
            (*small, "-Eforce-inode-extended"),
            (*small, "--chunksize=4096"),
            ("-Enosbcrc", "-zlz4hc", "-C8192"),
            ("-zlz4", "-Enosbcrc,ztailpacking,fragments,dedupe"),
        )
    ):
        image = work / f"erofs-{number}"
        tool("mkfs.erofs", "--quiet", *options, image, root)
        yield image.read_bytes()


@target(seeds=_erofs)
def erofs(data: bytes) -> None:
    """EROFS."""
    read(open_erofs, data)


def _vfat(work: Path) -> Iterator[bytes]:
    (work / "a long name on the disk.txt").write_text("text" * 1000)
    for number, options in enumerate((("-F", "12"), ("-F", "16", "-s", "1"), ("-F", "32", "-s", "1"))):
        image = work / f"vfat-{number}"
        with image.open("wb") as disk:
            disk.truncate((64, 4400, 33_792)[number] * 1024)
        tool("mkfs.vfat", *options, "-n", "EFI", image)
        tool("mmd", "-i", image, "::/directory with a name")
        tool("mcopy", "-i", image, work / "a long name on the disk.txt", "::/directory with a name")
        content = image.read_bytes()
        yield content[: len(content.rstrip(b"\0")) + 4096] if number == 0 else content[:4096] + content[4096:].rstrip(b"\0")


@target(seeds=_vfat)
def vfat(data: bytes) -> None:
    """FAT; what lies behind the input is zero, so that inputs stay small."""
    total = int.from_bytes(data[19:21], "little") or int.from_bytes(data[32:36], "little")
    size = min(total * int.from_bytes(data[11:13], "little"), 40 << 20)
    read(open_vfat, data.ljust(size, b"\0"))


def _tar(work: Path) -> Iterator[bytes]:
    root = little_tree(work / "root")
    for name in ("posix", "gnu", "ustar"):
        options = ["--sparse"] * (name != "ustar") + ["--xattrs", "--acls"] * (name == "posix")
        yield tool("tar", f"--format={name}", "--owner=0:0", *options, "-C", root, "-c", ".")


@target(seeds=_tar)
def tar(data: bytes) -> None:
    """Tar archives, whose headers get a right check sum: nothing behind it would be reached otherwise."""
    raw = bytearray(data)
    for found in _USTAR.finditer(data):
        start = found.start() - 257
        if start >= 0 and len(raw) >= start + 512:
            raw[start + 148 : start + 156] = b" " * 8
            raw[start + 148 : start + 156] = b"%06o\0 " % sum(raw[start : start + 512])
    read(open_tar, bytes(raw))


def _cpio(work: Path) -> Iterator[bytes]:
    root = little_tree(work / "root")
    yield from (initial_ram_disk(root, form) for form in ("newc", "crc"))
    yield tool("gzip", "-c", stdin=initial_ram_disk(root))


@target(seeds=_cpio)
def cpio(data: bytes) -> None:
    """Cpio archives, one behind the other, compressed or not."""
    read(open_cpio, data)
