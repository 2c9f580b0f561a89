"""Security events that somebody outside provoked, as the log on the data partition has them when the charger is off (LOG-03)."""

import pytest

from support.charger_in_qemu import Charger
from support.security_log import on_disk, read, told_twice
from support.settled import Settled

from .conftest import Witness

pytestmark = pytest.mark.boot


@pytest.mark.proves("LOG-03")
def test_a_scan_of_the_ports_is_in_the_security_log_after_shutdown(charger: Charger, proof: Witness) -> None:
    events = read(charger.tree("data"))
    proof.excerpt(map(str, events))
    refused = [event for event in events if event.name == "packet-refused"]
    assert refused
    assert not told_twice(refused)


@pytest.mark.proves("LOG-03")
def test_bundles_that_were_forged_are_in_the_security_log_after_shutdown_and_nothing_else_is(settled: Settled, proof: Witness) -> None:
    events = on_disk(settled.disk)
    proof.excerpt(map(str, events))
    # Of two signatures within a minute the second is only counted, and told when the minute is over or before another event.
    signatures = [event.text for event in events if event.name == "update-signature-refused"]
    assert "unable to get local issuer certificate" in signatures[0]
    corrupted = [event.text for event in events if event.name == "integrity-violated"]
    assert corrupted[0].startswith("device-mapper: verity: ")
    assert {event.name for event in events} == {"update-signature-refused", "integrity-violated"}
    assert not told_twice(events)
