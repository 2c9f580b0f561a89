"""Headers of tar archives, one member after the other: ustar, pax (POSIX.1-2008, `pax`) and GNU (tar's manual, "Basic Tar Format")."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.posix_acl import ACCESS, DEFAULT, acl_from_text
from everest_secure.image.tree import MAX_NODES, NO_XATTRS

BLOCK = 512
_MAX_EXTENSION = 1024 * 1024
"""Bytes of one pax header or long name."""
_MAX_EXTENSIONS = 64 * 1024 * 1024
"""Bytes of all of them together."""
_MAX_PIECES = 100_000
"""Pieces of one sparse file."""
_RECORD = re.compile(rb"(\d{1,10}) ([^=]+)=")
_XATTRS = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")
_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_SPARSE = b"S"
_CONTENT = (b"0", b"\0", b"7", _SPARSE)
"""Types that have content; a hard link has none, whatever its size says."""

Pieces = tuple[tuple[int, int, int], ...]
"""Offset in the file, length, and offset in the archive, of each piece that is no hole."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member as its headers describe it."""

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    """Bytes of content, holes included."""
    link: bytes
    pieces: Pieces
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def is_tar(blob: Blob) -> bool:
    """Whether a blob begins with a header that is right."""
    head = blob.head(BLOCK)
    return len(head) == BLOCK and head[257:262] == b"ustar" and _checksum_holds(head)


def members(blob: Blob) -> Iterator[Member]:
    """Yield every member up to the block of zeros at the end; raises ArtefactError when the archive is truncated, corrupt or hostile."""
    at, extensions = 0, 0
    defaults: dict[str, bytes] = {}
    pax: dict[str, bytes] = {}
    long: dict[bytes, bytes] = {}
    for _ in range(4 * MAX_NODES):
        if at + BLOCK > blob.size:
            raise ArtefactError(f"{blob.name} is truncated: this tar archive has no end; fetch it again")
        head = blob.read(at, BLOCK)
        if not head.strip(b"\0"):
            return
        if head[257:262] != b"ustar" or not _checksum_holds(head):
            raise _corrupt(blob, at)
        kind, stored = head[156:157], _number(head[124:136], blob, at)
        if kind in (_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK):
            extensions += stored
            if stored > _MAX_EXTENSION or extensions > _MAX_EXTENSIONS:
                raise ArtefactError(
                    f"{blob.name} has headers of {stored} bytes at {at}, {extensions} in all; it is taken for hostile and not read"
                )
            content = blob.read(at + BLOCK, stored)
            if kind in (_LONG_NAME, _LONG_LINK):
                long[kind] = content.split(b"\0", 1)[0]
            else:
                (defaults if kind == _GLOBAL else pax).update(_records(content, blob, at))
            at += BLOCK + _padded(stored)
            continue
        member, at = _member(blob, head, at, {**defaults, **pax}, long)
        yield member
        pax, long = {}, {}
    raise ArtefactError(f"{blob.name} has too many members; it is taken for hostile and not read")


def _member(blob: Blob, head: bytes, at: int, pax: Mapping[str, bytes], long: Mapping[bytes, bytes]) -> tuple[Member, int]:
    """Return the member whose header is `head`, and where the next header is."""
    kind = head[156:157]
    stored = _decimal(pax, "size", blob, at) if "size" in pax else _number(head[124:136], blob, at)
    if kind not in _CONTENT:
        stored = 0
    data = at + BLOCK
    pieces: Pieces = ((0, stored, data),) if stored else ()
    size = stored
    if kind == _SPARSE:
        size = _number(head[483:495], blob, at)
        pieces, data = _old_sparse(blob, head, at)
    elif "GNU.sparse.major" in pax:
        size = _decimal(pax, "GNU.sparse.realsize", blob, at)
        pieces = _sparse_1_0(blob, data, stored)
    elif "GNU.sparse.map" in pax:
        size = _decimal(pax, "GNU.sparse.size", blob, at)
        pieces = _laid_out(_pairs(pax["GNU.sparse.map"].split(b","), blob, at), data)
    end = data + _padded(stored)
    if end > blob.size:
        raise ArtefactError(f"{blob.name} is truncated: the content of its member at {at} has {stored} bytes; fetch it again")
    _require_order(pieces, size, data + stored, blob, at)
    name, link = _names(head, pax, long)
    member = Member(
        name=name,
        type=kind,
        mode=_number(head[100:108], blob, at) & 0o7777,
        uid=_decimal(pax, "uid", blob, at) if "uid" in pax else _number(head[108:116], blob, at),
        gid=_decimal(pax, "gid", blob, at) if "gid" in pax else _number(head[116:124], blob, at),
        size=size if kind in _CONTENT else 0,
        link=link,
        pieces=pieces,
        xattrs=_xattrs(pax, blob, at),
    )
    return member, end


