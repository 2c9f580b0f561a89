"""The decompressors, with blocks made by the libraries' own compressors."""

import lzma
import random
import resource
import zlib

import lz4.block
import pytest
import zstandard
from lzallright import LZOCompressor

from everest_secure.errors import ArtefactError
from everest_secure.image.codecs import squashfs_codec

CONTENT = b"everest" * 1000


def lzma_alone(content: bytes) -> bytes:
    """LZMA as SquashFS has it: the header says the size, which liblzma leaves open when it compresses."""
    packed = lzma.compress(content, format=lzma.FORMAT_ALONE)
    return packed[:5] + len(content).to_bytes(8, "little") + packed[13:]


PACKED = {
    1: zlib.compress(CONTENT),
    2: lzma_alone(CONTENT),
    3: LZOCompressor().compress(CONTENT),
    4: lzma.compress(CONTENT, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32),
    5: lz4.block.compress(CONTENT, store_size=False),
    6: zstandard.ZstdCompressor().compress(CONTENT),
}


@pytest.mark.parametrize("method", PACKED)
def test_a_block_is_decompressed_up_to_exactly_its_limit(method: int) -> None:
    assert squashfs_codec(method, "image")(PACKED[method], len(CONTENT)) == CONTENT


@pytest.mark.parametrize("method", PACKED)
def test_a_block_that_holds_more_than_its_limit_is_corrupt(method: int) -> None:
    with pytest.raises(ArtefactError, match="image is corrupt"):
        squashfs_codec(method, "image")(PACKED[method], len(CONTENT) - 1)


@pytest.mark.parametrize("method", PACKED)
@pytest.mark.parametrize("cut", [0, 1, 10])
def test_a_block_that_is_cut_short_is_corrupt(method: int, cut: int) -> None:
    with pytest.raises(ArtefactError, match="image is corrupt"):
        squashfs_codec(method, "image")(PACKED[method][:cut], len(CONTENT))


def test_a_zstandard_block_that_hides_its_size_is_bounded_too() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100_000_000))
    with pytest.raises(ArtefactError, match="image is corrupt"):
        squashfs_codec(6, "image")(bomb, 131072)


def test_an_lzo_block_that_would_fill_the_memory_is_not_decompressed() -> None:
    bomb = b"\x15four\x20" + bytes(1024 * 1024 - 20) + b"\x01\0\0\x11\0\0"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactError, match="image is corrupt"):
        squashfs_codec(3, "image")(bomb, 1024 * 1024)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_large_lzo_block_of_many_zeros_is_decompressed() -> None:
    content = b"".join(bytes((number * 7 & 255, 0)) for number in random.Random(1).choices(range(65536), k=500_000))
    assert squashfs_codec(3, "image")(LZOCompressor().compress(content), 1024 * 1024) == content


def test_a_method_without_a_decompressor_is_named() -> None:
    with pytest.raises(ArtefactError, match=r"compressed with an unknown method \(77\), which cannot be read"):
        squashfs_codec(77, "image")
