"""What the image recipe decides of slots, command line and disk, so that an image made without BitBake's image tasks is the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.reference.recipes.harness import read_recipe

SIZES = {"efi": "EVEREST_EFI_SIZE", "rootfs": "EVEREST_ROOTFS_SIZE", "data": "EVEREST_DATA_MIN_SIZE"}
TEXTS = {"command_line": "UKI_CMDLINE", "fallback": "EVEREST_EFI_FALLBACK"}
LEFT_OUT = "EVEREST_IMAGE_LEFT_OUT"


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
    found = read_recipe(name, [*SIZES.values(), *TEXTS.values(), LEFT_OUT], layer=layer, work=work, settings=settings)
    return ImageRecipe(
        **{name: " ".join(found[variable].split()) for name, variable in TEXTS.items()},
        **{name: int(found[variable]) for name, variable in SIZES.items()},
        left_out=tuple(found[LEFT_OUT].split()),
    )
