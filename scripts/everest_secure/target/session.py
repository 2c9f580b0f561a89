"""One power-on of a machine: seen on its console and its ports, operated like a charger on a bench, and cut off at the end."""

import fcntl
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from everest_secure.errors import UserError
from everest_secure.run import Argument, running
from everest_secure.target import port
from everest_secure.target.accelerator import choose
from everest_secure.target.console import Line
from everest_secure.target.emulator import Emulator, started, wait
from everest_secure.target.hardware import BELOW_MIB, CABLES, Channels, board, devices, variables
from everest_secure.target.machine import Accelerator, Machine, Network
from everest_secure.target.port import Port

OFF_SECONDS = 180.0
"""How long a machine may take to switch itself off, in software emulation."""
USB = "everest-usb"
SOUND = (8, 1)
"""QEMU's first version whose software emulation locks the page that it translates (its commit deba78709a): an older one may let a processor go on with
code that another is changing at that moment, as Linux changes its own under breakpoints, and the kernel crashes."""
UNSOUND = (
    "the software emulation of QEMU {}.{} crashes a kernel with more than one processor now and then, by a fault that QEMU 8.1 has no more; "
    "a start may end in a restart (docs/target.md)"
)


@dataclass(slots=True)
class Session:
    """A machine that is switched on. Every wait is bounded and raises UserError when the machine ends or dies instead."""

    machine: Machine
    emulator: Emulator
    ports: dict[str, Port]
    """By name, `management` and `plc`; empty unless the machine's network is private."""
    log: Path
    """The console's bytes."""
    _tpm: "_Tpm"
    _seen: int = field(default=0)

    def wait_for(self, text: str, *, seconds: float) -> None:
        """Wait until the console shows `text` behind what was last waited for."""

        def shown(limit: float) -> bool:
            at = self.emulator.console.find(text, after=self._seen, seconds=limit)
            self._seen = max(self._seen, at)
            return at >= 0

        wait(self.emulator, shown, seconds=seconds, what=f"it showed '{text}'")

    def wait_for_event(self, event: str, *, seconds: float) -> None:
        """Wait for an event of QEMU that was not waited for yet: `RESET`, `WATCHDOG`, `SHUTDOWN`."""
        wait(self.emulator, lambda limit: self.emulator.qmp.has_come(event, limit), seconds=seconds, what=f"the event {event} came")

    def wait_until_off(self, *, seconds: float = OFF_SECONDS) -> None:
        """Wait until the guest has switched the machine off."""
        wait(self.emulator, self.emulator.ended, seconds=seconds, what="it was off")

    def lines(self) -> list[Line]:
        """Return what the console showed so far."""
        return self.emulator.console.lines()

    def seconds_to(self, text: str) -> float:
        """Return how long after power on the first line with `text` began; raises UserError when there is none."""
        for line in self.lines():
            if text in line.text:
                return line.seconds
        raise UserError(f"the console has no line with '{text}'; wait for it first")

    def kill(self) -> None:
        """Cut the power: what was not flushed to the disk is lost, and the TPM hears nothing of it (no TPM2_Shutdown)."""
        self.emulator.process.kill()
        self._tpm.process.kill()
        self.emulator.process.wait()
        self._tpm.process.wait()

    def power_down(self, *, seconds: float = OFF_SECONDS) -> None:
        """Press the power button and wait until the machine is off."""
        self.emulator.qmp.execute("system_powerdown")
        self.wait_until_off(seconds=seconds)

    def reset(self) -> None:
        """Press the reset button."""
        self.emulator.qmp.execute("system_reset")

    def send_keys(self, *keys: str) -> None:
        """Press keys of the keyboard one after the other, in QEMU's names: `esc`, `f2`, `spc`, `e`."""
        for key in keys:
            self.emulator.qmp.execute("send-key", {"keys": [{"type": "qcode", "data": key}]})

    def type(self, text: str) -> None:
        """Send text to the serial port."""
        self.emulator.console.type(text.encode())

    def screenshot(self, path: Path) -> Path:
        """Write what the display shows as PNG."""
        self.emulator.qmp.execute("screendump", {"filename": str(path.absolute()), "format": "png"})
        return path

    def plug_usb_disk(self, image: Path) -> None:
        """Plug in a USB disk with the content of `image`, which is not changed."""
        file = {"driver": "file", "filename": str(image.absolute())}
        self.emulator.qmp.execute("blockdev-add", {"driver": "raw", "node-name": USB, "read-only": True, "file": {**file}})
        self.emulator.qmp.execute("device_add", {"driver": "usb-storage", "id": f"{USB}-disk", "drive": USB, "bus": "usb.0"})

    def unplug_usb_disk(self) -> None:
        """Pull the USB disk."""
        self.emulator.qmp.execute("device_del", {"id": f"{USB}-disk"})
        self.wait_for_event("DEVICE_DELETED", seconds=30)
        self.emulator.qmp.execute("blockdev-del", {"node-name": USB})


