"""The decompressors, with blocks made by the libraries' own compressors."""

import lzma
import zlib

import lz4.block
import pytest
import zstandard

from everest_secure.errors import ArtefactError
from everest_secure.image.codecs import squashfs_codec

CONTENT = b"everest" * 1000
PACKED = {
    1: zlib.compress(CONTENT),
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


@pytest.mark.parametrize(("method", "name"), [(2, "lzma"), (3, "lzo"), (77, r"an unknown method \(77\)")])
def test_a_method_without_a_decompressor_is_named(method: int, name: str) -> None:
    with pytest.raises(ArtefactError, match=f"compressed with {name}, which cannot be read"):
        squashfs_codec(method, "image")
