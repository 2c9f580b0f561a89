"""From artefacts to certificate stores: those of root file systems, and those that lie on a data partition, in an archive or in a directory alone."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

from everest_secure.checks.core import Root, Scope
from everest_secure.checks.store import ON_DATA, ON_VAR
from everest_secure.checks.subjects import Named, repeats, roots_in
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.subtree import Subtree
from everest_secure.image.tree import Tree
from everest_secure.parse.everest_config import CONFIG, parse_everest_config
from everest_secure.parse.evse_security import STORE, certificate_store

_KNOWN = (STORE, ON_VAR, ON_DATA)
"""Paths at which a directory is a store, whatever is in it."""
_GUESSED = ("/certs", "/")
"""Paths at which it is one when it looks like one."""


def find_stores(artefacts: Sequence[Artefact], *, configuration: bytes | None = None) -> Mapping[Scope, Sequence[Named]]:
    """Return every root file system, whose stores are its own and those of the data partition beside it; of an artefact without one, every store.

    A store by itself becomes a root file system with nothing in it but the store and EVerest's configuration, where one is given. Raises ArtefactError
    when an artefact has neither, and when two have the same name.
    """
    config = None if configuration is None else parse_everest_config(configuration.decode("utf-8", "replace"), CONFIG)
    inside_store = (path.removeprefix(f"{STORE}/") for path in certificate_store(config).directories if path.startswith(f"{STORE}/"))
    parts = {path.split("/")[0] for path in inside_store}
    names = [artefact.name for artefact in artefacts]
    found: list[Root] = []
    for artefact in artefacts:
        if names.count(artefact.name) > 1:
            raise ArtefactError(f"two of the artefacts are called {artefact.name}; rename one, or a finding could be of either")
        inside = tuple(roots_in(artefact)) or tuple(_stores(artefact, parts, configuration))
        if not inside:
            raise ArtefactError(
                f"{artefact.name} ({artefact.kind}) holds neither a root file system nor a certificate store, with {_either(parts)} in it; "
                "name the store itself, or an image with it"
            )
        found += [root for root in inside if not (root.artefact.blob and repeats(root, found))]
    return {Scope.ROOT: [(root.artefact.name, root) for root in found]}


def _either(names: Set[str]) -> str:
    return " or ".join(f"'{name}'" for name in sorted(names))


def is_store_alone(root: Root) -> bool:
    """Whether a root is only made up around a store."""
    return isinstance(root.tree, Subtree)


def _stores(artefact: Artefact, parts: Set[str], configuration: bytes | None) -> Iterator[Root]:
    beside = {} if configuration is None else {CONFIG: configuration}
    for part in artefact.walk():
        place = _place(part.tree, parts) if part.tree is not None and part.tree.kind != INITRAMFS else None
        if part.tree is not None and place is not None:
            tree = Subtree(part.tree, place, known_as=STORE, beside=beside)
            alone = replace(part, tree=tree, children=())
            yield Root(alone, tree, alone)


def _place(tree: Tree, parts: Set[str]) -> str | None:
    """Return the directory of a file system that is a store, None when there is none; `parts` are directories by which one is known."""
    for path in _KNOWN:
        node = tree.resolve(path)
        if node is not None and node.is_directory:
            return node.path
    for path in _GUESSED:
        node = tree.resolve(path)
        if node is not None and any(child.is_directory and child.name in parts for child in tree.children(path)):
            return node.path
    return None
