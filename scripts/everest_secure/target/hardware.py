"""QEMU's command line for a machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from everest_secure.run import Argument
from everest_secure.target.firmware import Firmware
from everest_secure.target.machine import Accelerator, Machine
from everest_secure.target.port import MANAGEMENT, PLC, Cable

CABLES = (MANAGEMENT, PLC)
"""In the order of the machine's slots, so that the kernel calls them eth0 and eth1."""
BELOW_MIB = 1
"""The first MiB of the memory, which is the firmware's own."""
PROCESSOR = {Accelerator.KVM: "host", Accelerator.TCG: "max,-erms,-la57"}
"""In software emulation without what makes a system choose the slower way: `rep movsb` and `rep stosb`, which QEMU emulates byte by byte where
without ERMS words are copied, and a fifth level of page tables. A start takes a fifth less of the processor so."""


@dataclass(frozen=True, slots=True)
class Channels:
    """Descriptors of connected Unix sockets that QEMU inherits."""

    console: int
    control: int


def board(
    firmware: Firmware, variables: Path | str, channels: Channels, *, accelerator: Accelerator, memory: int, processors: int
) -> list[Argument]:
    """Return a machine with firmware, secure boot, serial console and control channel, and nothing to start; it waits for `cont`."""
    flash = "if=pflash,format=raw"
    threads = ",thread=multi" if accelerator is Accelerator.TCG else ""
    return [
        *("qemu-system-x86_64", "-machine", "q35,smm=on", "-accel", f"{accelerator}{threads}", "-cpu", PROCESSOR[accelerator]),
        *("-nodefaults", "-m", str(memory), "-smp", str(processors), "-display", "none", "-S"),
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-drive", f"{flash},unit=0,readonly=on,file={_value(firmware.code)}"),
        *("-drive", f"{flash},unit=1,file={_value(variables)}"),
        *("-chardev", f"socket,id=console,fd={channels.console}", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=control,fd={channels.control}", "-mon", "chardev=control,mode=control"),
    ]


def devices(machine: Machine, *, tpm: int, taps: Mapping[Cable, int], memory: int | None = None) -> list[Argument]:
    """Return what the board of a charger carries: disk, TPM, two network ports, watchdog, display, USB.

    `tpm` and `taps` are descriptors, and so is `memory`: what overwrites the memory above BELOW_MIB at each reset.
    """
    return [
        *("-drive", f"if=none,id=disk,{_disk(machine)}"),
        *("-device", "virtio-blk-pci,drive=disk,addr=0x3"),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=tpm,fd={tpm}", "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"),
        *(word for slot, cable in enumerate(CABLES, 4) for word in _port(cable, slot, taps.get(cable))),
        *("-device", "i6300esb", "-action", "watchdog=reset"),
        *("-device", "VGA", "-device", "qemu-xhci,id=usb"),
        *(word for text in machine.oem_strings for word in ("-smbios", f"type=11,value={text.replace(',', ',,')}")),
        *_second(machine.second_disk),
        *(() if memory is None else ("-device", f"loader,file=/proc/self/fd/{memory},addr={BELOW_MIB << 20:#x},force-raw=on")),
        *(() if machine.restarts else ("-no-reboot",)),
    ]


def variables(machine: Machine) -> Path | str:
    """Return what the flash with the firmware's variables is kept in."""
    return machine.own_variables if machine.storage is None else _export(machine.storage, "variables")


def _disk(machine: Machine) -> str:
    if machine.storage is not None:
        return f"format=raw,file={_value(_export(machine.storage, 'disk'))}"
    return f"format=qcow2,file={_value(machine.written)}"


def _export(server: Path, name: str) -> str:
    return f"nbd+unix:///{name}?socket={quote(str(server))}"


def _port(cable: Cable, slot: int, tap: int | None) -> list[Argument]:
    """Return one network port; without a tap device it leads to QEMU's own network."""
    backend = f"user,id={cable.name},restrict=on" if tap is None else f"tap,id={cable.name},fd={tap}"
    return ["-netdev", backend, "-device", f"virtio-net-pci,netdev={cable.name},mac={cable.mac},addr=0x{slot:x},romfile="]


def _second(disk: Path | None) -> list[Argument]:
    if disk is None:
        return []
    drive = f"if=none,id=second,format=raw,snapshot=on,file={_value(disk)}"
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=second,serial=second"]


def _value(path: Path | str) -> str:
    """Return a path or an address as a value in an option list of QEMU, where a comma is doubled."""
    return str(path).replace(",", ",,")
