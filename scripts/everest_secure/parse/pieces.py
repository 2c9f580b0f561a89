"""Whole files in pieces, for whoever searches them."""

from collections.abc import Iterator

from everest_secure.image.blob import Blob

CHUNK = 128 * 1024
"""Bytes from the beginning of one piece to that of the next."""
OVERLAP = 512
"""Bytes that a piece shares with the next one: as long as what is searched for."""


def first_piece(blob: Blob) -> bytes:
    """Return the first piece, for callers that have a use for it too."""
    return blob.head(CHUNK + OVERLAP)


def pieces(blob: Blob, first: bytes | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the content of each piece; `first` is the first one, when that is at hand. Raises ArtefactError when it cannot be read."""
    yield 0, first_piece(blob) if first is None else first
    for offset in range(CHUNK, blob.size, CHUNK):
        yield offset, blob.read(offset, min(CHUNK + OVERLAP, blob.size - offset))
