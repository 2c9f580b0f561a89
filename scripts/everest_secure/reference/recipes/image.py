"""What the image recipe decides of slots, command line and disk, so that an image made without BitBake's image tasks is the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.reference.recipes.harness import read_recipe

VARIABLES = (
    "UKI_CMDLINE",
    "EVEREST_EFI_FALLBACK",
    "EVEREST_IMAGE_LEFT_OUT",
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
    left_out: tuple[str, ...]
    """Patterns of the paths that a root slot leaves out."""
    efi: int
    """Size of an EFI partition in MiB."""
    rootfs: int
    """Size of a root slot in MiB."""
    data: int
    """Least size of the data partition in MiB."""


def image_recipe(name: str, *, layer: Path, work: Path, settings: Mapping[str, str]) -> ImageRecipe:
    """Read an image recipe; raises RecipeError when it cannot be parsed."""
    found = read_recipe(name, VARIABLES, layer=layer, work=work, settings=settings)
    command_line, fallback, left_out, efi, rootfs, data = (" ".join(found[variable].split()) for variable in VARIABLES)
    return ImageRecipe(command_line, fallback, tuple(left_out.split()), efi=int(efi), rootfs=int(rootfs), data=int(data))
