"""What tests of bundles work with: a PKI, an image and what `create` wants."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everest_secure.bundle.description import Description, Image
from everest_secure.bundle.device import Device, load_device
from everest_secure.bundle.finish import Release
from everest_secure.bundle.signing import Signer
from everest_secure.pki.store import Store
from everest_secure.run import Argument, HostTools, Tools
from support.pki import now
from support.tools import ArrangedTools


def incompressible(size: int) -> bytes:
    """Return the same noise every time; rauc refuses a verity bundle whose payload is not larger than a block."""
    return random.Random(size).randbytes(size)


@dataclass(frozen=True)
class Workshop:
    """A PKI and an image to make bundles from."""

    directory: Path
    pki: Store

    @property
    def output(self) -> Path:
        return self.directory / "update.raucb"

    def signer(self, name: str = "signer") -> Signer:
        return Signer(self.pki.key(name), self.pki.certificate(name), (self.pki.certificate("intermediate"),))

    def device(self, **wishes: Any) -> Device:
        """A device in the field that has the PKI's keyring."""
        return load_device(self.pki.keyring, **wishes)

    def release(self, *, output: Path | None = None, device: Device | None = None, tools: Tools | None = None, **more: Any) -> Release:
        """Where the tests' bundles go."""
        return Release(output or self.output, device or self.device(), now(), tools or HostTools(), **more)

    def description(self, *, version: str = "1.2.3") -> Description:
        image = Image("rootfs", self.directory / "rootfs.squashfs", "rootfs.img")
        return Description(compatible="everest-secure-test", version=version, images=(image,), build="build 7", description="A test")


@dataclass(frozen=True)
class FailingDisk(ArrangedTools):
    """The real programs on a disk that turns a bit in each bundle which a command of rauc makes."""

    command: str

    def done(self, argv: Sequence[Argument]) -> None:
        """Turn the bit."""
        if self.command in argv:
            with Path(argv[-1]).open("r+b") as file:
                file.seek(5000)
                byte = file.read(1)[0]
                file.seek(5000)
                file.write(bytes([byte ^ 1]))
