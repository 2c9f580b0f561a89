import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.errors import ToolError, UserError
from everest_secure.target import accelerator, session
from everest_secure.target.accelerator import choose
from everest_secure.target.firmware import Firmware
from everest_secure.target.machine import PROGRAMS, Accelerator, Machine, Network
from everest_secure.target.session import power_on
from support.machine import ECHO, HALT, NOTES, RESET, firmware, machine, running
from support.ordinary import LIBRARIES, ordinary_user
from support.reference import REPOSITORY, require

SECONDS = 60


@pytest.fixture(autouse=True)
def real() -> None:
    require(*PROGRAMS)


def test_what_was_waited_for_is_not_found_again(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="start\nready\n", then=RESET, restarts=True)) as session:
        for _ in range(3):
            session.wait_for("ready", seconds=SECONDS)
        assert [line.text for line in session.lines()][:6] == ["start", "ready"] * 3


def test_a_line_has_the_time_at_which_it_came(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="start\nready\n")) as session:
        session.wait_for("ready\n", seconds=SECONDS)
        assert 0 <= session.seconds_to("start") <= session.seconds_to("ready") < SECONDS
        with pytest.raises(UserError, match="the console has no line with 'else'"):
            session.seconds_to("else")


def test_control_sequences_are_no_part_of_a_line(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="\x1b[2J\x1b[01;01H\x1b[0mBdsDxe\n\x1b[2J\nready\n")) as session:
        session.wait_for("ready\n", seconds=SECONDS)
        assert [line.text for line in session.lines()] == ["BdsDxe", "ready"]
        assert session.log.read_text().startswith("\x1b[2J")


def test_a_machine_that_was_cut_off_has_ended_and_so_has_its_tpm(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="ready\n")) as session:
        session.wait_for("ready", seconds=SECONDS)
        session.kill()
        assert running(tmp_path) == []
        with pytest.raises(ToolError, match="'qemu-system-x86_64' failed with exit code -9"):
            session.wait_for("more", seconds=SECONDS)


def test_what_is_typed_reaches_the_serial_port(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="ready\n", then=ECHO)) as session:
        session.wait_for("ready", seconds=SECONDS)
        session.type("hello\n")
        session.wait_for("hello", seconds=SECONDS)


def test_the_reset_button_starts_the_machine_anew(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="ready\n", restarts=True)) as session:
        session.wait_for("ready", seconds=SECONDS)
        session.reset()
        session.wait_for_event("RESET", seconds=SECONDS)
        session.wait_for("ready", seconds=SECONDS)


def test_the_memory_of_an_emulated_machine_is_empty_after_a_reset(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="=", then=NOTES + RESET, restarts=True)) as session:
        session.wait_for("=e=e=e", seconds=SECONDS)


def test_who_reset_the_machine_is_kept_beside_its_console(tmp_path: Path) -> None:
    built = machine(tmp_path, says="once more\n", then=RESET, restarts=True)
    with power_on(built) as session:
        session.wait_for("once more", seconds=SECONDS)
        session.wait_for("once more", seconds=SECONDS)
        session.wait_for_event("RESET", seconds=SECONDS)
        events = session.log.with_suffix(".events").read_text().splitlines()
    assert events[0].split() == ["0.000", "RESUME", "{}"]
    assert events[1].split(maxsplit=1)[1] == 'RESET {"guest": true, "reason": "guest-reset"}'


