"""The decompressors of EROFS, with clusters made by the libraries' own compressors."""

import lzma
import zlib
from collections.abc import Callable

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from everest_secure.errors import ArtefactError
from everest_secure.image.erofs_clusters import Coding, Extent
from everest_secure.image.erofs_codecs import decompress

CONTENT = b"".join(b"everest %d, " % number for number in range(1000))
CLUSTER = 16384


def lz4_block(content: bytes) -> bytes:
    return bytes(lz4.block.compress(content, store_size=False))


def microlzma(content: bytes) -> bytes:
    """LZMA without its header, the first byte (always zero) replaced by the inverted properties; 3, 0 and 2 are liblzma's defaults."""
    raw = lzma.compress(content, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2}])
    assert raw[0] == 0
    return bytes((~((2 * 5 + 0) * 9 + 3) & 0xFF,)) + raw[1:]


def deflate(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


COMPRESS: dict[Coding, Callable[[bytes], bytes]] = {
    Coding.LZ4: lz4_block,
    Coding.LZMA: microlzma,
    Coding.DEFLATE: deflate,
    Coding.ZSTD: zstandard.ZstdCompressor().compress,
}


def extent(coding: int, length: int, *, partial: bool = False) -> Extent:
    return Extent(0, length, 0, CLUSTER, coding, partial)


@pytest.mark.parametrize("coding", COMPRESS, ids=lambda coding: coding.name)
def test_a_cluster_is_decompressed_to_the_length_that_the_index_says(coding: Coding) -> None:
    raw = COMPRESS[coding](CONTENT).rjust(CLUSTER, b"\0")
    assert decompress(extent(coding, len(CONTENT)), raw, pads_in_front=True, name="image") == CONTENT


@pytest.mark.parametrize("coding", COMPRESS, ids=lambda coding: coding.name)
@pytest.mark.parametrize("length", [1, 100, 5000])
def test_a_cluster_that_several_files_share_gives_as_much_as_one_of_them_has(coding: Coding, length: int) -> None:
    raw = COMPRESS[coding](CONTENT).rjust(CLUSTER, b"\0")
    assert decompress(extent(coding, length, partial=True), raw, pads_in_front=True, name="image") == CONTENT[:length]


@pytest.mark.parametrize("coding", COMPRESS, ids=lambda coding: coding.name)
def test_a_cluster_that_holds_less_is_corrupt(coding: Coding) -> None:
    raw = COMPRESS[coding](CONTENT).rjust(CLUSTER, b"\0")
    with pytest.raises(ArtefactError, match="image is corrupt"):
        decompress(extent(coding, len(CONTENT) + 1), raw, pads_in_front=True, name="image")


@pytest.mark.parametrize("coding", COMPRESS, ids=lambda coding: coding.name)
@pytest.mark.parametrize("raw", [b"", bytes(CLUSTER), b"\xff" * CLUSTER, b"\x01" * CLUSTER], ids=["none", "zeros", "ff", "01"])
@pytest.mark.parametrize("pads_in_front", [True, False])
@pytest.mark.parametrize("partial", [True, False])
def test_a_cluster_of_something_else_is_corrupt(coding: Coding, raw: bytes, pads_in_front: bool, partial: bool) -> None:
    with pytest.raises(ArtefactError, match="image is corrupt"):
        decompress(extent(coding, 10_000_000, partial=partial), raw, pads_in_front=pads_in_front, name="image")


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ArtefactError, match=r"compressed with an unknown method \(7\)"):
        decompress(extent(7, 10), b"x", pads_in_front=True, name="image")


@given(content=st.binary(min_size=1, max_size=3000), times=st.integers(1, 300), padding=st.integers(0, 40))
def test_lz4_is_decompressed_wherever_its_padding_is(content: bytes, times: int, padding: int) -> None:
    content *= times
    packed = lz4_block(content)
    whole = extent(Coding.LZ4, len(content))
    assert decompress(whole, packed + bytes(padding), pads_in_front=False, name="image") == content
    assert decompress(whole, bytes(padding) + packed, pads_in_front=True, name="image") == content
