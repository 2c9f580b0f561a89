"""A charger in QEMU: what it is made of, and what of it lasts from one power-on to the next."""

import json
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from everest_secure.errors import ToolError, UserError
from everest_secure.run import Argument, is_installed, run
from everest_secure.target.firmware import Firmware

PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "swtpm": "swtpm"}
"""Programs and the Debian packages that bring them."""
CABLE_PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}
"""What private networks need besides."""


class Accelerator(StrEnum):
    """What runs the guest's instructions."""

    AUTO = "auto"
    """KVM when it works, else software emulation."""
    KVM = "kvm"
    TCG = "tcg"
    """Software emulation."""


class Network(StrEnum):
    """Where the machine's two ports lead."""

    PRIVATE = "private"
    """Each into a network namespace of its own, from which a test sees all of the machine (`target.port`)."""
    USER = "user"
    """Into QEMU's own network, which answers DHCP and leads nowhere."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What QEMU gets, and the directory in which everything lies that outlasts a session."""

    disk: Path
    """Raw disk image; it is not changed."""
    firmware: Firmware
    variables: Path
    """Variable store made by `firmware.enroll`; it is not changed."""
    state: Path
    """A directory: what the guest wrote to the disk, its firmware variables, its TPM, and the console of each session. Made when it is missing."""
    second_disk: Path | None = None
    """Raw disk image that the guest sees as virtio-second below /dev/disk/by-id; what the guest writes there is thrown away."""
    restarts: bool = True
    """Whether the machine goes on when the guest resets it."""
    space: int = 512
    """MiB of the disk behind the image, where the charger makes its data partition (FS-03)."""
    memory: int = 1024
    """MiB."""
    processors: int = 2
    accelerator: Accelerator = Accelerator.AUTO
    network: Network = Network.USER
    oem_strings: tuple[str, ...] = ()
    """What the firmware hands to the guest as OEM strings (SMBIOS, type 11); systemd reads words of its own there, and so does the reference image."""
    storage: Path | None = None
    """Unix socket of an NBD server whose exports `disk` and `variables` take the place of `written` and `own_variables`."""

    @property
    def written(self) -> Path:
        """The disk as the guest left it, in QEMU's format qcow2 over `disk`."""
        return self.state / "disk.qcow2"

    @property
    def own_variables(self) -> Path:
        """Variables of the firmware as the guest left them."""
        return self.state / "variables.fd"

    @property
    def tpm(self) -> Path:
        """State of the TPM; a machine whose directory is removed has another TPM the next time."""
        return self.state / "tpm"

    def require(self) -> None:
        """Raise ToolError without a program or the firmware, UserError without the disk image."""
        wanted = PROGRAMS | (CABLE_PROGRAMS if self.network is Network.PRIVATE else {})
        for program, package in wanted.items():
            if not is_installed(program):
                raise ToolError(f"the program '{program}' is not installed; install the Debian package {package} and try again")
        self.firmware.require()
        if not self.disk.is_file():
            raise UserError(f"the disk image {self.disk} is missing or no file; give the raw disk image that the build made")

    def prepare(self) -> None:
        """Make of `state` what is missing; raises as `require`."""
        self.require()
        self.tpm.mkdir(parents=True, exist_ok=True)
        if not self.own_variables.exists():
            shutil.copyfile(self.variables, self.own_variables)
        if not self.written.exists():
            run(self._overlay())

    def flatten(self, output: Path) -> Path:
        """Write the disk as the guest left it to `output` as a raw image, for `open_artefact`; only between sessions. Raises ToolError."""
        run(["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", self.written, output])
        return output

    def overwrite(self, offset: int, content: bytes) -> None:
        """Change bytes of the disk, as somebody does who has it in his hands; only between sessions. Raises ToolError."""
        piece = self.state / "overwrite.bin"
        piece.write_bytes(content)
        try:
            run(["qemu-io", "-f", "qcow2", "-c", f"write -s {piece} {offset} {len(content)}", self.written])
        finally:
            piece.unlink()

    def _overlay(self) -> list[Argument]:
        """Return the command line that makes `written`; the disk is larger than the image, as it is in a charger."""
        size = self.disk.stat().st_size + self.space * 1024 * 1024
        image = json.dumps({"driver": "raw", "file": {"driver": "file", "filename": str(self.disk.absolute())}})
        return ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f"json:{image}", self.written, str(size)]
