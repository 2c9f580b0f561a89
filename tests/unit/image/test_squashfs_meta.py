"""The metadata blocks of SquashFS, as a hostile image may have them."""

import struct

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.image.codecs import squashfs_codec
from everest_secure.image.squashfs_meta import MetaReader

BLOCK = struct.pack("<H", 0x8000 | 8192) + bytes(8192)


def reader(content: bytes) -> MetaReader:
    return MetaReader(from_bytes(content, "image"), squashfs_codec(1, "image"))


def test_a_table_that_names_one_block_again_and_again_is_bounded() -> None:
    times = 128 * 1024 * 1024 // 8192
    meta = reader(BLOCK + bytes(8) * times)
    with pytest.raises(ArtefactError, match="tables of an impossible size; it is taken for hostile"):
        meta.indexed(len(BLOCK), times * 8192 + 1)
    assert len(meta.indexed(len(BLOCK), 3 * 8192)) == 3 * 8192


def test_all_tables_together_are_bounded() -> None:
    times = 50 * 1024 * 1024 // 8192
    meta = reader(BLOCK + bytes(8) * times)
    for _ in range(2):
        meta.indexed(len(BLOCK), times * 8192)
    with pytest.raises(ArtefactError, match="tables of an impossible size; it is taken for hostile"):
        meta.indexed(len(BLOCK), times * 8192)


def test_a_table_of_many_short_blocks_is_refused() -> None:
    short = struct.pack("<H", 0x8000 | 1) + b"x"
    with pytest.raises(ArtefactError, match="tables of an impossible size; it is taken for hostile"):
        reader(short * 1000).table(0, 3000)
