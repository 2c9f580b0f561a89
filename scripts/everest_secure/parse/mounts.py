"""What a booted root mounts where: fstab and the mount units that start."""

from collections.abc import Iterator, Mapping

from everest_secure.image.tree import Tree
from everest_secure.parse.fstab import Mount, read_fstab
from everest_secure.parse.unit_graph import Start

VOLATILE = ("tmpfs", "ramfs", "overlay")
"""Types of file systems whose content is gone after a reboot; an overlay's is wherever its upper directory lies, which is not followed."""

_MOUNTED = frozenset(("x-systemd.automount", "comment=systemd.automount", "x-systemd.wanted-by", "x-systemd.required-by"))
"""Options with which systemd-fstab-generator has a file system mounted in spite of `noauto`: when it is first used, or with another unit (systemd.mount(5))."""


def _names(mount: Mount) -> Iterator[str]:
    yield from (option if option.startswith("comment=") else option.partition("=")[0] for option in mount.options)


def read_mounts(tree: Tree, started: Mapping[str, Start]) -> tuple[Mount, ...]:
    """Return the mounts and swap devices of fstab, without those it leaves to hand (`noauto`), and of the units that start."""
    mounts = [mount for mount in read_fstab(tree) if not mount.forbids("noauto") or _MOUNTED.intersection(_names(mount))]
    for name, start in started.items():
        if name.endswith(".mount"):
            what, where = start.unit.last("Mount", "What"), start.unit.last("Mount", "Where")
            if what and where:
                kind = start.unit.value("Mount", "Type", "auto")
                options = tuple(start.unit.value("Mount", "Options", "defaults").split(","))
                mounts.append(Mount(what.value, where.value, kind, options, where.path, where.line))
        elif name.endswith(".swap") and (device := start.unit.last("Swap", "What")) is not None:
            mounts.append(Mount(device.value, "none", "swap", (), device.path, device.line))
    return tuple(mounts)


def mount_of(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that holds a path other than the root; None when it lies on the root file system."""
    holding = [
        mount for mount in mounts if mount.where not in ("/", "none", "swap") and f"{path}/".startswith(f"{mount.where.rstrip('/')}/")
    ]
    return max(holding, key=lambda mount: len(mount.where), default=None)


def lasting(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount of a device that holds a path and keeps it over a reboot, bind mounts followed to it; None when there is none."""
    for _ in range(len(mounts) + 1):
        mount = mount_of(path, mounts)
        if mount is None or mount.type in VOLATILE:
            return None
        if "bind" not in mount.options and "rbind" not in mount.options:
            return mount
        path = f"{mount.what.rstrip('/')}{path.removeprefix(mount.where.rstrip('/'))}"
    return None
