"""A charger in QEMU: firmware with secure boot, a software TPM, a disk with the image on it, and the serial console in a file."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ToolError, UserError
from everest_secure.run import Argument, failure, is_installed, run, running
from everest_secure.target.firmware import Firmware

POLL_SECONDS = 0.5
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "swtpm": "swtpm"}
"""Programs and the Debian packages that bring them."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What QEMU gets. KVM is not used: under some nested hypervisors it starts and then dies."""

    disk: Path
    """Raw disk image; writes of the guest are thrown away with `work`."""
    firmware: Firmware
    variables: Path
    """Variable store made by `firmware.enroll`; the guest changes it."""
    work: Path
    """An empty directory for what the guest writes to the disk, the state of the TPM, its socket and the console."""
    second_disk: Path | None = None
    """Raw disk image that the guest sees as virtio-second below /dev/disk/by-id."""
    restarts: bool = False
    """Whether the machine goes on when the guest resets it; disk and firmware variables stay as the guest left them."""
    space: int = 512
    """MiB of the disk behind the image, where the charger makes its data partition (FS-03)."""
    memory: int = 1024
    """MiB."""
    processors: int = 2

    @property
    def console(self) -> Path:
        """What the guest wrote to its serial port."""
        return self.work / "console.log"

    @property
    def written(self) -> Path:
        """What differs from the image."""
        return self.work / "disk.qcow2"

    def overlay(self) -> list[Argument]:
        """Return the command line that makes `written`; the disk is larger than the image, as it is in a charger."""
        size = self.disk.stat().st_size + self.space * 1024 * 1024
        image = json.dumps({"driver": "raw", "file": {"driver": "file", "filename": str(self.disk.absolute())}})
        return ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f"json:{image}", self.written, str(size)]

    def command(self, tpm_socket: Path) -> list[Argument]:
        """Return QEMU's command line."""
        flash = "if=pflash,format=raw"
        second: list[Argument] = []
        if self.second_disk is not None:
            second += ["-drive", f"if=none,id=second,format=raw,snapshot=on,file={_value(self.second_disk)}"]
            second += ["-device", "virtio-blk-pci,drive=second,serial=second"]
        return [
            *("qemu-system-x86_64", "-machine", "q35,smm=on", "-accel", "tcg,thread=multi", "-cpu", "max", "-nodefaults"),
            *("-m", str(self.memory), "-smp", str(self.processors), "-display", "none"),
            *(() if self.restarts else ("-no-reboot",)),
            *("-global", "driver=cfi.pflash01,property=secure,value=on"),
            *("-drive", f"{flash},unit=0,readonly=on,file={_value(self.firmware.code)}"),
            *("-drive", f"{flash},unit=1,file={_value(self.variables)}"),
            *("-drive", f"if=virtio,format=qcow2,file={_value(self.written)}", "-device", "virtio-rng-pci"),
            *second,
            *("-chardev", f"socket,id=tpm,path={tpm_socket}", "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"),
            *("-netdev", "user,id=management,restrict=on", "-device", "virtio-net-pci,netdev=management"),
            *("-serial", f"file:{self.console}"),
        ]


def run_until(machine: Machine, text: str, *, seconds: float) -> str:
    """Run the machine until its console shows `text`, stop it, and return the console.

    Raises UserError with the console's last line when `seconds` pass or the machine stops before that, ToolError when a program is missing.
    """
    for program, package in PROGRAMS.items():
        if not is_installed(program):
            raise ToolError(f"the program '{program}' is not installed; install the Debian package {package} and try again")
    machine.firmware.require()
    if not machine.disk.is_file():
        raise UserError(f"the disk image {machine.disk} is missing or no file; give the raw disk image that the build made")
    socket = machine.work / "tpm.sock"
    state = machine.work / "tpm"
    state.mkdir()
    run(machine.overlay())
    tpm = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={socket}", "--terminate"]
    end = time.monotonic() + seconds
    with running(tpm) as swtpm:
        _wait(socket.exists, process=swtpm, machine=machine, end=end)
        with running(machine.command(socket)) as qemu:
            _wait(lambda: text in _console(machine), process=qemu, machine=machine, end=end)
    return _console(machine)


def _wait(condition: Callable[[], bool], *, process: subprocess.Popen[bytes], machine: Machine, end: float) -> None:
    """Return once `condition` holds; raises when `process` has ended without it, or the time is over."""
    while True:
        code = process.poll()
        # Asked after the poll: what a process that has ended wrote is all there.
        if condition():
            return
        if code:
            _, said = process.communicate()
            raise ToolError(failure(str(process.args[0]) if isinstance(process.args, list) else "qemu", code, said))
        if code == 0:
            raise UserError(f"the machine stopped before it showed what was waited for; its console ends with: {_last_line(machine)}")
        if time.monotonic() > end:
            raise UserError(f"the machine did not show in time what was waited for; its console ends with: {_last_line(machine)}")
        time.sleep(POLL_SECONDS)


def _value(path: Path) -> str:
    """Return a path as a value in an option list of QEMU, where a comma is doubled."""
    return str(path).replace(",", ",,")


def _console(machine: Machine) -> str:
    return machine.console.read_text(errors="replace") if machine.console.exists() else ""


def _last_line(machine: Machine) -> str:
    lines = [line.strip() for line in _console(machine).splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
