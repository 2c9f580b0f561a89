"""The mode word of an inode, as every Unix file system stores it (inode(7))."""

import stat

from everest_secure.image.tree import NodeType

_TYPES = {
    stat.S_IFREG: NodeType.FILE,
    stat.S_IFDIR: NodeType.DIRECTORY,
    stat.S_IFLNK: NodeType.SYMLINK,
    stat.S_IFCHR: NodeType.CHARACTER,
    stat.S_IFBLK: NodeType.BLOCK,
    stat.S_IFIFO: NodeType.FIFO,
    stat.S_IFSOCK: NodeType.SOCKET,
}


PERMISSIONS = tuple(range(0o10000))
"""Every value of a node's mode, so that a million nodes hold a number each once."""


def node_type(mode: int) -> NodeType | None:
    """Return the type that a mode word such as 0o100644 says; None when it says none."""
    return _TYPES.get(mode & 0o170000)
