"""UEFI firmware for QEMU with the product's own secure boot keys enrolled and nobody else's."""

import sys
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import ToolError
from everest_secure.pki.certificates import load_one
from everest_secure.pki.store import Store
from everest_secure.run import run

OWNER = "e5ec0000-5ec0-4e5e-a5ec-e5ec5ec05ec0"
"""SignatureOwner of the enrolled keys (UEFI specification, 32.4.1): any GUID of the owner's choice."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """A build of OVMF with secure boot, as Debian's package ovmf installs it."""

    code: Path = Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
    variables: Path = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")

    def require(self) -> None:
        """Raise ToolError unless both files are there."""
        for file in (self.code, self.variables):
            if not file.is_file():
                raise ToolError(f"the firmware file {file} is missing; install the Debian package ovmf and try again")


def enroll(output: Path, *, firmware: Firmware, keys: Store) -> Path:
    """Write a variable store at `output` in which secure boot is on and trusts PK, KEK and db of `keys` alone.

    Raises PkiError for a certificate that cannot be read, ToolError.
    """
    firmware.require()
    certificates = {option: keys.certificate(f"secure-boot-{option}") for option in ("pk", "kek", "db")}
    for certificate in certificates.values():
        load_one(certificate)
    program = Path(sys.executable).parent / "virt-fw-vars"
    if not program.is_file():
        raise ToolError("the program 'virt-fw-vars' is not installed; install it with pip install 'everest-secure[target]' and try again")
    run(
        [
            *(program, "--input", firmware.variables, "--output", output, "--secure-boot"),
            *("--set-pk", OWNER, certificates["pk"]),
            *("--add-kek", OWNER, certificates["kek"]),
            *("--add-db", OWNER, certificates["db"]),
        ]
    )
    return output
