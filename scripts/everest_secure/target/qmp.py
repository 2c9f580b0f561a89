"""QEMU's control channel: the QEMU Machine Protocol (docs/interop/qmp-spec.rst of QEMU)."""

import json
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from everest_secure.errors import ToolError

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
REPLY_SECONDS = 60.0
"""How long QEMU may take to answer; it answers between two pieces of work of an emulated processor."""
MAX_LINE = 1 << 20
"""Bytes of one message."""


@dataclass(slots=True)
class Qmp:
    """The connected channel of one QEMU; for one thread."""

    channel: socket.socket
    log: Path
    """A file that gets one line for each event: seconds since the first, which is that the machine was switched on; name; what QEMU says of it."""
    events: deque[str] = field(default_factory=deque)
    """Names of events that came and were not asked for yet, oldest first: `RESET`, `SHUTDOWN`, `WATCHDOG`, `DEVICE_DELETED`."""
    version: tuple[int, int] = (0, 0)
    """QEMU's version, major and minor."""
    _received: bytearray = field(default_factory=bytearray)
    _first: float | None = None

    def greet(self) -> None:
        """Read QEMU's greeting, which has its version, and enter command mode; raises ToolError."""
        match self._message(time.monotonic() + REPLY_SECONDS):
            case {"QMP": {"version": {"qemu": {"major": int(major), "minor": int(minor)}}}}:
                self.version = major, minor
        self.execute("qmp_capabilities")

    def execute(self, command: str, arguments: Mapping[str, Value] | None = None) -> Value:
        """Run a command and return what it returns; raises ToolError when QEMU refuses, has ended, or does not answer in REPLY_SECONDS."""
        end = time.monotonic() + REPLY_SECONDS
        try:
            self.channel.settimeout(REPLY_SECONDS)
            self.channel.sendall(json.dumps({"execute": command, "arguments": dict(arguments or {})}).encode() + b"\n")
        except OSError as error:
            raise ToolError(f"QEMU does not take the command '{command}': {error.strerror or error}; the machine has ended") from None
        while True:
            message = self._message(end)
            if "error" in message:
                said = message["error"]
                what = said.get("desc", "no reason") if isinstance(said, dict) else said
                raise ToolError(f"QEMU refuses '{command}': {what}; check the request and QEMU's version")
            if "return" in message:
                return message["return"]
            self._note(message)

    def has_come(self, event: str, seconds: float = 0) -> bool:
        """Whether an event has come since this was last true of it, or comes within that time; older ones of other names stay."""
        try:
            self.channel.settimeout(0 if event in self.events else seconds)
            while chunk := self.channel.recv(65536):
                self._received += chunk
                self.channel.settimeout(0)
        except OSError:
            pass  # Nothing more for now, or QEMU has ended.
        while (line := self._line()) is not None:
            self._note(_parsed(line))
        if event not in self.events:
            return False
        self.events.remove(event)
        return True

    def _note(self, message: dict[str, Value]) -> None:
        if isinstance(name := message.get("event"), str):
            self.events.append(name)
            at = _seconds(message.get("timestamp"))
            self._first = at if self._first is None else self._first
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{at - self._first:10.3f} {name} {json.dumps(message.get('data', {}))}\n")

    def _message(self, end: float) -> dict[str, Value]:
        while (line := self._line()) is None:
            left = end - time.monotonic()
            if left <= 0:
                raise ToolError(f"QEMU did not answer within {REPLY_SECONDS:.0f} seconds; the computer is overloaded, or QEMU hangs")
            try:
                self.channel.settimeout(left)
                chunk = self.channel.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                chunk = b""
            if not chunk:
                raise ToolError("QEMU ended while it was asked; its own last words are above, or in the kernel's log")
            self._received += chunk
        return _parsed(line)

    def _line(self) -> bytes | None:
        at = self._received.find(b"\n")
        if at < 0:
            if len(self._received) > MAX_LINE:
                raise ToolError(f"QEMU sent a message of more than {MAX_LINE} bytes; this version of QEMU is not supported")
            return None
        line = bytes(self._received[:at])
        del self._received[: at + 1]
        return line


def _seconds(stamp: Value) -> float:
    """Return an event's time, which QEMU gives in seconds and microseconds."""
    if not isinstance(stamp, dict):
        return 0.0
    seconds, microseconds = stamp.get("seconds"), stamp.get("microseconds")
    return seconds + microseconds / 1e6 if isinstance(seconds, int) and isinstance(microseconds, int) else 0.0


def _parsed(line: bytes) -> dict[str, Value]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise ToolError("QEMU sent a message that is no JSON object; this version of QEMU is not supported")
    return message
