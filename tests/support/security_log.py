"""The log of security events on a charger's data partition, read from outside (docs/monitoring.md)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from everest_secure.image.artefact import open_artefact
from everest_secure.image.tree import Tree

LOG = "/log/everest-security/security.log"


@dataclass(frozen=True)
class Event:
    """A line of the log."""

    name: str
    position: str
    """In the journal; `-` when the line was told together with the next one."""
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def on_disk(disk: Path) -> list[Event]:
    """Return the events in the log on a charger's disk, a raw image."""
    return read(next(part.tree for part in open_artefact(disk).walk() if part.tree and part.name.endswith(":data")))


def read(data: Tree) -> list[Event]:
    """Return the events, every line of which has to be the one that was written: its digest covers that of the line before."""
    first, *lines = data.text(LOG).splitlines()
    _, digest, _ = first.split("\t")
    events = []
    for line in lines:
        said, rest = line.split("\t", 1)
        digest = hashlib.sha256(f"{digest}\n{rest}".encode()).hexdigest()
        assert said == digest
        _, _, name, _, _, position, text = rest.split("\t", 6)
        events.append(Event(name, position, text))
    return events


def told_twice(events: Sequence[Event]) -> bool:
    """Say whether two lines have the same position in the journal."""
    positions = [event.position for event in events if event.position != "-"]
    return len(set(positions)) < len(positions)
