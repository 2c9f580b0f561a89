"""A running QEMU: its console, its control channel, and how it ends."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ToolError, UserError
from everest_secure.run import Argument, failure, running
from everest_secure.target.console import Console
from everest_secure.target.hardware import Channels
from everest_secure.target.qmp import Qmp

POLL_SECONDS = 0.5
ENDING_SECONDS = 10
DIED = "internal-error"
"""State of a machine that KVM gave up (qapi/run-state.json of QEMU)."""


@dataclass(slots=True)
class Emulator:
    """One QEMU from its start to its end."""

    process: subprocess.Popen[bytes]
    console: Console
    qmp: Qmp

    def ended(self, seconds: float = 0) -> bool:
        """Whether QEMU is gone within that time, as it is when the guest has switched the machine off; raises ToolError when it failed."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=seconds)
        code = self.process.poll()
        if code:
            _, said = self.process.communicate()
            raise ToolError(failure("qemu-system-x86_64", code, said))
        if code == 0:
            self.console.finish()
        return code == 0

    def expect_end(self) -> None:
        """Wait for the end of a QEMU that has closed its control channel; raises ToolError when it does not come."""
        try:
            self.process.wait(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            raise ToolError("QEMU hangs: it neither answers nor ends; try again, and look for its version's known bugs") from None

    def died(self) -> bool:
        """Whether the machine stands still because KVM cannot run it."""
        try:
            status = self.qmp.execute("query-status")
        except ToolError:
            self.expect_end()
            return False
        return isinstance(status, dict) and status.get("status") == DIED


@contextmanager
def started(command: Callable[[Channels], Sequence[Argument]], log: Path, *, inherits: Sequence[int] = ()) -> Iterator[Emulator]:
    """Start QEMU by the command line that `command` makes of its channels; stop it at the end.

    Its console goes to `log`, its events to the file of that name that ends in .events. Raises ToolError when it does not start.
    """
    with ExitStack() as stack:
        (console, its_console), (control, its_control) = socket.socketpair(), socket.socketpair()
        stack.enter_context(control)
        with its_console, its_control:
            channels = Channels(its_console.fileno(), its_control.fileno())
            argv = command(channels)
            # Read to the end once QEMU has ended: contexts end in reverse.
            reader = Console(console, log)
            stack.callback(reader.close)
            process = stack.enter_context(running(argv, inherits=[channels.console, channels.control, *inherits]))
        emulator = Emulator(process, reader, Qmp(control, log.with_suffix(".events")))
        try:
            emulator.qmp.greet()
        except ToolError:
            emulator.expect_end()
            emulator.ended()
            raise
        reader.begin()
        emulator.qmp.execute("cont")
        yield emulator


def wait(emulator: Emulator, condition: Callable[[float], bool], *, seconds: float, what: str) -> None:
    """Return once `condition`, which may take the seconds that it gets, holds.

    Raises UserError when the machine ends or dies without it, or the time is over.
    """
    end = time.monotonic() + seconds
    while True:
        ended = emulator.ended()
        # Asked after that, when all is there that a machine that has ended wrote.
        if condition(0 if ended else POLL_SECONDS):
            return
        if ended:
            raise UserError(f"the machine stopped before {what}; its console ends with: {emulator.console.last()}")
        if emulator.died():
            raise UserError(f"KVM gave the machine up before {what}; run it with --accel tcg")
        if time.monotonic() > end:
            raise UserError(f"{seconds:.0f} seconds passed before {what}; the machine's console ends with: {emulator.console.last()}")
