"""The disk: two EFI partitions and two root slots for A and B, and room for the data partition (labels in docs/architecture.md).

The machine makes the data partition itself, at first boot.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.errors import UserError
from everest_secure.run import Tools

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the partitions in MiB."""

    efi: int
    rootfs: int
    data: int
    """What is left free for it."""

    @property
    def disk(self) -> int:
        """Size of the disk in MiB; the partition table and its copy take one each."""
        return 2 * (self.efi + self.rootfs) + self.data + 2


def build_efi(output: Path, *, programs: Mapping[str, Path], layout: Layout, tools: Tools) -> Path:
    """Make the file system of an EFI partition with `programs` (target path such as `/EFI/Linux/everest-a.efi` to file); raises ToolError."""
    output.unlink(missing_ok=True)
    with output.open("wb") as file:
        file.truncate(layout.efi * MIB)
    near = [output.parent]
    tools.run(["mkfs.vfat", "-F", "32", "-n", "EFI", output], paths=near)
    directories = sorted({parent for target in programs for parent in Path(target).parents if str(parent) != "/"}, key=str)
    tools.run(["mmd", "-i", output, *(f"::{directory}" for directory in directories)], paths=near)
    for target, program in programs.items():
        tools.run(["mcopy", "-i", output, program, f"::{target}"], paths=[*near, program.parent])
    return output


def build_disk(output: Path, *, efi: Path, rootfs: Path, layout: Layout, work: Path, tools: Tools) -> Path:
    """Make the GPT disk with slot A filled and slot B empty; raises UserError when an image is larger than its slot, ToolError."""
    _require_fit(efi, layout.efi)
    _require_fit(rootfs, layout.rootfs)
    definitions = work / "repart.d"
    shutil.rmtree(definitions, ignore_errors=True)
    definitions.mkdir(parents=True)
    for number, (name, text) in enumerate(_partitions(efi, rootfs, layout).items()):
        (definitions / f"{number}0-{name}.conf").write_text(f"[Partition]\nLabel={name}\n{text}")
    output.unlink(missing_ok=True)
    options = ["--empty=create", f"--size={layout.disk}M", "--offline=yes", "--dry-run=no", f"--definitions={definitions}"]
    tools.run(
        ["systemd-repart", *options, output],
        paths=[efi.parent, rootfs.parent, work, output.parent],
    )
    return output


def _require_fit(image: Path, mebibytes: int) -> None:
    """Raise UserError for an image larger than its slot: systemd-repart would enlarge slot A alone, and no update would fit in slot B."""
    size = image.stat().st_size
    if size > mebibytes * MIB:
        raise UserError(
            f"{image.name} takes {size / MIB:.2f} MiB and its slot has {mebibytes} MiB; install less in the image or enlarge the slot"
        )


def _partitions(efi: Path, rootfs: Path, layout: Layout) -> Mapping[str, str]:
    """Return the repart.d(5) definition of each partition by its label.

    Root slots are plain Linux partitions and not of a discoverable type: nothing may mount them but by the signed command line.
    """
    esp = f"Type=esp\n{_size(layout.efi)}"
    root = f"Type=linux-generic\n{_size(layout.rootfs)}"
    return {
        "efi-a": f"{esp}CopyBlocks={efi}\n",
        "efi-b": esp,
        "rootfs-a": f"{root}CopyBlocks={rootfs}\n",
        "rootfs-b": root,
    }


def _size(mebibytes: int) -> str:
    return f"SizeMinBytes={mebibytes}M\nSizeMaxBytes={mebibytes}M\n"
