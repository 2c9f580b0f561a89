"""Extended attributes of EROFS: those of one inode, and those that several share."""

import struct
from collections.abc import Mapping

from everest_secure.errors import ArtefactError
from everest_secure.image.erofs_content import Content
from everest_secure.image.erofs_inode import Inode
from everest_secure.image.erofs_super import Superblock
from everest_secure.image.tree import NO_XATTRS
from everest_secure.image.window import Window

_PREFIXES = {1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 5: "lustre.", 6: "security."}
_LONG = 0x80
_HEADER = 12


class Xattrs:
    """The attributes of one file system."""

    def __init__(self, window: Window, superblock: Superblock, content: Content, packed: Inode | None, name: str) -> None:
        """`packed` is the inode that holds the tails of files, and the long prefixes where the superblock says so."""
        self._window = window
        self._super = superblock
        self._name = name
        self._shared: dict[int, tuple[str, bytes]] = {}
        self._long = self._prefixes(content, packed)

    def of(self, inode: Inode) -> Mapping[str, bytes]:
        """Return all attributes of an inode by full name, ACLs as getxattr(2) gives them; raises ArtefactError when they are corrupt."""
        length = inode.body - inode.xattrs
        if length <= _HEADER:
            return NO_XATTRS
        raw = self._window.read(inode.xattrs, length)
        at = _HEADER + raw[4] * 4
        if at > length:
            raise self._corrupt()
        found = dict(self._of_all(number) for number in struct.unpack_from(f"<{raw[4]}I", raw, _HEADER))
        while at + 4 <= length:
            name, value, at = self._entry(raw, at)
            found[name] = value
        return found

    def _of_all(self, number: int) -> tuple[str, bytes]:
        """Return a shared attribute; its value is held once however many inodes have it."""
        if number not in self._shared:
            at = self._super.shared_xattrs + number * 4
            length, _, size = struct.unpack("<BBH", self._window.read(at, 4))
            name, value, _ = self._entry(self._window.read(at, 4 + length + size), 0)
            self._shared[number] = name, value
        return self._shared[number]

    def _entry(self, raw: bytes, at: int) -> tuple[str, bytes, int]:
        """Return name and value of the entry at a place, and the place of the next."""
        length, kind, size = struct.unpack_from("<BBH", raw, at)
        end = at + 4 + length + size
        prefix = self._long.get(kind & ~_LONG) if kind & _LONG else _PREFIXES.get(kind)
        if end > len(raw) or prefix is None:
            raise self._corrupt()
        name = prefix + raw[at + 4 : at + 4 + length].decode("utf-8", "surrogateescape")
        return name, raw[at + 4 + length : end], (end + 3) & ~3

    def _prefixes(self, content: Content, packed: Inode | None) -> dict[int, str]:
        """Return the long prefixes by number; each is a length, the number of a short prefix, and what follows that one."""
        count, at = self._super.prefixes
        found = {}
        holder = packed if self._super.prefixes_are_packed else None

        def read(offset: int, length: int) -> bytes:
            if holder is None:
                return self._window.read(offset, length)
            if offset + length > holder.size:
                raise self._corrupt()
            return content.read(holder, offset, length)

        for number in range(count):
            length = int.from_bytes(read(at, 2), "little")
            raw = read(at + 2, length)
            if not raw or raw[0] not in _PREFIXES:
                raise self._corrupt()
            found[number] = _PREFIXES[raw[0]] + raw[1:].decode("utf-8", "surrogateescape")
            at = (at + 2 + length + 3) & ~3
        return found

    def _corrupt(self) -> ArtefactError:
        return ArtefactError(f"{self._name} is corrupt: the extended attributes of its EROFS are wrong; build or fetch it again")
