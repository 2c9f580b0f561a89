"""The flash tool for an STM32, over a serial line to a boot loader that speaks AN3155 (RAUC-07)."""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.bundle import incompressible
from support.layer import Bench, contents
from support.shells import any_shell, shell
from support.stm32 import BASE, ERASED, ID, mcu
from support.waiting import eventually

pytestmark = pytest.mark.layer

SCRIPT = "usr/libexec/everest-secure/everest-mcu-stm32"
VECTORS = (0x20008000).to_bytes(4, "little") + (BASE + 0x101).to_bytes(4, "little")
FIRMWARE = VECTORS + incompressible(601)
"""Two blocks and a part of one, which is no whole number of words."""
OLD = VECTORS + b"old firmware"


@dataclass(frozen=True)
class Workplace:
    """A flash with an older firmware, an image, and the tool in one of the target's shells."""

    place: Path
    program: Path
    sh: str

    @property
    def flash(self) -> Path:
        return self.place / "flash"

    @property
    def image(self) -> Path:
        return self.place / "mcu.img"

    def command(self, *arguments: str | Path) -> list[str | Path]:
        return [*shell(self.sh), self.program, *arguments]

    def environment(self, port: Path, **more: str) -> dict[str, str]:
        return {**os.environ, "EVEREST_MCU_PORT": str(port), "EVEREST_MCU_WAIT": "20", **more}

    def call(self, port: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        command = self.command(self.image)
        return subprocess.run(command, env=self.environment(port, **environment), capture_output=True, text=True, check=False)

    def holds(self, firmware: bytes) -> bool:
        memory = self.flash.read_bytes()
        return memory.startswith(firmware) and set(memory[len(firmware) :]) <= {ERASED[0]}

    def can_start(self) -> bool:
        """Whether the MCU would start something: its vectors are there."""
        return self.flash.read_bytes()[:8] != ERASED * 8


@pytest.fixture
def workplace(layer: Bench, sh: str, tmp_path: Path) -> Workplace:
    made = Workplace(tmp_path, layer.package("everest-mcu-stm32").files / SCRIPT, sh)
    made.flash.write_bytes(OLD.ljust(64 * 1024, ERASED))
    made.image.write_bytes(FIRMWARE)
    return made


def test_the_recipe_installs_the_tool_with_the_product_s_settings(layer: Bench) -> None:
    package = layer.package("everest-mcu-stm32", EVEREST_MCU_STM32_PORT="/dev/ttymxc3", EVEREST_MCU_STM32_ID="0x0468")
    assert contents(package) == {f"/{SCRIPT}": 0o755}
    text = (package.files / SCRIPT).read_text()
    assert "port=${EVEREST_MCU_PORT:-/dev/ttymxc3}\nid=${EVEREST_MCU_ID-0x0468}\n" in text


@any_shell
def test_a_good_image_is_written_read_back_and_started(workplace: Workplace) -> None:
    with mcu(workplace.flash, workplace.place) as (port, said):
        done = workplace.call(port, EVEREST_MCU_ID=f"0x{ID:04x}")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "609 bytes written and read back, MCU 0x0468\n"
        eventually(lambda: "started" in said.read_text())
    assert workplace.holds(FIRMWARE)


@any_shell
def test_the_product_s_program_brings_the_mcu_into_its_boot_loader_and_back(workplace: Workplace) -> None:
    switch, calls = workplace.place / "switch", workplace.place / "calls"
    switch.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n')
    switch.chmod(0o755)
    with mcu(workplace.flash, workplace.place) as (port, _):
        assert workplace.call(port, EVEREST_MCU_SWITCH=str(switch)).returncode == 0
    assert calls.read_text() == "boot-loader\napplication\n"
    switch.write_text("#!/bin/sh\nexit 1\n")
    before = workplace.flash.read_bytes()
    with mcu(workplace.flash, workplace.place) as (port, _):
        done = workplace.call(port, EVEREST_MCU_SWITCH=str(switch))
    assert (done.returncode, workplace.flash.read_bytes()) == (1, before)


@any_shell
def test_a_block_that_the_line_disturbed_is_sent_again(workplace: Workplace) -> None:
    with mcu(workplace.flash, workplace.place, fault="noise", after=2) as (port, _):
        done = workplace.call(port)
    assert (done.returncode, done.stderr) == (0, "")
    assert workplace.holds(FIRMWARE)


FAULTS = {
    "broken": "the MCU did not take byte 512 and what follows",
    "weak": "the MCU did not take byte 512 and what follows",
    "silent": "the MCU does not answer on /dev/pts/",
    "protected": "the MCU does not erase its flash; it may be protected against writing",
}


@any_shell
@pytest.mark.parametrize("fault", FAULTS)
def test_an_mcu_that_does_not_take_it_fails_the_update_in_one_sentence(workplace: Workplace, fault: str) -> None:
    """Checksums that never fit, cells that do not hold, no answer, and no permission."""
    before = workplace.flash.read_bytes()
    with mcu(workplace.flash, workplace.place, fault=fault) as (port, _):
        done = workplace.call(port)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"everest-mcu-stm32: {FAULTS[fault]}")
    assert workplace.can_start() == (fault in ("silent", "protected"))
    if workplace.can_start():
        assert workplace.flash.read_bytes() == before