@contextmanager
def power_on(machine: Machine, *, tell: Callable[[str], None] = lambda _: None) -> Iterator[Session]:
    """Switch a machine on; its power is cut at the end unless it is off by then.

    `tell` gets one sentence when KVM is there and does not work, and one when QEMU's software emulation is `UNSOUND`. Raises UserError when the
    machine cannot be switched on, ToolError.
    """
    machine.prepare()
    accelerator, sentence = choose(machine.accelerator, machine.firmware)
    if sentence:
        tell(sentence)
    with ExitStack() as stack:
        stack.enter_context(_only_one(machine))
        cables = CABLES if machine.network is Network.PRIVATE else ()
        ports = {cable: stack.enter_context(port.opened(cable)) for cable in cables}
        tpm = stack.enter_context(_tpm(machine))
        taps = {cable: opened.descriptor for cable, opened in ports.items()}
        memory = stack.enter_context(_empty_memory(machine)) if machine.restarts and accelerator is Accelerator.TCG else None

        def command(channels: Channels) -> Sequence[Argument]:
            bare = board(
                machine.firmware,
                variables(machine),
                channels,
                accelerator=accelerator,
                memory=machine.memory,
                processors=machine.processors,
            )
            return [*bare, *devices(machine, tpm=tpm.descriptor, taps=taps, memory=memory)]

        log = _next_log(machine)
        emulator = stack.enter_context(
            started(command, log, inherits=[tpm.descriptor, *taps.values(), *(() if memory is None else (memory,))])
        )
        version = emulator.qmp.version
        if accelerator is Accelerator.TCG and machine.processors > 1 and version < SOUND:
            tell(UNSOUND.format(*version))
        session = Session(machine, emulator, {cable.name: opened for cable, opened in ports.items()}, log, tpm)
        try:
            yield session
        finally:
            session.kill()


def run_until(machine: Machine, text: str, *, seconds: float, tell: Callable[[str], None] = lambda _: None) -> str:
    """Run the machine until its console shows `text`, cut its power, and return the console. Raises as `power_on` and `Session.wait_for`."""
    with power_on(machine, tell=tell) as session:
        session.wait_for(text, seconds=seconds)
        return session.emulator.console.text()


@dataclass(frozen=True, slots=True)
class _Tpm:
    process: subprocess.Popen[bytes]
    descriptor: int
    """QEMU's end of the TPM's control channel."""


@contextmanager
def _tpm(machine: Machine) -> Iterator[_Tpm]:
    """Run the software TPM, whose state is in the machine's directory."""
    near, far = socket.socketpair()
    with near, far:
        program: list[Argument] = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={machine.tpm}"]
        with running([*program, "--ctrl", f"type=unixio,clientfd={far.fileno()}"], inherits=[far.fileno()]) as process:
            far.close()
            yield _Tpm(process, near.fileno())


@contextmanager
def _empty_memory(machine: Machine) -> Iterator[int]:
    """Yield a descriptor of as many zeros as the machine's memory has bytes above BELOW_MIB.

    QEMU keeps what it translated of the system before a reset; where firmware has its data in the same pages, each write to them goes through all of
    that, and a restart takes minutes or for ever. What is overwritten is forgotten.
    """
    descriptor = os.memfd_create("memory")
    try:
        os.truncate(descriptor, (machine.memory - BELOW_MIB) << 20)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _only_one(machine: Machine) -> Iterator[None]:
    """Hold the machine's directory; raises UserError while another session has it."""
    with (machine.state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"the machine in {machine.state} runs already; wait until it is off, or name another directory") from None
        yield


def _next_log(machine: Machine) -> Path:
    """Return the name of the next session's console: `console-001.log`."""
    number = 1 + len(list(machine.state.glob("console-*.log")))
    return machine.state / f"console-{number:03}.log"
