"""Security events that somebody outside provoked, as the log on the data partition has them when the charger is off (LOG-03)."""

import hashlib
from dataclasses import dataclass

import pytest

from everest_secure.image.artefact import open_artefact
from everest_secure.image.tree import Tree
from support.charger_in_qemu import Charger
from support.settled import Settled

from .conftest import Witness

pytestmark = pytest.mark.boot

LOG = "/log/everest-security/security.log"


@dataclass(frozen=True)
class Event:
    """A line of the log."""

    name: str
    position: str
    """In the journal."""
    text: str


def read(tree: Tree, proof: Witness) -> list[Event]:
    """Return the events in the log, every line of which has to be the one that was written: its digest covers that of the line before."""
    first, *lines = tree.text(LOG).splitlines()
    _, digest, _ = first.split("\t")
    proof.excerpt(lines)
    events = []
    for line in lines:
        said, rest = line.split("\t", 1)
        digest = hashlib.sha256(f"{digest}\n{rest}".encode()).hexdigest()
        assert said == digest
        _, _, name, _, _, position, text = rest.split("\t", 6)
        events.append(Event(name, position, text))
    return events


@pytest.mark.proves("LOG-03")
def test_a_scan_of_the_ports_is_in_the_security_log_after_shutdown(charger: Charger, proof: Witness) -> None:
    events = read(charger.tree("data"), proof)
    refused = [event for event in events if event.name == "packet-refused"]
    assert refused
    assert len({event.position for event in refused}) == len(refused)


@pytest.mark.proves("LOG-03")
def test_bundles_that_were_forged_are_in_the_security_log_after_shutdown_and_nothing_else_is(settled: Settled, proof: Witness) -> None:
    tree = next(part.tree for part in open_artefact(settled.disk).walk() if part.tree and part.name.endswith(":data"))
    events = read(tree, proof)
    # Of two signatures within a minute the second is only counted, and told when the minute is over.
    signatures = [event.text for event in events if event.name == "update-signature-refused"]
    assert "unable to get local issuer certificate" in signatures[0]
    corrupted = [event.text for event in events if event.name == "integrity-violated"]
    assert corrupted[0].startswith("device-mapper: verity: ")
    assert {event.name for event in events} == {"update-signature-refused", "integrity-violated"}
    assert len({event.position for event in events}) == len(events)
