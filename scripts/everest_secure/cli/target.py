"""`everest-secure target`: the image on a machine in QEMU."""

from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from pathlib import Path

from everest_secure.cli.command import command, group
from everest_secure.errors import ExitCode

READY = "everest-reference: ready"
"""What the reference image writes to its serial port when the service runs."""

group("target", summary="Run an image in QEMU with secure boot and a software TPM")


def arguments(parser: ArgumentParser) -> None:
    """Add the options of `target run`."""
    parser.add_argument("disk", type=Path, metavar="IMAGE", help="raw disk image; it is not changed")
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR", help="PKI directory with the secure boot keys to enrol")
    parser.add_argument("--until", default=READY, metavar="TEXT", help=f"text on the console to wait for (default: '{READY}')")
    parser.add_argument("--seconds", type=float, default=300, metavar="N", help="how long to wait (default: 300)")
    parser.add_argument(
        "--accel",
        choices=("auto", "kvm", "tcg"),
        default="auto",
        help="KVM, software emulation (tcg), or KVM where it works (default: auto)",
    )
    parser.add_argument(
        "--network",
        choices=("private", "user"),
        default="user",
        help="two ports into networks of their own, or into QEMU's own that leads nowhere (default: user)",
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="keep what the machine wrote to disk, firmware and TPM here, and go on from there"
    )
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="write what the display shows at the end as PNG")


@command("target run", summary="Boot a disk image until its console shows a text", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Boot a disk image with the firmware's secure boot on and only the keys of DIR enrolled, until its console shows TEXT.

    Prints the console and cuts the machine's power. Exit code 2 when the text does not come in time.
    """
    import sys
    from tempfile import TemporaryDirectory

    from everest_secure.pki.store import Store
    from everest_secure.target.bootable import require_bootable
    from everest_secure.target.firmware import Firmware, enroll
    from everest_secure.target.machine import Accelerator, Machine, Network
    from everest_secure.target.session import power_on

    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="everest-target-")))
        firmware = Firmware()
        machine = Machine(
            disk=options.disk,
            firmware=firmware,
            variables=enroll(work / "variables.fd", firmware=firmware, keys=Store(options.keys)),
            state=options.state or work / "state",
            accelerator=Accelerator(options.accel),
            network=Network(options.network),
        )
        machine.require()
        require_bootable(options.disk)
        with power_on(machine, tell=lambda sentence: print(sentence, file=sys.stderr)) as session:
            session.wait_for(options.until, seconds=options.seconds)
            if options.screenshot:
                session.screenshot(options.screenshot)
            print(session.emulator.console.text(), end="")
    return ExitCode.OK
