"""Whether a file is the one that counts on the target: not hidden by a mount, not behind one that the image does not decide."""

from posixpath import dirname, join, normpath

from everest_secure.checks.common import at, started
from everest_secure.checks.core import Notes, Root
from everest_secure.image.tree import NodeType, printable
from everest_secure.parse.mounts import mount_of, read_mounts

API = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - names of mount points
"""Mounted by systemd itself over whatever the image holds there (file-hierarchy(7))."""
_MAX_LINKS = 16


def hidden_by(root: Root, path: str) -> str:
    """Return the mount point under which the file that `path` leads to lies, be it there or not; empty when it lies on the root file system."""
    node = root.tree.resolve(path)
    real = node.path if node else real_path(root, path)
    for place in API:
        if real.startswith(f"{place}/"):
            return place
    mount = mount_of(real, read_mounts(root.tree, started(root)))
    return mount.where if mount else ""


def search_path_on_the_root(root: Root, directories: tuple[str, ...], note: Notes, suffix: str = "") -> None:
    """Note a finding for each directory that a program searches, and each file in it, that leads to where the image does not decide."""
    for directory in directories:
        if root.tree.resolve(directory, follow_last=False) is None:
            continue
        if lies_on_the_root(root, directory, note):
            for node in root.tree.children(directory):
                if node.name.endswith(suffix) and real_path(root, node.path) != "/dev/null":
                    lies_on_the_root(root, real_path(root, node.path), note)


def real_path(root: Root, path: str) -> str:
    """Return where a path leads, for a link to nothing too; the path itself when it is no link."""
    for _ in range(_MAX_LINKS):
        node = root.tree.resolve(path, follow_last=False)
        if node is None or node.type is not NodeType.SYMLINK:
            break
        path = normpath(join(dirname(node.path), node.target))
    return path


def lies_on_the_root(root: Root, path: str, note: Notes) -> bool:
    """Note a finding and return False when another file than the one in the image counts on the target."""
    where = hidden_by(root, path)
    if where:
        what = f"{printable(path)} lies below {where}, which is mounted: on the target something else may be there than in the image"
        note.finding(what, at=at(root, path), remedy="Put the file itself on the root file system.")
    return not where
