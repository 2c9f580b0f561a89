"""Whether a file is the one that counts on the target: not hidden by a mount, not behind one that the image does not decide."""

from everest_secure.checks.common import at, started
from everest_secure.checks.core import Notes, Root
from everest_secure.image.tree import printable
from everest_secure.parse.mounts import mount_of, read_mounts

API = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - names of mount points
"""Mounted by systemd itself over whatever the image holds there (file-hierarchy(7))."""


def hidden_by(root: Root, path: str) -> str:
    """Return the mount point under which the file that `path` leads to lies; empty when it lies on the root file system."""
    node = root.tree.resolve(path)
    real = node.path if node else path
    for place in API:
        if real.startswith(f"{place}/"):
            return place
    mount = mount_of(real, read_mounts(root.tree, started(root)))
    return mount.where if mount else ""


def lies_on_the_root(root: Root, path: str, note: Notes) -> bool:
    """Note a finding and return False when another file than the one in the image counts on the target."""
    where = hidden_by(root, path)
    if where:
        what = f"{printable(path)} lies below {where}, which is mounted: on the target something else may be there than in the image"
        note.finding(what, at=at(root, path), remedy="Put the file itself on the root file system.")
    return not where
