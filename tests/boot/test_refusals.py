"""Bundles that a charger has to refuse, on the charger: by RAUC, before anything is written (RAUC-01, RAUC-02, RAUC-03, RAUC-05; LOG-03).

One start: the image installs one bundle after the other from its second disk (tests/support/steps.py) and switches itself off. What was written
is read from the disk afterwards, not asked of the system. Software emulation: minutes. Run by `make boot`, after `make demo`.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from everest_secure.image.blob import from_file
from everest_secure.pki.store import Store
from everest_secure.target.session import power_on
from support.powercut import partitions
from support.steps import KEYS, SECONDS, Console, new_charger, second_disk
from support.updates import refused

pytestmark = pytest.mark.boot

SLOTS = ("efi-a", "efi-b", "rootfs-a", "rootfs-b")
REASONS = {
    "unsigned": "signature size",
    "other-ca": "signature verification failed",
    "altered-manifest": "signature verification failed",
    "altered-payload": "corrupted",
    "plain": "bundle format 'plain' not allowed",
    "downgraded": "0.0.9",
    "wrong-compatible": "another-charger",
}
"""What RAUC says, in part, of each bundle."""
SIGNATURES = {"other-ca", "altered-manifest"}
"""Those whose signature does not hold, which is a security event."""


@dataclass(frozen=True)
class Refusals:
    """What is left of the start in which every bundle was offered."""

    console: Console
    disk: Path
    """The disk after the machine was off."""
    before: Path
    """The image as it was built."""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Refusals:
    directory = tmp_path_factory.mktemp("refusals")
    charger = new_charger(directory)
    bundles = {f"{name}.raucb": file for name, file in refused(directory, Store(KEYS)).items()}
    steps = "\n".join(["mark before", "state", "firmware", *(f"install {name}" for name in bundles), "firmware", "state", "off"])
    charger = replace(charger, second_disk=second_disk(directory / "second.ext4", steps, bundles))
    with power_on(charger) as session:
        session.wait_until_off(seconds=SECONDS)
        console = Console.of(session.lines())
    return Refusals(console, charger.flatten(directory / "disk.raw"), charger.disk)


@pytest.mark.parametrize("name", REASONS)
def test_a_bundle_that_is_not_for_this_charger_or_not_from_its_maker_is_refused_with_the_reason(refusals: Refusals, name: str) -> None:
    said = refusals.console.installation(f"{name}.raucb")
    assert said[-1] == "exit code 1"
    assert REASONS[name] in "\n".join(said)


def test_no_slot_was_written_and_no_boot_entry_changed(refusals: Refusals) -> None:
    assert _slots(refusals.disk) == _slots(refusals.before)
    assert refusals.console.orders() == ["A", "A"]
    first, last = refusals.console.states()
    assert first == last
    assert (last["slot"], last["marker"], last["floor"], last["usable"]) == ("A", "before", "none", "0")


def _slots(disk: Path) -> dict[str, str]:
    """Return the digest of each slot's partition."""
    found = partitions(disk)
    return {slot: hashlib.sha256(from_file(disk).read(found[slot].offset, found[slot].size)).hexdigest() for slot in SLOTS}
