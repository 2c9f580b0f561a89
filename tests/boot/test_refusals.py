"""Bundles that a charger has to refuse, offered to a charger: RAUC says why, and nothing is written (RAUC-01, RAUC-02, RAUC-03, RAUC-05; LOG-03).

All are offered in one start. What was written is read from the disk afterwards and not asked of the system.
"""

import hashlib
from pathlib import Path

import pytest

from everest_secure.image.blob import from_file
from support.powercut import partitions
from support.settled import MARK, Settled

from .conftest import Witness

pytestmark = pytest.mark.boot

SLOTS = ("efi-a", "efi-b", "rootfs-a", "rootfs-b")


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        pytest.param("plain", "Bundle format 'plain' not allowed", marks=pytest.mark.proves("RAUC-01")),
        pytest.param("other-ca", "signature verification failed: Verify error: unable to get", marks=pytest.mark.proves("RAUC-02")),
        pytest.param("unsigned", "Signature size is 0", marks=pytest.mark.proves("RAUC-03")),
        pytest.param("altered-manifest", "signature verification failed", marks=pytest.mark.proves("RAUC-03")),
        pytest.param("altered-payload", "Failed mounting bundle: Check", marks=pytest.mark.proves("RAUC-03")),
        pytest.param("downgraded", "version 0.0.9 is older than 0.1.0", marks=pytest.mark.proves("RAUC-05")),
        pytest.param("wrong-compatible", "another-charger", marks=pytest.mark.proves("RAUC-03")),
    ],
)
def test_a_bundle_that_is_not_for_this_charger_or_not_from_its_maker_is_refused_with_the_reason(
    settled: Settled, proof: Witness, bundle: str, reason: str
) -> None:
    said = settled.console.installation(f"{bundle}.raucb")
    proof.excerpt(line for line in said if "%" not in line)
    assert said[-1] == "exit code 1"
    assert reason in "\n".join(said)


@pytest.mark.proves("RAUC-01", "RAUC-03", "RAUC-05")
def test_bundles_that_are_refused_write_no_slot_and_change_no_boot_entry(settled: Settled, proof: Witness) -> None:
    assert _slots(settled.disk) == _slots(settled.charger.disk)
    assert settled.console.orders() == ["A", "A"]
    first, last = settled.console.states()
    proof.excerpt(settled.console.said("state"))
    assert first == last
    assert (last["slot"], last["marker"], last["floor"], last["usable"]) == ("A", MARK, "none", "0")


def _slots(disk: Path) -> dict[str, str]:
    """Return the digest of each slot's partition."""
    found = partitions(disk)
    return {slot: _digest(disk, found[slot].offset, found[slot].size) for slot in SLOTS}


def _digest(disk: Path, offset: int, size: int) -> str:
    digest = hashlib.sha256()
    for at in range(offset, offset + size, 1 << 20):
        digest.update(from_file(disk).read(at, min(1 << 20, offset + size - at)))
    return digest.hexdigest()
