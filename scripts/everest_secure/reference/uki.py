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


def command_line(template: str, slot: str, root: VerityImage) -> str:
    """Return the kernel command line of slot `a` or `b`, as the layer's everest-secure-verity.bbclass fills it in.

    The root hash is authenticated by the UKI's signature; nothing is discovered by partition type, and a corrupt block is a panic.
    """
    values = {"@slot@": slot, "@SLOT@": slot.upper(), "@ROOT_HASH@": root.root_hash, "@HASH_OFFSET@": str(root.hash_offset)}
    line = template
    for name, value in values.items():
        line = line.replace(name, value)
    return line


def build_uki(output: Path, *, kernel: Path, initrd: Path, os_release: Path, command: str, signer: SecureBootKey, tools: Tools) -> Path:
    """Build and sign a UKI at `output`; the key is passed by path. Raises ToolError."""
    parts: list[Argument] = ["ukify", "build", "--linux", kernel, "--initrd", initrd, "--os-release", f"@{os_release}"]
    parts += ["--cmdline", command, "--secureboot-private-key", signer.key, "--secureboot-certificate", signer.certificate]
    parts += ["--output", output]
    tools.run(parts, paths=[kernel.parent, initrd.parent, os_release, signer.key.parent, signer.certificate.parent, output.parent])
    return output
