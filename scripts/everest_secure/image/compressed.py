"""Compressed files: a disk, a file system or an archive in gzip, xz, LZMA, Zstandard, bzip2 or LZ4.

They are decompressed once, into memory or an unlinked file (`scratch`). A block map beside a disk (`NAME.wic.bmap`; bmap-tools) says which blocks a writer
will write: data outside of them would not get onto the device, so that such a map is refused. Its checksums are not verified: nobody signed them, and
what damage they could show is shown by those of the stream. Beside a disk that is not compressed it is not looked at: that would mean reading all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_blob, opens
from everest_secure.image.blob import Blob
from everest_secure.image.bmap import BlockMap, read_block_map
from everest_secure.image.companions import is_file
from everest_secure.image.scratch import gathered
from everest_secure.image.streams import decompressed, method_of
from everest_secure.image.unread import refuse_unread


@dataclass(frozen=True, slots=True)
class Compressed:
    """How something was compressed."""

    method: str
    """`gzip`, `xz`, `lzma`, `zstd`, `bzip2`, `lz4` (the legacy form) or `lz4-frame`."""
    size: int
    """Bytes of the content."""
    block_map: BlockMap | None
    """What lies beside it, and fits."""


@opens(order=5)
def open_compressed(blob: Blob, depth: int) -> Artefact | None:
    """Open what is compressed; it is the child and has the same name. See `artefact.Opener`."""
    method = method_of(blob)
    if method is None:
        return None
    block_map = _block_map(blob.path)
    content = gathered(_mapped(decompressed(blob, method), block_map, blob.name), blob.name)
    if block_map and block_map.image_size != content.size:
        raise ArtefactError(
            f"{blob.name} has {content.size} bytes and its block map {block_map.name} is for {block_map.image_size}; build them together or remove the map"
        )
    inner = open_blob(content, depth + 1)
    if inner is None:
        if not depth:
            refuse_unread(content)
        return None
    return Artefact(name=blob.name, kind=method, blob=blob, facts=Compressed(method, content.size, block_map), children=(inner,))


def _block_map(path: Path | None) -> BlockMap | None:
    """Return the block map of a file, `disk.wic.bmap` or `disk.wic.gz.bmap` of `disk.wic.gz`."""
    if path is None:
        return None
    candidates = [path.with_name(f"{name}.bmap") for name in (path.name, path.stem)]
    return next((read_block_map(each) for each in candidates if is_file(each)), None)


def _mapped(chunks: Iterator[bytes], block_map: BlockMap | None, name: str) -> Iterator[bytes]:
    """Pass everything on; raises ArtefactError when there is data where the block map has none."""
    offset = 0
    for chunk in chunks:
        if block_map:
            for start, end in block_map.gaps(offset, offset + len(chunk)):
                if chunk[start - offset : end - offset].strip(b"\0"):
                    raise ArtefactError(
                        f"{name} holds data at {start} that its block map {block_map.name} leaves out, and a device would not get; build them together or remove the map"
                    )
        yield chunk
        offset += len(chunk)
