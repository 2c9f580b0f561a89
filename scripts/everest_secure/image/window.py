"""Small reads that lie near each other, as those of inodes do."""

from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache

_PIECE = 16 * 1024
_PIECES = 64


class Window:
    """Serves reads of a few bytes from aligned pieces of a blob, of which the last 4 MiB are kept."""

    def __init__(self, blob: Blob) -> None:
        self.size = blob.size
        self._blob = blob
        self._pieces: Cache[int, bytes] = Cache(_PIECES)
        self._begin = 0
        self._piece = b""

    def locate(self, offset: int, length: int) -> tuple[bytes, int]:
        """Return bytes and the place in them from which on `length` bytes are those at `offset`; raises ArtefactError beyond the end."""
        within = offset - self._begin
        if within < 0 or within + length > len(self._piece):
            self._begin = offset - offset % _PIECE
            within = offset - self._begin
            size = min(_PIECE, self.size - self._begin)
            if within < 0 or within + length > size:
                self._begin, self._piece = 0, b""
                return self._blob.read(offset, length), 0
            begin = self._begin
            self._piece = self._pieces.get(begin, lambda: self._blob.read(begin, size))
        return self._piece, within

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes; raises ArtefactError beyond the end."""
        piece, within = self.locate(offset, length)
        return piece[within : within + length]
