"""Which accelerator a machine gets: KVM that is there may still not run a machine, as under some nested hypervisors."""

import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from everest_secure.errors import UserError
from everest_secure.run import Argument
from everest_secure.target.emulator import started, wait
from everest_secure.target.firmware import Firmware
from everest_secure.target.hardware import Channels, board
from everest_secure.target.machine import Accelerator

KVM = Path("/dev/kvm")
PROBED = Accelerator.KVM
PROBE_SECONDS = 30.0
"""How long the firmware may take to its first words; a processor under KVM needs two."""


def choose(wanted: Accelerator, firmware: Firmware) -> tuple[Accelerator, str]:
    """Return the accelerator to use and, when that is software emulation because KVM does not work, one sentence on why.

    Raises UserError when KVM is wanted and does not work.
    """
    if wanted is Accelerator.TCG:
        return wanted, ""
    fault = kvm_fault(firmware)
    if not fault:
        return Accelerator.KVM, ""
    if wanted is Accelerator.KVM:
        raise UserError(f"KVM does not work here: {fault}; take --accel tcg, which needs minutes")
    return Accelerator.TCG, f"KVM does not work here: {fault}; the machine runs in software emulation, which takes minutes"


@cache
def kvm_fault(firmware: Firmware) -> str:
    """Return why KVM cannot run this firmware, or an empty text when it did, up to the firmware's first words on the serial port."""
    if not KVM.exists():
        return f"there is no {KVM}"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return f"{KVM} may not be opened by this user"
    with TemporaryDirectory(prefix="everest-kvm-") as work:
        variables = Path(work) / "variables.fd"
        shutil.copyfile(firmware.variables, variables)

        def command(channels: Channels) -> list[Argument]:
            return board(firmware, variables, channels, accelerator=PROBED, memory=256, processors=1)

        try:
            with started(command, Path(work) / "console.log") as emulator:
                wait(emulator, emulator.console.heard, seconds=PROBE_SECONDS, what="its firmware said a word")
        except UserError as error:
            return str(error).rsplit(";", 1)[0].rstrip(".")
    return ""
