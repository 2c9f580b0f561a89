"""A root file system that lies unpacked in a directory.

Owners, modes and extended attributes are those on disk, so the directory must have been unpacked by root or under the owners it is to have.
No link is followed and nothing outside the directory is read.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.modes import PERMISSIONS, node_type
from everest_secure.image.tree import NO_XATTRS, Node, Tree, printable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_directory(path: Path) -> Artefact:
    """Open the directory `path` as the root of a file system; raises ArtefactError when it cannot be listed."""
    name = path.name or path.resolve().name or str(path)
    return Artefact(name=name, kind="directory", tree=DirectoryTree(path, name))


class DirectoryTree(Tree):
    """The file system whose root is a directory of this machine."""

    def __init__(self, path: Path, name: str) -> None:
        """`path` is the directory, `name` what messages call it."""
        super().__init__(name, "directory")
        self._root = path.resolve()

    def _scan(self) -> Iterator[tuple[Node, object]]:
        yield self._node("/", str(self._root)), "/"
        todo = ["/"]
        while todo:
            parent = todo.pop()
            for found in self._list(parent):
                path = f"{parent.rstrip('/')}/{found.name}"
                node = self._node(path, found.path)
                yield node, path
                if node.is_directory:
                    todo.append(path)

    def _list(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._host(path)) as entries:
                return list(entries)
        except OSError as error:
            raise self._unreadable(path, error) from None

    def _node(self, path: str, host: str) -> Node:
        try:
            status = os.lstat(host)
            kind = node_type(status.st_mode)
            if kind is None:
                raise ArtefactError(f"{self.name}: {printable(path)} is of a type that no Linux file system has; remove it")
            regular = stat.S_ISREG(status.st_mode)
            return Node(
                path=path,
                type=kind,
                mode=PERMISSIONS[stat.S_IMODE(status.st_mode)],
                uid=status.st_uid,
                gid=status.st_gid,
                size=status.st_size if regular else 0,
                target=os.readlink(host) if stat.S_ISLNK(status.st_mode) else "",  # noqa: PTH115 - Path would normalise the target
                xattrs=_xattrs(host),
            )
        except OSError as error:
            raise self._unreadable(path, error) from None

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        path = str(handle)
        try:
            file = self._open(path)
            try:
                return os.pread(file, length, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise self._unreadable(path, error) from None

    def _open(self, path: str) -> int:
        """Open a file component by component, so that a directory swapped for a link meanwhile leads nowhere."""
        here = os.open(self._root, _DIRECTORY)
        *parents, last = path.strip("/").split("/")
        for part in parents:
            above = here
            try:
                here = os.open(part, _DIRECTORY, dir_fd=above)
            finally:
                os.close(above)
        try:
            return os.open(last, _FILE, dir_fd=here)
        finally:
            os.close(here)

    def _host(self, path: str) -> str:
        return f"{self._root}{path}"

    def _unreadable(self, path: str, error: OSError) -> ArtefactError:
        return ArtefactError(
            f"{self.name}: {printable(path)} cannot be read: {error.strerror}; run as a user who may read the whole directory"
        )


def _xattrs(host: str) -> Mapping[str, bytes]:
    try:
        names = os.listxattr(host, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return NO_XATTRS
        raise
    return {name: os.getxattr(host, name, follow_symlinks=False) for name in names} or NO_XATTRS
