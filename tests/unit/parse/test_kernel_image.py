"""Kernels whose payload is packed by the programs that pack real ones; the kernel itself is only as much as is looked at."""

import gzip
import random
import shutil
import struct
from collections.abc import Callable
from functools import cache

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.parse.kernel_image import kernel_configuration
from everest_secure.parse.unpacking import unpacked
from support.images import tool

CONFIG = b"#\n# Linux/x86 6.6.1 Kernel Configuration\n#\nCONFIG_MODULES=y\n" + b"# CONFIG_NOISE is not set\n" * 20_000
IKCONFIG = b"IKCFG_ST" + gzip.compress(CONFIG) + b"IKCFG_ED"
CHANCE = random.Random(3)
KERNEL = CHANCE.randbytes(300_001) + b"IKCFG_ST\x1f\x8b\x08 by chance" + CHANCE.randbytes(100_000) + IKCONFIG + CHANCE.randbytes(100_000)
SIZE = struct.pack("<I", len(KERNEL))
METHODS = {
    "gzip": ("gzip", "-9", "-c"),
    "xz": ("xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB", "-c"),
    "lzma": ("xz", "--format=lzma", "-c"),
    "bzip2": ("bzip2", "-9", "-c"),
    "lz4": ("lz4", "-l", "-9", "-c"),
    "zstd": ("zstd", "-9", "-c"),
}


@cache
def packed(method: str, content: bytes = KERNEL) -> bytes:
    if shutil.which(METHODS[method][0]) is None:
        pytest.skip(f"{METHODS[method][0]} is not installed")
    return tool(*METHODS[method], stdin=content)


def bz_image(payload: bytes) -> bytes:
    """A bzImage of boot protocol 2.15, as far as Documentation/arch/x86/boot.rst says where the payload is."""
    head = bytearray(b"MZ".ljust(5 * 512, b"\x90"))
    head[0x1F1] = 4
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 1000, len(payload))
    return bytes(head) + bytes(1000) + payload + b"trailer" * 100


def zboot(payload: bytes) -> bytes:
    return b"MZ\0\0zimg" + struct.pack("<II", 4096, len(payload)) + bytes(8) + b"zstd22".ljust(4096 - 24, b"\0") + payload + b"behind"


def u_image(payload: bytes) -> bytes:
    return b"\x27\x05\x19\x56" + bytes(8) + struct.pack(">I", len(payload)) + bytes(48) + payload


def z_image(payload: bytes) -> bytes:
    head = bytearray(0x4000)
    head[0x24:0x28] = b"\x18\x28\x6f\x01"
    return bytes(head) + b"\xfd7zXZ\0 by chance" + payload + b"behind" * 100


def arm64_image(payload: bytes) -> bytes:
    return b"MZ".ljust(56, b"\0") + b"ARM\x64" + bytes(4) + payload


WRAPPERS: dict[str, Callable[[bytes], bytes]] = {"bzImage": bz_image, "zboot": zboot, "uImage": u_image, "zImage": z_image, "plain": bytes}


KINDS = [(wrapper, method) for wrapper in WRAPPERS for method in METHODS if wrapper != "zImage" or method not in {"lzma", "bzip2"}]
"""In a zImage a payload is found by its mark, which those two hardly have."""


@pytest.mark.parametrize(("wrapper", "method"), KINDS)
def test_the_configuration_comes_out_of_every_image_packed_by_any_method(wrapper: str, method: str) -> None:
    # Kernel builds append the unpacked size to whatever does not carry it in its own last bytes (scripts/Makefile.lib, size_append).
    payload = packed(method) + (SIZE if method != "gzip" and wrapper == "bzImage" else b"")
    assert kernel_configuration(from_bytes(WRAPPERS[wrapper](payload), "kernel")) == CONFIG


@pytest.mark.parametrize("image", [KERNEL, arm64_image(KERNEL), u_image(arm64_image(KERNEL)), u_image(gzip.compress(KERNEL))])
def test_an_image_that_is_not_compressed_is_searched_as_it_is(image: bytes) -> None:
    assert kernel_configuration(from_bytes(image, "kernel")) == CONFIG


def test_a_kernel_without_configuration_has_none() -> None:
    assert kernel_configuration(from_bytes(bz_image(packed("zstd", KERNEL.replace(b"IKCFG_ST", b"IKCFG_XX"))), "kernel")) is None
    assert kernel_configuration(from_bytes(b"", "kernel")) is None


def test_what_is_left_of_a_compressed_kernel_is_not_taken_for_an_uncompressed_one() -> None:
    with pytest.raises(ArtefactError, match="cannot be unpacked"):
        kernel_configuration(from_bytes(bz_image(packed("xz")[:200_000]), "kernel"))


@pytest.mark.parametrize("method", METHODS)
def test_pieces_are_small_whatever_they_were_packed_from(method: str) -> None:
    pieces = unpacked(from_bytes(packed(method, bytes(24 * 1024 * 1024)), "bomb"))
    assert pieces is not None
    sizes = [len(piece) for piece in pieces]
    assert sum(sizes) == 24 * 1024 * 1024
    assert max(sizes) <= 8 * 1024 * 1024
    assert 0 not in sizes


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_stream_ends_in_a_sentence(method: str) -> None:
    whole = packed(method, KERNEL[:50_000])
    for damaged in (whole[: len(whole) // 2], whole[:40] + bytes(200) + whole[240:], whole[:-9]):
        pieces = unpacked(from_bytes(damaged, "kernel"))
        assert pieces is not None
        with pytest.raises(ArtefactError, match="kernel is truncated or corrupt"):
            list(pieces)


def test_a_stream_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everest_secure.parse.unpacking.MAX_UNPACKED", 1_000_000)
    pieces = unpacked(from_bytes(gzip.compress(bytes(2_000_000)), "bomb"))
    assert pieces is not None
    with pytest.raises(ArtefactError, match="taken for hostile"):
        list(pieces)
