"""Partition tables, what is wrapped around file systems, and bundles."""

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from everest_secure.image.blob import from_bytes
from everest_secure.image.bmap import read_block_map
from everest_secure.image.compressed import open_compressed
from everest_secure.image.gpt import open_gpt
from everest_secure.image.manifest import parse_manifest
from everest_secure.image.mbr import open_mbr
from everest_secure.image.raucb import open_bundle
from everest_secure.image.streams import decompressed, method_of
from everest_secure.image.verity import open_verity
from everest_secure.parse.encryption import read_luks
from everest_secure.parse.unpacking import unpacked
from fuzz.target import target
from fuzz.targets.file_systems import little_tree, read
from support.images import rauc_bundle, tool, verity_image

_SECTOR = 512


def _squashfs(work: Path) -> Path:
    tool("mksquashfs", little_tree(work / "root"), work / "image", "-no-progress")
    return work / "image"


def _gpt(work: Path) -> Iterator[bytes]:
    image = _squashfs(work).read_bytes()
    disk = work / "disk"
    with disk.open("wb") as file:
        file.truncate((200 + len(image) // _SECTOR) * _SECTOR)
    script = f"label: gpt\nfirst-lba: 34\nstart=40, size=8, name=efi\nstart=48, size={len(image) // _SECTOR + 8}, name=root\n"
    tool("sfdisk", "--quiet", disk, stdin=script.encode())
    raw = disk.read_bytes()
    yield raw
    yield raw[: 48 * _SECTOR] + image + raw[48 * _SECTOR + len(image) :]


def _with_right_check_sums(data: bytes) -> bytes:
    """Return a disk whose two partition tables have right check sums: nothing behind them would be reached otherwise."""
    raw = bytearray(data)
    for at in (_SECTOR, len(raw) - _SECTOR):
        if raw[at : at + 8] != b"EFI PART" or at + _SECTOR > len(raw):
            continue
        entries, count, length = struct.unpack_from("<QII", raw, at + 72)
        begin, size = entries * _SECTOR, count * length
        if begin + size <= len(raw):
            struct.pack_into("<I", raw, at + 88, zlib.crc32(raw[begin : begin + size]))
        own = min(int.from_bytes(raw[at + 12 : at + 16], "little"), _SECTOR)
        raw[at + 16 : at + 20] = bytes(4)
        struct.pack_into("<I", raw, at + 16, zlib.crc32(raw[at : at + own]))
    return bytes(raw)


@target(seeds=_gpt)
def gpt(data: bytes) -> None:
    """GPT."""
    read(open_gpt, _with_right_check_sums(data))


def _mbr(work: Path) -> Iterator[bytes]:
    disk = work / "disk"
    with disk.open("wb") as file:
        file.truncate(1024 * 1024)
    script = (
        "label: dos\nstart=64, size=32, type=c\nstart=128, size=256, type=5\nstart=192, size=64, type=83\nstart=320, size=32, type=83\n"
    )
    tool("sfdisk", "--quiet", disk, stdin=script.encode())
    raw = bytearray(disk.read_bytes())
    image = _squashfs(work).read_bytes()
    raw[192 * _SECTOR : 192 * _SECTOR + len(image)] = image
    yield bytes(raw[: 400 * _SECTOR])


@target(seeds=_mbr)
def mbr(data: bytes) -> None:
    """MBR with its chain of extended partitions."""
    read(open_mbr, data)


def _streams(work: Path) -> Iterator[bytes]:
    (work / "content").write_bytes(bytes(range(256)) * 8 + b"x" * 4000)
    for command in (
        ("gzip",),
        ("xz",),
        ("zstd",),
        ("zstd", "--no-check", "--single-thread"),
        ("bzip2",),
        ("lz4", "-l"),
        ("lz4",),
    ):
        yield tool(*command, "-c", work / "content")
    yield tool("xz", "--format=lzma", "-c", work / "content")


def _members(work: Path) -> Iterator[bytes]:
    for stream in _streams(work):
        yield stream
        if not stream.startswith(b"\x5d"):
            yield stream + stream


@target(seeds=_members)
def compressed(data: bytes) -> None:
    """Streams, decompressed whole."""
    blob = from_bytes(data, "input")
    method = method_of(blob)
    if method:
        for _ in decompressed(blob, method):
            pass
    read(open_compressed, data)


@target(seeds=_streams)
def kernel_streams(data: bytes) -> None:
    """Streams of kernels and modules."""
    for _ in unpacked(from_bytes(data, "input")) or ():
        pass


def _verity(work: Path) -> Iterator[bytes]:
    image = _squashfs(work)
    verity_image(image)
    yield image.read_bytes()
    second = work / "second"
    second.mkdir()
    small = _squashfs(second)
    verity_image(small, "--data-block-size", "1024", "--hash-block-size", "512")
    yield small.read_bytes()


@target(seeds=_verity)
def verity(data: bytes) -> None:
    """File systems with their hash trees, verified."""
    read(open_verity, data)


def _bundles(work: Path) -> Iterator[bytes]:
    image = work / "big"
    image.write_bytes(random.Random(1).randbytes(12_000))  # noqa: S311 - not compressible is all that it has to be
    for form in ("verity", "crypt", "plain"):
        place = work / form
        place.mkdir()
        yield rauc_bundle(place, "bundle.raucb", {"rootfs": image}, form=form).read_bytes()


@target(seeds=_bundles)
def rauc(data: bytes) -> None:
    """RAUC bundles, verified."""
    read(open_bundle, data)


@target(seeds=lambda _: (b"[update]\ncompatible=a\nversion=1\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=a.img\n",))
def rauc_manifest(data: bytes) -> None:
    """Manifests of bundles."""
    parse_manifest(data, "input")


def _luks(work: Path) -> Iterator[bytes]:
    for version in ("1", "2"):
        image = work / version
        with image.open("wb") as file:
            file.truncate(32 << 20)
        options = (
            ["--pbkdf-memory", "32", "--pbkdf-parallel", "1", "--pbkdf-force-iterations", "4"]
            if version == "2"
            else ["--pbkdf-force-iterations", "1000"]
        )
        tool("cryptsetup", "luksFormat", "-q", "--type", f"luks{version}", *options, image, "-", stdin=b"secret")
        yield image.read_bytes()[:32768]


@target(seeds=_luks)
def luks(data: bytes) -> None:
    """Headers of encrypted volumes."""
    read_luks(from_bytes(data, "input"))


def _block_maps(work: Path) -> Iterator[bytes]:
    disk = work / "disk"
    with disk.open("wb") as file:
        file.write(b"x" * 8192)
        file.seek(1 << 20)
        file.write(b"y" * 8192)
    yield tool("bmaptool", "--quiet", "create", disk)


@target(seeds=_block_maps)
def bmap(data: bytes) -> None:
    """Block maps."""
    with TemporaryDirectory() as place:
        file = Path(place) / "disk.bmap"
        file.write_bytes(data)
        found = read_block_map(file)
    list(found.gaps(0, 1 << 20))
