"""From artefacts to what checks look at: root file systems, disks that boot, RAUC bundles, and images with what their build left beside them."""

from collections.abc import Iterator, Mapping, Sequence

from everest_secure.checks.core import Boot, Build, Bundle, Root, Scope, Starting, Subject
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.companions import Companion
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.tree import Tree
from everest_secure.image.unread import unread_format

DIRECTORY = "directory"
DISKS, BUNDLE = ("gpt", "mbr"), "rauc-bundle"

Named = tuple[str, Subject]


def find_subjects(artefacts: Sequence[Artefact]) -> Mapping[Scope, Sequence[Named]]:
    """Return what there is to check in all artefacts together, by scope, each with its name.

    A root file system that is there several times, byte by byte, is one subject: in both slots of a disk, in a bundle, and beside them. Raises
    ArtefactError when two artefacts have the same name, and when one holds nothing to check, is a disk without a root file system, or a bundle
    whose file systems are not read: a report on it would say nothing, and look like success.
    """
    names = [container.name for container in artefacts]
    for name in names:
        if names.count(name) > 1:
            raise ArtefactError(f"two of the artefacts are called {name}; rename one, or a finding could be of either")
    roots: list[tuple[str, Root]] = []
    boots: list[Named] = []
    bundles: list[Named] = []
    for container in artefacts:
        inside = tuple(roots_in(container))
        disks = _of_kind(container, *DISKS)
        if disks and not inside:
            raise ArtefactError(f"{container.name} has no partition with a root file system that can be read; {_contents(container)}")
        if not inside and container.kind == BUNDLE and any(unread(each) for each in container.walk()):
            raise ArtefactError(f"{container.name} has no image with a root file system that can be read; {_contents(container)}")
        if not is_checkable(container):
            raise ArtefactError(
                f"{container.name} ({container.kind}) is neither a root file system nor a disk nor a bundle; {_contents(container)}"
            )
        for root in inside:
            if not repeats(root, [each for _, each in roots]):
                roots.append((root.artefact.name, root))
        boots += [(disk.name, Boot(disk, tuple(roots_in(disk)))) for disk in disks]
        outside = tuple(root for other in artefacts if other is not container for root in roots_in(other))
        bundles += [(bundle.name, Bundle(bundle, outside)) for bundle in _of_kind(container, BUNDLE)]
    return {
        Scope.ROOT: roots,
        Scope.BOOT: boots,
        Scope.BUNDLE: bundles,
        Scope.BUILD: list(_builds(artefacts, [root.container for _, root in roots])),
    }


def repeated(artefacts: Sequence[Artefact], subjects: Mapping[Scope, Sequence[Named]]) -> tuple[str, ...]:
    """Return the names of root file systems that are no subject of their own, as another one holds the same bytes."""
    checked = {name for name, _ in subjects[Scope.ROOT]}
    return tuple(root.artefact.name for container in artefacts for root in roots_in(container) if root.artefact.name not in checked)


def repeats(root: Root, earlier: Sequence[Root]) -> bool:
    """Whether a root file system holds the same bytes as an earlier one."""
    return any(root.artefact.same_content(other.artefact) for other in earlier)


def is_checkable(container: Artefact) -> bool:
    """Whether an artefact holds anything that is checked: a root file system, a disk, a bundle."""
    return bool(_of_kind(container, *DISKS, BUNDLE)) or any(True for _ in roots_in(container))


def is_root(tree: Tree) -> bool:
    """Whether a file system is a root: it has the directories /usr and /etc (merged /usr, file-hierarchy(7)), and is no initial RAM disk."""
    return tree.kind != INITRAMFS and all((node := tree.resolve(path)) is not None and node.is_directory for path in ("/usr", "/etc"))


def unread(part: Artefact) -> str | None:
    """Return the name of a part's format when it is known and not read."""
    return unread_format(part.blob) if part.kind == "unknown" and part.blob else None


def _of_kind(container: Artefact, *kinds: str) -> list[Artefact]:
    return [artefact for artefact in container.walk() if artefact.kind in kinds]


def _builds(artefacts: Sequence[Artefact], checked: Sequence[Artefact]) -> Iterator[Named]:
    """Yield one subject for all artefacts that have the same companions: the disk, the file system and the archive of one image.

    An image beside which nothing lies is one, too, if its root is among those `checked`. A directory is none, as nothing belongs beside it, and
    neither is a bundle, whose image has its own.
    """
    groups: dict[tuple[Companion, ...], list[Artefact]] = {}
    for artefact in artefacts:
        if artefact.companions:
            groups.setdefault(artefact.companions, []).append(artefact)
        elif artefact.kind not in (BUNDLE, DIRECTORY) and any(artefact is each for each in checked):
            yield artefact.name, Build(artefact, tuple(roots_in(artefact)), ())
    for companions, group in groups.items():
        yield group[0].name, Build(group[0], tuple(root for artefact in group for root in roots_in(artefact)), companions)


def roots_that_start(starting: Starting) -> tuple[Root, ...]:
    """Return the root file systems of a disk, or those that a bundle installs."""
    return starting.roots if isinstance(starting, Boot) else tuple(roots_in(starting.artefact))


def roots_in(container: Artefact) -> Iterator[Root]:
    """Yield the root file systems of an artefact, outermost first."""
    seen: list[Tree] = []
    for artefact in container.walk():
        tree = artefact.tree
        if tree is not None and not any(tree is other for other in seen) and is_root(tree):
            seen.append(tree)
            yield Root(artefact, tree, container)


def _contents(container: Artefact) -> str:
    inside = [f"{part.name} ({f'{known}, which is not read' if (known := unread(part)) else part.kind})" for part in container.walk()][1:]
    return f"it holds {', '.join(inside)}" if inside else "give an image of the whole system"