def _names(head: bytes, pax: Mapping[str, bytes], long: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return name and link: pax before GNU's long ones before the header's own, whose prefix only POSIX has (GNU has times there)."""
    name, link = (head[start : start + 100].split(b"\0", 1)[0] for start in (0, 157))
    prefix = head[345:500].split(b"\0", 1)[0] if head[257:263] == b"ustar\0" else b""
    name = long.get(_LONG_NAME, b"/".join((prefix, name)) if prefix else name)
    name = pax.get("GNU.sparse.name", pax.get("path", name))
    return name, pax.get("linkpath", long.get(_LONG_LINK, link))


def _xattrs(pax: Mapping[str, bytes], blob: Blob, at: int) -> Mapping[str, bytes]:
    """Return extended attributes, access lists among them, which are text; LIBARCHIVE's are in base 64 under names in percent encoding, SCHILY's as they are."""
    found = {}
    for key, value in pax.items():
        if key.startswith("LIBARCHIVE.xattr."):
            import binascii
            from urllib.parse import unquote

            try:
                found[unquote(key.removeprefix("LIBARCHIVE.xattr."))] = binascii.a2b_base64(value + b"=" * (-len(value) % 4))
            except binascii.Error:
                continue
    found |= {key.removeprefix("SCHILY.xattr."): value for key, value in pax.items() if key.startswith("SCHILY.xattr.")}
    for key, name in (("SCHILY.acl.access", ACCESS), ("SCHILY.acl.default", DEFAULT)):
        try:
            listed = acl_from_text(pax[key]) if key in pax else None
        except ValueError:
            raise _corrupt(blob, at) from None
        if listed:
            found[name] = listed
    return found or NO_XATTRS


def _records(content: bytes, blob: Blob, at: int) -> dict[str, bytes]:
    """Return the records of a pax header, `LENGTH KEY=VALUE` and a newline each; the length counts all of it, and an empty value takes it back."""
    found: dict[str, bytes] = {}
    start = 0
    pieces: list[bytes] = []
    while start < len(content.rstrip(b"\0")):
        match = _RECORD.match(content, start)
        length = int(match[1]) if match else 0
        if match is None or not match.end() < start + length <= len(content) or content[start + length - 1] != 0x0A:
            raise _corrupt(blob, at)
        key, value = match[2].decode("utf-8", "replace"), content[match.end() : start + length - 1]
        if key in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            pieces.append(value)
        elif value or key.startswith(_XATTRS):
            found[key] = value
        start += length
    if pieces:
        found["GNU.sparse.map"] = b",".join(pieces)
    return found


def _old_sparse(blob: Blob, head: bytes, at: int) -> tuple[Pieces, int]:
    """Return the pieces of a file of GNU's old sparse format, and where its data begins: behind the blocks that continue its map."""
    found: list[tuple[int, int]] = []
    block, start, count, more = head, 386, 4, 482
    data = at + BLOCK
    while True:
        entries = [block[entry : entry + 24] for entry in range(start, start + 24 * count, 24) if block[entry]]
        found += [(_number(entry[:12], blob, at), _number(entry[12:], blob, at)) for entry in entries]
        if not block[more]:
            return _laid_out(found, data), data
        if len(found) > _MAX_PIECES:
            raise _corrupt(blob, at)
        block, start, count, more = blob.read(data, BLOCK), 0, 21, 504
        data += BLOCK


def _sparse_1_0(blob: Blob, data: int, stored: int) -> Pieces:
    """Return the pieces of a file whose map is at the beginning of its content: decimal numbers, a line each, filled up to whole blocks."""
    text = b""
    wanted = None
    used = 0
    while wanted is None or text.count(b"\n") < wanted:
        if used + BLOCK > stored or used > 32 * _MAX_PIECES:
            raise _corrupt(blob, data)
        text += blob.read(data + used, BLOCK)
        used += BLOCK
        first = text.split(b"\n", 1)
        if wanted is None and len(first) == 2:
            if not first[0].isdigit() or len(first[0]) > 7 or int(first[0]) > _MAX_PIECES:
                raise _corrupt(blob, data)
            wanted = 1 + 2 * int(first[0])
    return _laid_out(_pairs(text.split(b"\n")[1:wanted], blob, data), data + used)


def _pairs(numbers: list[bytes], blob: Blob, at: int) -> list[tuple[int, int]]:
    if len(numbers) % 2 or len(numbers) > 2 * _MAX_PIECES or not all(each.isdigit() and len(each) < 20 for each in numbers):
        raise _corrupt(blob, at)
    return [(int(offset), int(length)) for offset, length in zip(numbers[::2], numbers[1::2], strict=True)]


def _laid_out(pairs: list[tuple[int, int]], data: int) -> Pieces:
    """Return pieces that lie one behind the other in the archive."""
    found = []
    for offset, length in pairs:
        if length:
            found.append((offset, length, data))
        data += length
    return tuple(found)


def _require_order(pieces: Pieces, size: int, end: int, blob: Blob, at: int) -> None:
    position = 0
    for offset, length, start in pieces:
        if offset < position or offset + length > size or start + length > end:
            raise _corrupt(blob, at)
        position = offset + length


def _number(raw: bytes, blob: Blob, at: int) -> int:
    """Return an octal number, or one in base 256 as GNU writes large ones."""
    if raw[0] == 0x80:
        return int.from_bytes(raw[1:], "big")
    text = raw.split(b"\0", 1)[0].strip(b" ")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise _corrupt(blob, at) from None


def _decimal(pax: Mapping[str, bytes], key: str, blob: Blob, at: int) -> int:
    text = pax.get(key, b"")
    if not text.isdigit() or len(text) > 19:
        raise _corrupt(blob, at)
    return int(text)


def _checksum_holds(head: bytes) -> bool:
    """Whether the header's checksum is right: the sum of its bytes with spaces in the checksum's own place."""
    text = head[148:156].strip(b" \0")
    if not text or text.strip(b"01234567"):
        return False
    return sum(head) - sum(head[148:156]) + 8 * 0x20 == int(text, 8)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _corrupt(blob: Blob, at: int) -> ArtefactError:
    return ArtefactError(f"{blob.name} is corrupt: the header of this tar archive at {at} is wrong; build or fetch it again")
