"""Streams made by gzip, xz, zstd and bzip2, and what is made to look like them."""

import contextlib
import os
import random
import struct
import subprocess

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.image.streams import MAX_RATIO, decompressed, method_of
from support.images import tool

PROGRAMS = {"gzip": ["gzip", "-6"], "xz": ["xz", "-1"], "zstd": ["zstd", "-q"], "bzip2": ["bzip2"], "lz4": ["lz4", "-q", "-l"]}
PROGRAMS |= {"lz4-frame": ["lz4", "-q"], "lzma": ["xz", "--format=lzma", "-1"]}
CHECKED = sorted({*PROGRAMS} - {"lz4", "lzma"})
"""Those with a checksum over the content, which zstd writes by default. LZMA alone and the legacy form of lz4 have none, the latter no end of its own either."""
CONTENT = random.Random(3).randbytes(300_000) + bytes(2_000_000) + b"end"
METHODS = sorted(PROGRAMS)


def packed(method: str, content: bytes, *options: str) -> bytes:
    return tool(*PROGRAMS[method], *options, "-c", stdin=content)


def unpacked(raw: bytes) -> bytes:
    blob = from_bytes(raw, "stream")
    method = method_of(blob)
    assert method is not None
    return b"".join(decompressed(blob, method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["nothing", "a-byte", "megabytes"])
def test_a_stream_is_what_its_program_was_given(method: str, content: bytes) -> None:
    raw = packed(method, content)
    assert method_of(from_bytes(raw, "stream")) == method
    assert unpacked(raw) == content


@pytest.mark.parametrize("method", sorted({*METHODS} - {"lzma"}))  # which is one stream, as liblzma reads it
def test_streams_one_behind_the_other_are_one_content_and_zeros_behind_them_padding(method: str) -> None:
    raw = packed(method, CONTENT) + packed(method, b"second")
    assert unpacked(raw) == CONTENT + b"second"
    assert unpacked(raw + bytes(300_000)) == CONTENT + b"second"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("behind", [b"garbage", bytes(1000) + b"x"])
def test_anything_else_behind_a_stream_is_refused(method: str, behind: bytes) -> None:
    with pytest.raises(ArtefactError, match="corrupt or truncated"):
        unpacked(packed(method, CONTENT) + behind)


def test_a_second_stream_of_lzma_is_refused_as_its_program_passes_over_it() -> None:
    raw = packed("lzma", CONTENT)
    assert unpacked(raw + bytes(300_000)) == CONTENT
    with pytest.raises(ArtefactError, match="corrupt or truncated"):
        unpacked(raw + packed("lzma", b"second"))


@pytest.mark.parametrize("method", [*CHECKED, "lzma"])
def test_a_truncated_stream_is_refused_wherever_it_ends(method: str) -> None:
    raw = packed(method, CONTENT)
    for length in [*range(14, 40), *range(100, len(raw), len(raw) // 40), len(raw) - 1]:
        with pytest.raises(ArtefactError, match="corrupt or truncated"):
            unpacked(raw[:length])


@pytest.mark.parametrize("method", CHECKED)
def test_a_flipped_bit_is_an_error_or_nothing_and_never_other_content(method: str) -> None:
    content = CONTENT[:20_000]
    raw = packed(method, content)
    rng = random.Random(5)
    for _ in range(150):
        changed = bytearray(raw)
        changed[rng.randrange(6, len(raw))] ^= 1 << rng.randrange(8)
        try:
            found = unpacked(bytes(changed))
        except ArtefactError:
            continue
        assert found == content


def test_a_truncated_or_flipped_block_of_lz4_never_breaks_the_reader() -> None:
    raw = packed("lz4", CONTENT * 5)
    with pytest.raises(ArtefactError, match="corrupt or truncated"):
        unpacked(raw[:-1])
    rng = random.Random(9)
    for _ in range(50):
        changed = bytearray(raw)
        changed[rng.randrange(4, len(raw))] ^= 1 << rng.randrange(8)
        with contextlib.suppress(ArtefactError):
            unpacked(bytes(changed))


def test_what_pzstd_makes_begins_with_a_frame_that_is_skipped_and_is_zstandard_all_the_same() -> None:
    """OE-Core packs SPDX 2.2 with pzstd; LZ4 knows the same frames and is another method."""
    stream = tool("pzstd", "-q", "-c", stdin=CONTENT)
    assert stream.startswith(struct.pack("<I", 0x184D2A50))
    assert unpacked(stream) == CONTENT
    assert method_of(from_bytes(stream[:12] + struct.pack("<I", 0x184D2204) + stream[16:], "x")) is None
    assert method_of(from_bytes(stream[:13], "x")) is None


def test_frames_of_zstd_that_are_to_be_skipped_are() -> None:
    skipped = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    assert unpacked(packed("zstd", b"first") + skipped + packed("zstd", b"second")) == b"firstsecond"
    with pytest.raises(ArtefactError, match="corrupt or truncated"):
        unpacked(packed("zstd", b"first") + struct.pack("<II", 0x184D2A53, 50) + b"short")


@pytest.mark.parametrize("options", [("--long=27",), ("--no-check",), ("-19",)])
def test_whatever_zstd_makes_by_default_limits_is_read(options: tuple[str, ...]) -> None:
    assert unpacked(packed("zstd", CONTENT, *options)) == CONTENT


def test_a_stream_that_asks_for_too_much_memory_is_refused() -> None:
    raw = bytearray(packed("zstd", CONTENT))
    assert not raw[4] & 0x20
    raw[5] = 21 << 3  # the window: 2 GiB
    with pytest.raises(ArtefactError, match="corrupt or truncated"):
        unpacked(bytes(raw))
    assert unpacked(packed("xz", b"x", "--lzma2=preset=0,dict=64MiB")) == b"x"
    with pytest.raises(ArtefactError, match="corrupt or truncated"):
        unpacked(packed("xz", b"x", "--lzma2=preset=0,dict=256MiB"))


@pytest.mark.parametrize("method", sorted({*CHECKED, "lzma"} - {"lz4-frame"}))  # lz4 comes to a ratio of 255 at most
def test_a_bomb_is_given_up_at_its_limit(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everest_secure.image.streams.FREE", 1024)
    bomb = packed(method, bytes(16 * 1024 * 1024))
    size = 0
    with pytest.raises(ArtefactError, match="taken for hostile"):  # noqa: PT012 - how far it came is what is asked
        for chunk in decompressed(from_bytes(bomb, "bomb"), method):
            size += len(chunk)
    assert size <= 1024 + MAX_RATIO * len(bomb)


def test_parallel_programs_make_what_is_read() -> None:
    """xz and zstd with threads cut their input into blocks."""
    content = os.urandom(100) * 30_000
    for argv in (["xz", "-T2", "--block-size=100KiB", "-0", "-c"], ["zstd", "-q", "-T2", "-B500K", "-c"]):
        raw = subprocess.run(argv, input=content, capture_output=True, check=True).stdout
        assert unpacked(raw) == content
