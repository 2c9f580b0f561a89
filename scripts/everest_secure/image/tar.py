"""tar archives of a root file system.

An archive is read as GNU tar, or BusyBox, unpacks it as root into an empty directory: a later member replaces an earlier one of the same name, and a hard link is
another name of what is there. What an unpacking program would refuse, or could be led outside by, is refused here: `..` in a name, a member below a link or a
file, a hard link to nothing.
"""

from collections.abc import Iterator
from posixpath import dirname

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.modes import PERMISSIONS
from everest_secure.image.tar_headers import Member, Pieces, is_tar, members
from everest_secure.image.tree import MAX_LINK, MAX_NODES, Node, NodeType, Tree, printable

_TYPES = {
    b"0": NodeType.FILE,
    b"\0": NodeType.FILE,
    b"7": NodeType.FILE,
    b"S": NodeType.FILE,
    b"2": NodeType.SYMLINK,
    b"3": NodeType.CHARACTER,
    b"4": NodeType.BLOCK,
    b"5": NodeType.DIRECTORY,
    b"6": NodeType.FIFO,
}
_HARD_LINK = b"1"
_MAX_ID = 2**32 - 1
_DIRECTORY_MODE = 0o755
"""Of a directory that only shows in the names of others."""


@opens(order=25)
def open_tar(blob: Blob, _depth: int) -> Artefact | None:
    """Open a tar archive; see `artefact.Opener`."""
    if not is_tar(blob):
        return None
    return Artefact(name=blob.name, kind="tar", blob=blob, tree=TarTree(blob))


class TarTree(Tree):
    """The file system that an archive holds."""

    def __init__(self, blob: Blob) -> None:
        """`blob` is the whole archive, not compressed."""
        super().__init__(blob.name, "tar")
        self._blob = blob

    def _scan(self) -> Iterator[tuple[Node, object]]:
        root = Node("/", NodeType.DIRECTORY, _DIRECTORY_MODE, 0, 0, 0)
        found = {"/": root}
        contents: dict[str, int | Pieces] = {}
        for member in members(self._blob):
            path = self._path(member.name)
            if path != "/":
                self._make_parents(path, found)
            content: int | Pieces | None = _in_one(member)
            if member.type == _HARD_LINK:
                node, first = self._linked(path, member, found)
                content = contents.get(first)
            else:
                node = self._node(path, member)
            self._require_same_kind(node, found.get(path))
            found[path] = node
            if content is None:
                contents.pop(path, None)
            else:
                contents[path] = content
            if len(found) > MAX_NODES:
                raise ArtefactError(f"{self.name} holds too many files ({len(found)}); it is taken for hostile and not read")
        for path, node in found.items():
            yield node, contents.pop(path, None)

    def _path(self, name: bytes) -> str:
        """Return the path that a member's name means: unpacking programs strip a leading slash."""
        text = name.decode("utf-8", "surrogateescape")
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if not text or ".." in parts or len(text) > MAX_LINK:
            raise ArtefactError(
                f"{self.name} is corrupt or hostile: it has a member with the name '{printable(text[:200])}'; build or fetch it again"
            )
        return "/" + "/".join(parts)

    def _make_parents(self, path: str, found: dict[str, Node]) -> None:
        parent = dirname(path)
        missing = []
        while parent not in found:
            missing.append(parent)
            parent = dirname(parent)
        if not found[parent].is_directory:
            what = f"its member {printable(path)} lies below the {found[parent].type} {printable(parent)}"
            raise ArtefactError(f"{self.name} is corrupt or hostile: {what}; build or fetch it again")
        for each in missing:
            found[each] = Node(each, NodeType.DIRECTORY, _DIRECTORY_MODE, 0, 0, 0)

    def _linked(self, path: str, member: Member, found: dict[str, Node]) -> tuple[Node, str]:
        """Return the node of a hard link and the path whose content it shares."""
        first = self._path(member.link)
        target = found.get(first)
        if target is None or target.is_directory:
            what = f"its member {printable(path)} is a link to {printable(member.link.decode('utf-8', 'replace'))}, which is not there or a directory"
            raise ArtefactError(f"{self.name} is corrupt: {what}; build or fetch it again")
        return target._replace(path=path), first

    def _require_same_kind(self, node: Node, earlier: Node | None) -> None:
        if earlier and earlier.is_directory is not node.is_directory:
            what = f"its member {printable(node.path)} is a {earlier.type} and a {node.type}"
            raise ArtefactError(f"{self.name} is corrupt or hostile: {what}; build or fetch it again")

    def _node(self, path: str, member: Member) -> Node:
        kind = _TYPES.get(member.type)
        if kind is None or member.uid > _MAX_ID or member.gid > _MAX_ID or len(member.link) > MAX_LINK:
            what = f"its member {printable(path)} has the type {member.type!r}, owner {member.uid}:{member.gid}"
            raise ArtefactError(f"{self.name} is corrupt: {what}; build or fetch it again")
        if kind is NodeType.FILE and member.name.endswith(b"/"):
            kind = NodeType.DIRECTORY  # as archives older than POSIX have them
        return Node(
            path=path,
            type=kind,
            mode=PERMISSIONS[member.mode],
            uid=member.uid,
            gid=member.gid,
            size=member.size if kind is NodeType.FILE else 0,
            target=member.link.decode("utf-8", "surrogateescape") if kind is NodeType.SYMLINK else "",
            xattrs=member.xattrs,
        )

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if isinstance(handle, int):
            return self._blob.read(handle + offset, length)
        if not isinstance(handle, tuple):
            raise TypeError(handle)
        found = bytearray(length)
        for start, size, at in handle:
            first, last = max(start, offset), min(start + size, offset + length)
            if first < last:
                found[first - offset : last - offset] = self._blob.read(at + first - start, last - first)
        return bytes(found)


def _in_one(member: Member) -> int | Pieces | None:
    """Return where content in one piece begins in the archive, the pieces of a sparse file, and None for what has no content."""
    if not member.size:
        return None
    whole = len(member.pieces) == 1 and member.pieces[0][:2] == (0, member.size)
    return member.pieces[0][2] if whole else member.pieces
