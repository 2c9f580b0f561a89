"""A root file system of memory as an archive, of which the tools of image formats make images without the superuser."""

import io
import tarfile

from everest_secure.image.tree import NodeType
from support.rootfs import RootFs

_KINDS = {NodeType.DIRECTORY: tarfile.DIRTYPE, NodeType.SYMLINK: tarfile.SYMTYPE}


def packed(fs: RootFs) -> bytes:
    """A tar archive of a root."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as file:
        for path, (node, content) in sorted(fs.nodes.items()):
            info = tarfile.TarInfo(f".{path}")
            info.type, info.mode, info.uid, info.gid = _KINDS.get(node.type, tarfile.REGTYPE), node.mode, node.uid, node.gid
            info.linkname, info.size = node.target, len(content)
            file.addfile(info, io.BytesIO(content))
    return archive.getvalue()
