"""The serial console of a machine: every byte in a file, lines with the time at which they came."""

import codecs
import re
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Control sequences of a terminal (ECMA-48) and control characters but for tab and newline."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without control sequences and surrounding space."""

    text: str
    seconds: float
    """When its first byte came, since power on."""


FINISH_SECONDS = 5


class Console:
    """What the guest sends to its first serial port, from power on; a thread reads it, so that the guest never waits."""

    def __init__(self, channel: socket.socket, log: Path) -> None:
        """Read the connected `channel` until its other end is closed, and write what comes to `log` as it is."""
        self._channel = channel
        self._start = time.monotonic()
        self._text = ""
        self._stamps: list[tuple[int, float]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(log,), name="console", daemon=True)
        self._reader.start()

    def begin(self) -> None:
        """Count time from now on: call it at power on."""
        self._start = time.monotonic()

    def text(self) -> str:
        """Return everything so far."""
        with self._news:
            return self._text

    def lines(self) -> list[Line]:
        """Return the lines so far that show something."""
        with self._news:
            text, stamps = self._text, list(self._stamps)
        lines, at, stamp = [], 0, 0
        for raw in text.splitlines(keepends=True):
            while stamp + 1 < len(stamps) and stamps[stamp + 1][0] <= at:
                stamp += 1
            if shown := _CONTROL.sub("", raw).strip():
                lines.append(Line(shown, stamps[stamp][1]))
            at += len(raw)
        return lines

    def last(self) -> str:
        """Return the last line that shows something, or `nothing`."""
        lines = self.lines()
        return lines[-1].text if lines else "nothing"

    def find(self, text: str, *, after: int, seconds: float) -> int:
        """Wait up to `seconds` for `text` behind the offset `after`, and return the offset of its end; -1 when it did not come."""
        with self._news:
            self._news.wait_for(lambda: text in self._text[after:], seconds)
            at = self._text.find(text, after)
            return at + len(text) if at >= 0 else -1

    def heard(self, seconds: float) -> bool:
        """Whether anything came, now or within `seconds`."""
        with self._news:
            return self._news.wait_for(lambda: bool(self._text), seconds)

    def type(self, keys: bytes) -> None:
        """Send bytes to the guest's serial port; raises OSError when the machine has ended."""
        self._channel.sendall(keys)

    def finish(self) -> None:
        """Return when everything is read that a QEMU which has ended had sent."""
        self._reader.join(timeout=FINISH_SECONDS)

    def close(self) -> None:
        """Read the rest and close the channel; QEMU must have ended."""
        self.finish()
        self._channel.close()

    def _read(self, log: Path) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with log.open("wb", buffering=0) as file:
            while chunk := self._receive():
                file.write(chunk)
                with self._news:
                    self._stamps.append((len(self._text), time.monotonic() - self._start))
                    self._text += decoder.decode(chunk)
                    self._news.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._channel.recv(65536)
        except OSError:
            return b""
