"""A charger whose data partition is a LUKS2 volume (EVEREST_DATA_ENCRYPTION): its own TPM opens it, for the boot chain that it was made with (FS-04).

The image is the demonstration's with that knob, built here.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.target.firmware import OWNER
from everest_secure.target.machine import Machine
from everest_secure.target.session import power_on
from support.authority import issue
from support.powercut import extract, partitions
from support.reference import require
from support.steps import SAYS, SECONDS, Console, copied, new_charger, run_to_the_end, with_disk
from support.variants import variant

from .conftest import Witness

pytestmark = pytest.mark.boot

WORD = "behind-a-lock"
STEPS = f"mark {WORD}\nstate\nrestart\nstate\noff"


@dataclass(frozen=True)
class Encrypted:
    """A charger that was started twice and is off."""

    charger: Machine
    console: Console
    disk: Path
    """Its disk as a raw image."""


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Encrypted:
    require("cryptsetup")
    place = tmp_path_factory.mktemp("encrypted")
    charger = new_charger(place, variant(place, EVEREST_DATA_ENCRYPTION="1").disk)
    console = run_to_the_end(with_disk(charger, place / "steps.ext4", STEPS))
    return Encrypted(charger, console, charger.flatten(place / "encrypted.raw"))


@pytest.mark.proves("FS-04", "FS-03")
def test_nobody_is_asked_for_a_password_and_keys_and_state_are_there_again(encrypted: Encrypted, proof: Witness) -> None:
    proof.excerpt(encrypted.console.said("state"))
    before, after = encrypted.console.states()
    assert before == after
    assert after["marker"] == WORD
    assert after["usable"] == "0"


@pytest.mark.proves("FS-04")
def test_the_disk_holds_a_luks2_volume_whose_only_key_is_sealed_to_the_tpm(encrypted: Encrypted, proof: Witness, tmp_path: Path) -> None:
    volume = extract(encrypted.disk, partitions(encrypted.disk)["data"], tmp_path / "data.luks")
    said = subprocess.run(["cryptsetup", "luksDump", "--dump-json-metadata", volume], capture_output=True, text=True, check=True).stdout
    metadata = json.loads(said)
    (token,) = metadata["tokens"].values()
    proof.excerpt([f"{len(metadata['keyslots'])} key slot; token {token['type']}, PCRs {token['tpm2-pcrs']}"])
    assert list(metadata["keyslots"]) == token["keyslots"]
    assert (token["type"], token["tpm2-pcrs"]) == ("systemd-tpm2", [7])
    assert WORD.encode() not in volume.read_bytes()


def another_tpm(charger: Machine) -> None:
    """Take the TPM off the board and solder another one on."""
    shutil.rmtree(charger.tpm)


def another_boot_chain(charger: Machine) -> None:
    """Let the firmware trust somebody else as well."""
    certificate = charger.state / "else.pem"
    certificate.write_text(issue("somebody else").pem)
    program = Path(sys.executable).parent / "virt-fw-vars"
    subprocess.run([program, "--inplace", charger.own_variables, "--add-db", OWNER, certificate], check=True)


@pytest.mark.proves("FS-04")
def test_the_volume_stays_closed_until_all_is_as_it_was_and_the_charger_restarts(
    encrypted: Encrypted, proof: Witness, tmp_path: Path
) -> None:
    charger = copied(encrypted.charger, tmp_path / "machine")
    for change in (another_tpm, another_boot_chain):
        change(charger)
        with power_on(with_disk(charger, tmp_path / f"{change.__name__}.ext4", "state\noff")) as session:
            session.wait_for_event("RESET", seconds=SECONDS)
            lines = [line.text for line in session.lines()]
        proof.excerpt([f"{change.__name__.replace('_', ' ')}: it restarts, and says nothing more than", *lines])
        assert "BdsDxe: starting" in "\n".join(lines)
        assert not [line for line in lines if line.startswith(SAYS)]
        shutil.rmtree(charger.tpm)
        shutil.copytree(encrypted.charger.tpm, charger.tpm)
        shutil.copyfile(encrypted.charger.own_variables, charger.own_variables)
    console = run_to_the_end(with_disk(charger, tmp_path / "again.ext4", "state\noff"))
    proof.excerpt(["and as it was:", *console.said("state")])
    assert console.states() == encrypted.console.states()[-1:]