def test_a_screenshot_is_a_png_and_keys_are_taken(tmp_path: Path) -> None:
    with power_on(machine(tmp_path, says="ready\n")) as session:
        session.wait_for("ready", seconds=SECONDS)
        session.send_keys("esc", "f2", "spc", "e")
        assert session.screenshot(tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
        with pytest.raises(ToolError, match="QEMU refuses 'send-key'"):
            session.send_keys("no such key")


def test_a_usb_disk_is_plugged_in_and_pulled_and_not_changed(tmp_path: Path) -> None:
    image = tmp_path / "usb.raw"
    image.write_bytes(bytes(1 << 20))
    with power_on(machine(tmp_path, says="ready\n")) as session:
        session.wait_for("ready", seconds=SECONDS)
        session.plug_usb_disk(image)
        assert running(tmp_path)
        session.unplug_usb_disk()
        session.plug_usb_disk(image)
    assert image.read_bytes() == bytes(1 << 20)


def test_disk_variables_and_tpm_outlast_a_session_and_each_session_has_its_console(tmp_path: Path) -> None:
    built = machine(tmp_path, says="ready\n")
    for _ in range(2):
        with power_on(built) as session:
            session.wait_for("ready", seconds=SECONDS)
        # As the guest would have written them.
        built.overwrite(512, b"kept")
        with built.own_variables.open("r+b") as file:
            file.write(b"kept")
    assert built.flatten(tmp_path / "flat.raw").read_bytes()[512:516] == b"kept"
    assert built.disk.read_bytes()[512:516] == bytes(4)
    assert built.variables.read_bytes()[:4] != b"kept"
    assert list(built.tpm.iterdir())
    assert sorted(file.name for file in built.state.glob("console*.log")) == ["console-001.log", "console-002.log"]


def test_one_directory_is_one_machine(tmp_path: Path) -> None:
    built = machine(tmp_path, says="ready\n")
    with power_on(built), pytest.raises(UserError, match=f"^the machine in {built.state} runs already"), power_on(built):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_session_that_is_killed_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    program = f"""
import sys, time
from pathlib import Path
from everest_secure.target.machine import Network
from everest_secure.target.session import power_on
from support.machine import machine
with power_on(machine(Path({str(tmp_path)!r}), says="ready\\n", network=Network.PRIVATE)) as session:
    session.wait_for("ready", seconds=60)
    print(*(port.holder for port in session.ports.values()), flush=True)
    time.sleep(600)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    holders = [int(word) for word in process.stdout.readline().split()]
    assert len(holders) == 2
    process.send_signal(number)
    process.communicate()
    assert gone(tmp_path, holders)


def gone(directory: Path, holders: list[int]) -> bool:
    """Whether all ends within SECONDS: a signal takes its time."""
    end = time.monotonic() + SECONDS
    while running(directory) or any(Path(f"/proc/{holder}").exists() for holder in holders):
        if time.monotonic() > end:
            return False
    return True


@pytest.fixture
def two_ports(tmp_path: Path) -> Machine:
    require("ip", "unshare", "nsenter")
    return machine(tmp_path, says="ready\n", network=Network.PRIVATE)


def test_each_port_leads_into_a_network_that_nobody_else_is_in(two_ports: Machine) -> None:
    with power_on(two_ports) as session:
        seen = {name: port.run(["ip", "-brief", "link"], seconds=SECONDS).output.decode() for name, port in session.ports.items()}
        interfaces = {name: {line.split()[0] for line in said.splitlines()} for name, said in seen.items()}
        assert interfaces == {"management": {"lo", "charger"}, "plc": {"lo", "charger"}}
        assert session.ports["management"].link_local() == "fe80::5054:ff:fee5:ec00%charger"
        # The cable is in: QEMU has the other end.
        assert all("LOWER_UP" in said.splitlines()[1] for said in seen.values())


def test_networks_are_there_for_an_ordinary_user_too() -> None:
    require("ip", "unshare", "nsenter", "setpriv")
    program = (
        "from everest_secure.target.port import MANAGEMENT, opened\n"
        "with opened(MANAGEMENT) as port:\n    print(port.run(['ip', '-brief', 'address'], seconds=30).output.decode())"
    )
    with ordinary_user() as user:
        libraries = os.pathsep.join([str(REPOSITORY / "scripts"), str(LIBRARIES)])
        done = user.run(user.python(), "-c", program, env={"PYTHONPATH": libraries})
    assert "192.0.2.1/24" in done.stdout, done.stdout


@pytest.fixture
def no_kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    accelerator.kvm_fault.cache_clear()
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "kvm")
    yield
    accelerator.kvm_fault.cache_clear()


@pytest.mark.usefixtures("no_kvm")
def test_without_kvm_software_emulation_takes_its_place_and_one_sentence_says_so(tmp_path: Path) -> None:
    built = firmware(tmp_path, "ready\n", HALT)
    chosen, sentence = choose(Accelerator.AUTO, built)
    assert chosen is Accelerator.TCG
    assert sentence == f"KVM does not work here: there is no {tmp_path}/kvm; the machine runs in software emulation, which takes minutes"
    with pytest.raises(UserError, match=r"^KVM does not work here: there is no .*/kvm; take --accel tcg, which needs minutes$"):
        choose(Accelerator.KVM, built)


@pytest.mark.parametrize(
    ("processors", "sound", "told"), [(2, (99, 0), True), (1, (99, 0), False), (2, (1, 0), False)], ids=["old", "one processor", "new"]
)
def test_an_emulation_that_crashes_kernels_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, sound: tuple[int, int], told: bool
) -> None:
    monkeypatch.setattr(session, "SOUND", sound)
    said: list[str] = []
    with power_on(replace(machine(tmp_path, says="ready\n"), processors=processors), tell=said.append) as on:
        program = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout.split()[3]
        assert on.emulator.qmp.version == tuple(int(part) for part in program.split(".")[:2])
    assert said == ([session.UNSOUND.format(*on.emulator.qmp.version)] if told else [])


@pytest.mark.usefixtures("no_kvm")
def test_a_kvm_that_starts_and_runs_nothing_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(accelerator, "PROBE_SECONDS", 2.0)
    # The probe asks for KVM; what it gets here is emulation of a machine that says nothing.
    monkeypatch.setattr(accelerator, "PROBED", Accelerator.TCG)
    assert accelerator.kvm_fault(firmware(tmp_path, "", HALT)) == "2 seconds passed before its firmware said a word"
    assert accelerator.kvm_fault(Firmware(*_copies(tmp_path))) == ""


def _copies(directory: Path) -> tuple[Path, Path]:
    other = directory / "other"
    other.mkdir()
    built = firmware(other, "a word", HALT)
    return built.code, built.variables
