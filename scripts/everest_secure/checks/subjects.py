"""From artefacts to what checks look at: root file systems, disks that boot, RAUC bundles."""

from collections.abc import Iterator, Mapping, Sequence

from everest_secure.checks.core import Boot, Bundle, Root, Scope, Subject
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.tree import Tree

DISK, BUNDLE = "gpt", "rauc-bundle"

Named = tuple[str, Subject]


def find_subjects(artefacts: Sequence[Artefact]) -> Mapping[Scope, Sequence[Named]]:
    """Return what there is to check in all artefacts together, by scope, each with its name.

    The same root file system in a disk's slot and in a bundle is two subjects. Raises ArtefactError when two artefacts have the same name,
    and when one holds nothing to check or is a disk without a root file system: a report on it would say nothing, and look like success.
    """
    names = [container.name for container in artefacts]
    for name in names:
        if names.count(name) > 1:
            raise ArtefactError(f"two of the artefacts are called {name}; rename one, or a finding could be of either")
    roots: list[Named] = []
    boots: list[Named] = []
    bundles: list[Named] = []
    for container in artefacts:
        inside = tuple(_roots(container))
        disks = [artefact for artefact in container.walk() if artefact.kind == DISK]
        shipped = [artefact for artefact in container.walk() if artefact.kind == BUNDLE]
        if disks and not inside:
            raise ArtefactError(f"{container.name} has no partition with a root file system that can be read; {_contents(container)}")
        if not (inside or disks or shipped):
            raise ArtefactError(
                f"{container.name} ({container.kind}) is neither a root file system nor a disk nor a bundle; {_contents(container)}"
            )
        roots += [(root.artefact.name, root) for root in inside]
        boots += [(disk.name, Boot(disk, tuple(_roots(disk)))) for disk in disks]
        outside = tuple(root for other in artefacts if other is not container for root in _roots(other))
        bundles += [(bundle.name, Bundle(bundle, outside)) for bundle in shipped]
    return {Scope.ROOT: roots, Scope.BOOT: boots, Scope.BUNDLE: bundles}


def is_root(tree: Tree) -> bool:
    """Whether a file system is a root: it has the directories /usr and /etc (merged /usr, file-hierarchy(7))."""
    return all((node := tree.resolve(path)) is not None and node.is_directory for path in ("/usr", "/etc"))


def _roots(container: Artefact) -> Iterator[Root]:
    seen: list[Tree] = []
    for artefact in container.walk():
        tree = artefact.tree
        if tree is not None and not any(tree is other for other in seen) and is_root(tree):
            seen.append(tree)
            yield Root(artefact, tree, container)


def _contents(container: Artefact) -> str:
    inside = [f"{artefact.name} ({artefact.kind})" for artefact in container.walk()][1:]
    return f"it holds {', '.join(inside)}" if inside else "give an image of the whole system"
