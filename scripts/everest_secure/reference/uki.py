"""Unified kernel images: kernel, initrd and command line in one signed EFI program (BOOT-01, BOOT-03, FS-02)."""

from dataclasses import dataclass
from pathlib import Path

from everest_secure.reference.rootfs import VerityImage
from everest_secure.run import Argument, Tools


@dataclass(frozen=True, slots=True)
class SecureBootKey:
    """The pair that signs EFI programs: files in PEM."""

    key: Path
    certificate: Path


def command_line(slot: str, root: VerityImage, *, extra: str = "") -> str:
    """Return the kernel command line of slot `a` or `b`.

    The root hash is authenticated by the UKI's signature; nothing is discovered by partition type, and a corrupt block is a panic.
    """
    partition = f"PARTLABEL=rootfs-{slot}"
    words = [
        "ro",
        "root=/dev/mapper/root",
        "rootfstype=squashfs",
        f"roothash={root.root_hash}",
        f"systemd.verity_root_data={partition}",
        f"systemd.verity_root_hash={partition}",
        f"systemd.verity_root_options=hash-offset={root.hash_offset},panic-on-corruption",
        "systemd.gpt_auto=0",
        f"rauc.slot={slot.upper()}",
        "lockdown=integrity",
        "usbcore.authorized_default=0",
        "panic=10",
        "quiet",
    ]
    return " ".join([*words, *extra.split()])


def build_uki(output: Path, *, kernel: Path, initrd: Path, os_release: Path, command: str, signer: SecureBootKey, tools: Tools) -> Path:
    """Build and sign a UKI at `output`; the key is passed by path. Raises ToolError."""
    parts: list[Argument] = ["ukify", "build", "--linux", kernel, "--initrd", initrd, "--os-release", f"@{os_release}"]
    parts += ["--cmdline", command, "--secureboot-private-key", signer.key, "--secureboot-certificate", signer.certificate]
    parts += ["--output", output]
    tools.run(parts, paths=[kernel.parent, initrd.parent, os_release, signer.key.parent, signer.certificate.parent, output.parent])
    return output
