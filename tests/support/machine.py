"""Machines whose firmware is a few instructions: they start in a second."""

from pathlib import Path

from everest_secure.target.firmware import Firmware
from everest_secure.target.machine import Accelerator, Machine, Network
from support.processes import command_lines

RESET = bytes.fromhex("b0fe e664 f4 ebfd")
"""mov al, 0xfe; out 0x64, al: the keyboard controller resets the machine."""
NOTES = bytes.fromhex("b8 ffff 8ed8 a0 1000 0465 ee c606 1000 01")
"""Sends `e` to the first serial port when the first byte above 1 MiB is zero, `f` when it is 1, and makes it 1."""
HALT = bytes.fromhex("f4 ebfd")
ECHO = bytes.fromhex("ba fd03 ec a801 74fb ba f803 ec ee ebf1")
"""Sends back what the first serial port receives."""
SIZE = 64 * 1024
"""Bytes of real mode's last segment, which ends with the reset vector at 0xfff0."""


def firmware(directory: Path, says: str, then: bytes) -> Firmware:
    """Write firmware of a few instructions: it sends a text to the first serial port, and then halts or resets the machine."""
    program = bytes.fromhex("ba f803") + b"".join(bytes([0xB0, character, 0xEE]) for character in says.encode()) + then
    code = bytearray(b"\xf4" * SIZE)
    code[0xF000 : 0xF000 + len(program)] = program
    code[0xFFF0:0xFFF3] = b"\xe9" + (0xF000 - 0xFFF3).to_bytes(2, "little", signed=True)
    (directory / "code.fd").write_bytes(code)
    (directory / "variables.fd").write_bytes(bytes(SIZE))
    return Firmware(directory / "code.fd", directory / "variables.fd")


def machine(directory: Path, *, says: str = "", then: bytes = HALT, restarts: bool = False, network: Network = Network.USER) -> Machine:
    """Return a small machine below `directory`, with a disk whose name has a comma."""
    disk = directory / "disk,1.raw"
    disk.write_bytes(bytes(1024 * 1024))
    built = firmware(directory, says, then)
    return Machine(
        disk=disk,
        firmware=built,
        variables=built.variables,
        state=directory / "state",
        restarts=restarts,
        memory=64,
        processors=1,
        accelerator=Accelerator.TCG,
        network=network,
    )


def running(directory: Path) -> list[str]:
    """Return the command lines of processes that name `directory`."""
    lines = (" ".join(arguments) for _, arguments in command_lines())
    return [line for line in lines if str(directory) in line]
