"""Directories of a BitBake build, which a file names when it was not cleaned of them (bitbake.conf, WORKDIR and TMPDIR)."""

import re

from everest_secure.image.blob import Blob
from everest_secure.parse.literals import occurrence_of
from everest_secure.parse.pieces import pieces

_BUILD_PATH = re.compile(rb"/tmp(?:-glibc|-musl)?/work(?:-shared)?/[\w+-]+(?:-[\w+-]+)+/[\w.+-]+/[\w.+-]+/")
_names_work = occurrence_of(b"/work")


def find_build_path(blob: Blob, first: bytes | None = None) -> int | None:
    """Return the byte at which a file first names a directory of the build; None when it does not. `first` is its first piece, when that is at hand."""
    for offset, piece in pieces(blob, first):
        found = _BUILD_PATH.search(piece) if _names_work(piece) else None
        if found:
            return offset + found.start()
    return None
