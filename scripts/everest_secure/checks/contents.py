"""What a result depends on: the bytes that a subject consists of, by their digests."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from everest_secure.checks.core import Boot, Bundle, Root, Subject
from everest_secure.checks.subjects import DISKS
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.blob import Blob

PIECE = 1024 * 1024
"""Bytes that are hashed at once."""

Digests = dict[int, str]
"""SHA-256 in hex by the identity of a blob."""


@dataclass(frozen=True, slots=True)
class Content:
    """Digests of everything that a check of a subject can read, each with its name."""

    own: tuple[tuple[str, str], ...]
    """Of the subject alone: the file system of a slot."""
    around: tuple[tuple[str, str], ...]
    """Of the artefact that it lies in and of what lies beside that, for checks that look there."""


def content_of(subject: Subject, digests: Digests) -> Content | None:
    """Return what a subject consists of; None for a subject whose content is not known, such as a directory, which is read anew each time."""
    try:
        match subject:
            case Root(artefact=artefact, container=container):
                around = tuple(_whole(container, digests))
                alone = container.kind in DISKS and artefact is not container
                return Content(((artefact.name, _digest(artefact, digests)),) if alone else around, around)
            case Boot(container=container):
                around = tuple(_whole(container, digests))
                return Content(around, around)
            case Bundle(artefact=artefact, roots=roots):
                outside = {id(root.container): root.container for root in roots}
                around = tuple(pair for part in (artefact, *outside.values()) for pair in _whole(part, digests))
                return Content(around, around)
    except (ArtefactError, KeyError):
        return None
    return None


def digests_of(subjects: Sequence[Subject], given: Sequence[Artefact], *, threads: int) -> Digests:
    """Hash the artefacts that were given, and the file systems of disks among the subjects, on several cores."""
    artefacts = [*given, *(subject.artefact for subject in subjects if isinstance(subject, Root) and subject.container.kind in DISKS)]
    blobs = {id(artefact.blob): artefact.blob for artefact in artefacts if artefact.blob is not None}
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return dict(zip(blobs, pool.map(digest, blobs.values()), strict=True))


def digest(blob: Blob) -> str:
    """Return the SHA-256 of a blob in hex. Raises ArtefactError when it cannot be read."""
    found = hashlib.sha256()
    for offset in range(0, blob.size, PIECE):
        found.update(blob.read(offset, min(PIECE, blob.size - offset)))
    return found.hexdigest()


def _whole(artefact: Artefact, digests: Digests) -> Iterator[tuple[str, str]]:
    yield artefact.name, _digest(artefact, digests)
    for beside in artefact.companions:
        yield beside.name, hashlib.sha256(beside.read()).hexdigest()


def _digest(artefact: Artefact, digests: Digests) -> str:
    """Return the digest of an artefact; raises KeyError for a directory, and for what is not hashed."""
    return digests[id(artefact.blob)]
