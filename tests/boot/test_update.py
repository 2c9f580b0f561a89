"""Updates that go wrong on the charger, one after the other on one machine, with firmware, secure boot, TPM, watchdog and RAUC as they are.

An encrypted update freezes on trial, one with a damaged root, before which the kernel crashes, and one without its hash tree do not come up, one is
unhealthy: each time the charger is back in its old slot without help. test_power_cuts.py has the update that goes well. Before all that somebody
sets the clock, offers the kernel a module and wants its memory, which the security log has afterwards.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from virt.firmware.varstore import edk2

from everest_secure.pki.store import Store
from everest_secure.reference.build import MCU_FIRMWARE
from everest_secure.target.session import power_on
from support.booted import KEYS
from support.bundle import incompressible
from support.encryption import recipient
from support.security_log import Event, on_disk
from support.settled import Settled
from support.steps import CRASH, SECONDS, Console, copied, demonstration, with_disk
from support.updates import SIZE, images, release

from .conftest import Witness

pytestmark = pytest.mark.boot

VERSION = "0.1.0"
VERITY_SUPERBLOCK = b"verity\0\0"
NOT_UP = "everest-update-gate: slot B was written and slot A runs: the update did not come up"
HUNG = "systemd-networkd.service"
"""A service that tells systemd that it lives (WatchdogSec), and on which nothing here waits."""
ENCRYPTED = """
install foreign.raucb
certificate recipient.pem
install encrypted.raucb
mcu
"""
"""Steps of an image that takes encrypted bundles and has a safety MCU, as the demonstration's."""
PLAIN = "install update.raucb"
STEPS = f"""
module
memory
clock
hang {HUNG}
%s
recovered {HUNG}
restart
freeze
decide
firmware
install damaged.raucb
panic
decide
firmware
install bare.raucb
restart
decide
firmware
install update.raucb
restart
unhealthy
decide
decide
firmware
state
off
"""


@dataclass(frozen=True)
class Journey:
    """What the charger went through."""

    starts: tuple[Console, ...]
    """What it said at each start."""
    watchdog: bool
    """Whether the watchdog has reset it."""
    events: tuple[Event, ...]
    """In its security log at the end."""
    crashes: tuple[str, ...]
    """The variables of its firmware with what a kernel said when it crashed, at the end."""
    encrypted: bool
    """Whether its image takes encrypted bundles and has firmware for a safety MCU."""

    def require_encrypted(self) -> None:
        """Skip the test of an image that takes no encrypted bundles and has no safety MCU."""
        if not self.encrypted:
            pytest.skip("this image takes no encrypted bundles and has no safety MCU")


