"""What the image recipe decides of slots, command line and disk, so that an image made without BitBake's image tasks is the same."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.reference.recipes.harness import read_recipe

VARIABLES = (
    "UKI_CMDLINE",
    "EVEREST_EFI_FALLBACK",
    "EVEREST_ROOT_FSTYPE",
    "EVEREST_EFI_SIZE",
    "EVEREST_ROOTFS_SIZE",
    "EVEREST_DATA_MIN_SIZE",
)


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """The layer's variables of these names, see there."""

    command_line: str
    """Kernel command line of a slot, with placeholders for the slot and its root (`uki.command_line`)."""
    fallback: str
    """Path of the EFI program that firmware without boot entries starts."""
    root_type: str
    """Image type of the root: `squashfs-zst`."""
    root_options: tuple[str, ...]
    """Options of the program that makes it: what a root slot leaves out, among others."""
    efi: int
    """Size of an EFI partition in MiB."""
    rootfs: int
    """Size of a root slot in MiB."""
    data: int
    """Least size of the data partition in MiB."""


def image_recipe(name: str, *, layer: Path, work: Path, settings: Mapping[str, str]) -> ImageRecipe:
    """Read an image recipe; raises RecipeError when it cannot be parsed."""
    found = read_recipe(name, VARIABLES, layer=layer, work=work, settings=settings)
    command_line, fallback, root, efi, rootfs, data = (" ".join(found[variable].split()) for variable in VARIABLES)
    (options,) = read_recipe(name, [f"EXTRA_IMAGECMD:{root}"], layer=layer, work=work, settings=settings).values()
    return ImageRecipe(command_line, fallback, root, tuple(shlex.split(options)), efi=int(efi), rootfs=int(rootfs), data=int(data))
