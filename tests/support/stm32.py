"""A safety MCU on a pseudo terminal: the serial boot loader of an STM32 (ST's application note AN3155), whose flash is a file.

    python -m support.stm32 FLASH [--fault NAME] [--after N]

Prints the path of its port, then a line for what a test waits for. It ends when the firmware is started, and with the pseudo terminal of the faults.
"""

import argparse
import os
import pty
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

BASE = 0x08000000
SIZE = 64 * 1024
ID = 0x0468
"""STM32G431."""
COMMANDS = (0x00, 0x02, 0x11, 0x21, 0x31, 0x44)
ACK, NACK = b"\x79", b"\x1f"
ERASED = b"\xff"
FAULTS = ("", "silent", "noise", "broken", "gone", "stall", "protected", "weak")


class Gone(Exception):
    """The line is cut."""


def xor(data: bytes) -> int:
    return reduce(lambda one, other: one ^ other, data, 0)


class BootLoader:
    """The boot loader at its end of the line."""

    def __init__(self, line: int, flash: Path, fault: str, after: int) -> None:
        self.line = line
        self.file = flash
        self.memory = bytearray(flash.read_bytes() if flash.exists() else ERASED * SIZE)
        self.fault = fault
        self.left = after
        """Blocks that are written before the fault shows."""

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += os.read(self.line, count - len(data))
        return data

    def say(self, data: bytes) -> None:
        os.write(self.line, data)

    def checked(self, data: bytes) -> bool:
        """Answer what came with its checksum at the end; a command's is its complement."""
        good = (data[0] ^ data[1] == 0xFF) if len(data) == 2 else xor(data) == 0
        self.say(ACK if good else NACK)
        return good

    def address(self) -> int | None:
        data = self.read(5)
        offset = int.from_bytes(data[:4]) - BASE
        if xor(data) or not 0 <= offset < SIZE:
            self.say(NACK)
            return None
        self.say(ACK)
        return offset

    def synchronise(self) -> None:
        while self.read(1) != b"\x7f":
            pass
        self.say(ACK)

    def keep(self) -> None:
        self.file.write_bytes(self.memory)

    def run(self) -> None:
        """Answer commands until the firmware is started."""
        if self.fault == "silent":
            while True:
                self.read(1)
        self.synchronise()
        while True:
            command = self.read(1)
            if command == b"\x7f":
                self.say(NACK)
                continue
            command += self.read(1)
            if command[0] not in COMMANDS:
                self.say(NACK)
            elif self.checked(command) and self.answer(command[0]):
                return

    def answer(self, command: int) -> bool:
        """Do a command; whether it was the last."""
        match command:
            case 0x00:
                self.say(bytes((len(COMMANDS), 0x31, *COMMANDS)) + ACK)
            case 0x02:
                self.say(bytes((1, *ID.to_bytes(2))) + ACK)
            case 0x11:
                self.give()
            case 0x31:
                self.take()
            case 0x44:
                self.erase()
            case _:
                return self.start()
        return False

    def give(self) -> None:
        offset = self.address()
        if offset is not None and self.checked(size := self.read(2)):
            self.say(bytes(self.memory[offset : offset + size[0] + 1]))

    def erase(self) -> None:
        pages = self.read(3)
        if self.fault == "protected":
            self.say(NACK)
            return
        if not self.checked(pages):
            return
        self.memory[:] = ERASED * SIZE
        self.keep()

    def take(self) -> None:
        offset = self.address()
        if offset is None:
            return
        size = self.read(1)
        data = self.read(size[0] + 2)
        self.left -= 1
        if self.fault == "gone" and self.left < 0:
            raise Gone
        if self.fault == "stall" and self.left < 0:
            print("stalled", flush=True)
            while True:
                self.read(1)
        disturbed = self.fault == "broken" or (self.fault == "noise" and self.left == 0)
        if xor(size + data) or disturbed or (size[0] + 1) % 4:
            self.say(NACK)
            return
        written = data[:-1]
        if self.fault == "weak":
            written = bytes((written[0] ^ 0xFF, *written[1:]))
        # Flash that was not erased loses bits and gains none.
        self.memory[offset : offset + len(written)] = bytes(old & new for old, new in zip(self.memory[offset:], written, strict=False))
        self.keep()
        self.say(ACK)

    def start(self) -> bool:
        if self.address() is None:
            return False
        print("started", flush=True)
        return True


@contextmanager
def mcu(flash: Path, place: Path, *, fault: str = "", after: int = 0) -> Iterator[tuple[Path, Path]]:
    """Yield the port of an MCU that runs beside the test, and the file to which it says what it does."""
    said = place / "mcu.log"
    tests = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent / 'scripts'}"}
    command: list[str | Path] = [sys.executable, "-m", "support.stm32", flash, "--fault", fault, "--after", str(after)]
    with said.open("w") as log, subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=log) as process:
        try:
            while "\n" not in said.read_text():
                assert process.poll() is None
            yield Path(said.read_text().splitlines()[0]), said
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("flash", type=Path)
    parser.add_argument("--fault", choices=FAULTS, default="")
    parser.add_argument("--after", type=int, default=0)
    wanted = parser.parse_args()
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    print(os.ttyname(theirs), flush=True)
    loader = BootLoader(ours, wanted.flash, wanted.fault, wanted.after)
    try:
        loader.run()
    except Gone:
        # Nothing holds the line any longer: whoever has the other end reads its end.
        os.close(theirs)
        os.close(ours)
    # The last answer stays readable for as long as the line is there.
    sys.stdin.read()


if __name__ == "__main__":
    main()