@pytest.fixture(scope="module")
def journey(settled: Settled, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    return travel(settled, tmp_path_factory.mktemp("journey"))


def travel(settled: Settled, directory: Path) -> Journey:
    """Take the charger through all steps."""
    keys = Store(KEYS)
    _, bundle = demonstration()
    good = images(bundle, directory)
    damaged = directory / "damaged.img"
    content = bytearray(good["rootfs"].read_bytes())
    content[4] ^= 1
    damaged.write_bytes(content)
    bare = directory / "bare.img"
    content = bytearray(good["rootfs"].read_bytes())
    hash_tree = content.rindex(VERITY_SUPERBLOCK)
    content[hash_tree:] = bytes(len(content) - hash_tree)
    bare.write_bytes(content)
    noise = directory / "noise.img"
    noise.write_bytes(incompressible(SIZE))
    own = recipient(directory / "recipient.pem", "charger", "\n".join(settled.console.said("key")) + "\n")
    other = recipient(directory / "other.pem", "another charger")
    files = {
        "recipient.pem": own,
        "update.raucb": bundle,
        "encrypted.raucb": release(directory / "encrypted.raucb", keys, good, version=VERSION, recipients=(own,)),
        "foreign.raucb": release(directory / "foreign.raucb", keys, {"rootfs": noise}, version=VERSION, recipients=(other,)),
        "damaged.raucb": release(directory / "damaged.raucb", keys, {**good, "rootfs": damaged}, version=VERSION),
        "bare.raucb": release(directory / "bare.raucb", keys, {**good, "rootfs": bare}, version=VERSION),
    }
    encrypted = "mcu" in good
    steps = STEPS % (ENCRYPTED if encrypted else PLAIN).strip()
    charger = with_disk(copied(settled.charger, directory / "machine"), directory / "second.ext4", steps, files)
    with power_on(charger) as session:
        session.wait_until_off(seconds=2 * SECONDS)
        starts, watchdog = tuple(Console.of(session.lines()).by_start()), session.emulator.qmp.has_come("WATCHDOG")
    variables = edk2.Edk2VarStore(str(charger.own_variables)).get_varlist()
    crashes = tuple(str(name) for name in variables if str(name).startswith("dump-"))
    return Journey(starts, watchdog, tuple(on_disk(charger.flatten(directory / "journey.raw"))), crashes, encrypted)


@pytest.mark.proves("RAUC-06")
def test_whatever_an_update_does_the_charger_is_back_in_its_old_slot_with_keys_and_state(
    settled: Settled, journey: Journey, proof: Witness
) -> None:
    proof.excerpt(line for start in journey.starts for line in start.said("steps"))
    # A; frozen in B; back; the damaged root never came up, nor did one without hash tree; B is unhealthy; back.
    assert [start.starts() for start in journey.starts] == [["A"], ["B"], ["A"], ["A"], ["A"], ["B"], ["A"]]
    assert [order for start in journey.starts for order in start.orders()] == ["A", "A", "A", "A"]
    (state,) = journey.starts[-1].states()
    assert state == settled.state


@pytest.mark.proves("RAUC-08")
def test_an_encrypted_bundle_is_opened_by_the_key_in_the_tpm_of_this_charger_alone(journey: Journey, proof: Witness) -> None:
    journey.require_encrypted()
    own, other = (journey.starts[0].installation(f"{name}.raucb") for name in ("encrypted", "foreign"))
    proof.excerpt(line for line in [*own, *other] if "%" not in line)
    assert own[-1] == "exit code 0"
    assert other[-1] == "exit code 1"
    assert "decrypt" in "\n".join(other)


@pytest.mark.proves("RAUC-07")
def test_the_firmware_of_the_safety_mcu_reaches_its_flash_tool(journey: Journey, proof: Witness) -> None:
    journey.require_encrypted()
    said = journey.starts[0].said("mcu")
    proof.excerpt(said)
    assert said == [hashlib.sha256(MCU_FIRMWARE).hexdigest()]


@pytest.mark.proves("BOOT-05", "RAUC-06")
def test_a_frozen_system_is_reset_by_the_watchdog_and_a_slot_that_froze_on_trial_is_left(journey: Journey, proof: Witness) -> None:
    assert journey.watchdog
    assert journey.starts[1].said("steps")[-1] == "freeze"
    gate = journey.starts[2].said("gate")
    proof.excerpt(gate)
    assert NOT_UP in gate


@pytest.mark.proves("BOOT-05", "RAUC-06")
def test_a_kernel_that_crashes_restarts_and_what_it_said_is_kept_and_does_not_fill_the_firmware(journey: Journey, proof: Witness) -> None:
    assert journey.starts[2].said("steps")[-1] == "panic"
    # The next start tells it before its steps.
    said = [line.removeprefix(CRASH) for line in journey.starts[2].lines if line.startswith(CRASH)]
    proof.excerpt([*said, f"{len(journey.crashes)} parts of crashes in the firmware's variables at the end"])
    assert "Kernel panic - not syncing: sysrq triggered crash" in said
    assert journey.crashes == ()


@pytest.mark.proves("FS-02", "RAUC-06")
@pytest.mark.parametrize(("name", "start"), [("damaged", 2), ("bare", 3)])
def test_an_update_whose_root_is_refused_falls_back_by_itself(journey: Journey, proof: Witness, name: str, start: int) -> None:
    assert journey.starts[start].installation(f"{name}.raucb")[-1] == "exit code 0"
    gate = journey.starts[start + 1].said("gate")
    proof.excerpt(gate)
    assert NOT_UP in gate


@pytest.mark.proves("RAUC-06")
def test_an_update_that_everest_finds_unhealthy_goes_back_by_itself(journey: Journey, proof: Witness) -> None:
    said = journey.starts[5].said("steps")
    proof.excerpt(said)
    assert said[-1] == "decide"
    assert journey.starts[6].starts() == ["A"]


@pytest.mark.proves("BOOT-05")
def test_a_service_with_a_watchdog_that_hangs_is_started_anew(journey: Journey, proof: Witness) -> None:
    said = journey.starts[0].said("recovered")
    proof.excerpt(said)
    ((unit, times, state),) = (line.split() for line in said)
    assert (unit, state) == (HUNG, "active")
    assert int(times) >= 1


@pytest.mark.proves("KERN-01", "LOG-03")
def test_a_module_that_nobody_signed_is_refused_and_it_and_a_clock_that_was_set_are_in_the_security_log(
    journey: Journey, proof: Witness
) -> None:
    said = journey.starts[0].said("module")
    told = [str(event) for event in journey.events]
    proof.excerpt([*said, *told])
    assert said[-1] == "exit code 1"
    assert any(line.startswith("integrity-violated: Loading of unsigned module is rejected") for line in told)
    # Forward and back, as far as time went by between two lines that tell it.
    jumps = [int(event.text.split()[-2]) for event in journey.events if event.name == "time-jumped"]
    assert [round(jump / 60) for jump in jumps] == [60, -60]


@pytest.mark.proves("KERN-01", "LOG-03")
def test_the_memory_of_the_kernel_is_kept_from_root_and_that_somebody_wanted_it_is_in_the_security_log(
    journey: Journey, proof: Witness
) -> None:
    """It is told with the module, as both are of one kind within a minute."""
    said = journey.starts[0].said("memory")
    told = [str(event) for event in journey.events if str(event).startswith("integrity-violated: ")]
    proof.excerpt([*said, *told])
    assert said[-1] == "exit code 1"
    assert any("/dev/mem" in line and "Operation not permitted" in line for line in said)
    assert any("Lockdown: dd: /dev/mem,kmem,port is restricted" in line for line in told)