@any_shell
@pytest.mark.parametrize("after", [0, 2])
def test_a_line_that_is_cut_leaves_no_half_of_a_firmware_and_the_next_attempt_writes_all(workplace: Workplace, after: int) -> None:
    with mcu(workplace.flash, workplace.place, fault="gone", after=after) as (port, _):
        done = workplace.call(port)
    assert done.returncode == 1
    assert not workplace.can_start()
    with mcu(workplace.flash, workplace.place) as (port, _):
        assert workplace.call(port).returncode == 0
    assert workplace.holds(FIRMWARE)


@any_shell
@pytest.mark.parametrize("after", [0, 2])
def test_a_power_cut_at_any_block_is_made_good_by_the_next_attempt(workplace: Workplace, after: int) -> None:
    with (
        mcu(workplace.flash, workplace.place, fault="stall", after=after) as (port, said),
        subprocess.Popen(
            workplace.command(workplace.image), env=workplace.environment(port, EVEREST_MCU_WAIT="250"), start_new_session=True
        ) as tool,
    ):
        eventually(lambda: "stalled" in said.read_text())
        os.killpg(tool.pid, signal.SIGKILL)
    assert not workplace.can_start()
    with mcu(workplace.flash, workplace.place) as (port, _):
        assert workplace.call(port).returncode == 0
    assert workplace.holds(FIRMWARE)


@any_shell
def test_what_is_no_firmware_of_this_mcu_changes_nothing(workplace: Workplace) -> None:
    before = workplace.flash.read_bytes()
    with mcu(workplace.flash, workplace.place) as (port, _):
        done = workplace.call(port, EVEREST_MCU_ID="0x0411")
        assert (done.returncode, done.stderr) == (1, "everest-mcu-stm32: the MCU is of the kind 0x0468 and the firmware is for 0x0411\n")
        for text in (b"", b"short", b"\x7fELF" + incompressible(100)):
            workplace.image.write_bytes(text)
            done = workplace.call(port)
            assert (done.returncode, "is no firmware for an STM32" in done.stderr) == (1, True)
    for port in (workplace.place / "none", Path(os.devnull)):
        workplace.image.write_bytes(FIRMWARE)
        assert workplace.call(port).returncode == 1
    assert workplace.flash.read_bytes() == before


@any_shell
def test_wrong_usage_is_told(workplace: Workplace) -> None:
    for arguments, code in (((), 64), (("one", "two"), 64), (("--help",), 0)):
        done = subprocess.run(workplace.command(*arguments), capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert (done.stdout if code == 0 else done.stderr).startswith("Usage: everest-mcu-stm32 IMAGE")
