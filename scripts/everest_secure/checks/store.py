"""Certificate stores: that of the root file system, and those of data partitions beside it on the same disk."""

from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.checks.common import stored_configuration
from everest_secure.checks.core import Location, Notes, Root
from everest_secure.checks.reason import Reason
from everest_secure.checks.subjects import is_root
from everest_secure.errors import ArtefactError
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.tree import Node, Tree, printable
from everest_secure.parse.evse_security import STORE, CertificateStore, certificate_store
from everest_secure.parse.private_keys import FoundKey, find_keys
from everest_secure.policy.parameters import ServiceUser

ON_VAR, ON_DATA = "/var/lib/everest/certs", "/lib/everest/certs"
"""The directory that is mounted on the store, as the root sees it and as it lies on the data partition, which is mounted on /var."""

MAX_FILE = 64 * 1024 * 1024
"""Bytes of a file in a store: more than EVerest lets the whole store grow to before it cleans it (evse_security.hpp)."""
_VAR = "/var"
"""Where the data partition is mounted."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a certificate store."""

    artefact: str
    tree: Tree
    node: Node
    path: str
    """Path by which EVerest knows it: below /etc/everest/certs, wherever it lies in the artefact."""

    @property
    def at(self) -> Location:
        """Where it is."""
        return Location(self.artefact, printable(self.node.path))

    @property
    def keys(self) -> tuple[FoundKey, ...]:
        """Return the private keys in it; raises ArtefactError when it is too large for a file of a store."""
        if self.node.size > MAX_FILE:
            raise ArtefactError(f"{self.at} has {self.node.size} bytes and is no file of a certificate store; take it out")
        return tuple(find_keys(self.tree.blob(self.node)))


def layout(root: Root) -> CertificateStore:
    """Return the store's layout by EVerest's configuration; its defaults where that is missing, which is a finding of other requirements."""
    return certificate_store(stored_configuration(root))


def stored_files(root: Root) -> Iterator[StoredFile]:
    """Yield the files of all stores that belong to a root, each of one inode once, and those that links in them lead to.

    Directories and bundles that EVerest's configuration puts elsewhere belong to it.
    """
    store = layout(root)
    elsewhere = [path for path in dict.fromkeys((*store.bundles.values(), *store.leaves.values())) if not _is_below(path, STORE)]
    places = [(root.artefact.name, root.tree, path, path) for path in elsewhere]
    places += [(root.artefact.name, root.tree, where, STORE) for where in (STORE, ON_VAR)]
    others = ((part.name, part.tree) for part in root.container.walk() if part.tree is not None and part.tree is not root.tree)
    for name, tree in ((name, tree) for name, tree in others if tree.kind != INITRAMFS and not is_root(tree)):
        places += [(name, tree, path.removeprefix(_VAR), path) for path in elsewhere if _is_below(path, _VAR)]
        places.append((name, tree, ON_DATA, STORE))
    seen: set[tuple[str, str]] = set()
    for artefact, tree, where, known_as in places:
        base = tree.resolve(where)
        for node in (base, *tree.under(where)) if base else ():
            file = tree.resolve(node.path)
            if base and file is not None and file.is_file and (artefact, node.path) not in seen:
                seen.add((artefact, node.path))
                yield StoredFile(artefact, tree, file, known_as + node.path.removeprefix(base.path))


def judge_directory(path: str, *, owner: str, owned: bool, mode: int, place: Location, user: ServiceUser, note: Notes) -> None:
    """Note a finding when a directory of the store is not the service user's, or others may write to it; `owner` is what a finding calls its owner."""
    if not owned or mode & 0o022:
        what = f"the directory {path} of the certificate store belongs to {owner} with mode {mode:04o}"
        remedy = f"Let {user.name} own it, writable by nobody else."
        note.finding((Reason.MODE if owned else Reason.OWNER).said(what), at=place, remedy=remedy)
    note.saw(f"{place}: {path} {owner} {mode:04o}")


def _is_below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory}/")
