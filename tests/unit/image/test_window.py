"""Small reads that lie near each other."""

import random

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob, from_bytes
from everest_secure.image.window import Window

CONTENT = random.Random(1).randbytes(300_000)


def test_any_read_is_what_the_blob_holds() -> None:
    window = Window(from_bytes(CONTENT, "image"))
    chance = random.Random(2)
    for _ in range(2000):
        offset = chance.choice((chance.randrange(len(CONTENT)), 16384 * chance.randrange(19) - 4))
        length = chance.choice((0, 1, 8, 64, 70_000))
        offset = max(0, min(offset, len(CONTENT) - length))
        assert window.read(offset, length) == CONTENT[offset : offset + length]


def test_reads_near_each_other_cost_one_read_of_the_blob() -> None:
    reads: list[int] = []

    def fetch(offset: int, length: int) -> bytes:
        reads.append(offset)
        return CONTENT[offset : offset + length]

    window = Window(Blob("image", len(CONTENT), fetch))
    for _ in range(2):
        for offset in range(0, 200_000, 32):
            window.read(offset, 32)
    assert reads == list(range(0, 200_000, 16384))


@pytest.mark.parametrize(("offset", "length"), [(299_999, 2), (300_001, 0), (1 << 70, 4), (-1, 4)])
def test_a_read_beyond_the_end_is_refused(offset: int, length: int) -> None:
    window = Window(from_bytes(CONTENT, "image"))
    window.read(16384 * 18, 4)
    with pytest.raises(ArtefactError, match="lie outside its 300000 bytes"):
        window.read(offset, length)
