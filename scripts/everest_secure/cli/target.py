"""`everest-secure target`: the image on a machine in QEMU."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command, group
from everest_secure.errors import ExitCode

READY = "everest-reference: ready"
"""What the reference image writes to its serial port when the service runs."""

group("target", summary="Run an image in QEMU with secure boot and a software TPM")


def arguments(parser: ArgumentParser) -> None:
    """Add the options of `target run`."""
    parser.add_argument("disk", type=Path, metavar="DISK", help="raw disk image; it is not changed")
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR", help="PKI directory with the secure boot keys to enrol")
    parser.add_argument("--until", default=READY, metavar="TEXT", help=f"text on the console to wait for (default: '{READY}')")
    parser.add_argument("--seconds", type=float, default=300, metavar="N", help="how long to wait (default: 300)")


@command("target run", summary="Boot a disk image until its console shows a text", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Boot a disk image with the firmware's secure boot on and only the keys of DIR enrolled, until its console shows TEXT.

    Prints the console. Exit code 2 when the text does not come in time.
    """
    from tempfile import TemporaryDirectory

    from everest_secure.pki.store import Store
    from everest_secure.target.firmware import Firmware, enroll
    from everest_secure.target.machine import Machine, run_until

    with TemporaryDirectory(prefix="everest-target-") as work:
        firmware = Firmware()
        variables = enroll(Path(work) / "variables.fd", firmware=firmware, keys=Store(options.keys))
        machine = Machine(disk=options.disk, firmware=firmware, variables=variables, work=Path(work))
        print(run_until(machine, options.until, seconds=options.seconds), end="")
    return ExitCode.OK
