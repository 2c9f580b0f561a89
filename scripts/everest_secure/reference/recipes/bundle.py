"""What the bundle recipe decides, so that a bundle made without BitBake's bundle task is the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.reference.recipes.harness import read_recipe

UPDATE = {
    "compatible": "RAUC_BUNDLE_COMPATIBLE",
    "version": "RAUC_BUNDLE_VERSION",
    "description": "RAUC_BUNDLE_DESCRIPTION",
}
"""Keys of the manifest's section `[update]` and the variables of meta-rauc's bundle.bbclass that set them."""


@dataclass(frozen=True, slots=True)
class BundleSlot:
    """One image of a bundle."""

    name: str
    """Slot class, `[image.NAME]` in the manifest."""
    recipe: str
    """The recipe that makes the image."""
    filename: str
    """Its name inside the bundle; the ending decides how RAUC writes it."""
    fstype: str
    """The image's format as BitBake names it: `squashfs.verity`."""


@dataclass(frozen=True, slots=True)
class BundleRecipe:
    """The manifest of a bundle as its recipe decides it."""

    update: Mapping[str, str]
    """Section `[update]`: compatible, version, description."""
    format: str
    """Bundle format: `verity`."""
    slots: tuple[BundleSlot, ...]
    arguments: tuple[str, ...]
    """Further arguments of `rauc bundle` (BUNDLE_ARGS): intermediate certificate, keyring, purpose."""

    def manifest(self) -> str:
        """Return the text of `manifest.raucm`."""
        sections = {
            "update": dict(self.update),
            "bundle": {"format": self.format},
            **{f"image.{slot.name}": {"filename": slot.filename} for slot in self.slots},
        }
        return "\n".join(
            f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in values.items()) for section, values in sections.items()
        )


def bundle_manifest(name: str = "everest-secure-bundle", *, layer: Path, work: Path, settings: Mapping[str, str]) -> BundleRecipe:
    """Read a bundle recipe; raises RecipeError when it cannot be parsed."""

    def read(*variables: str) -> Mapping[str, str]:
        return read_recipe(name, variables, layer=layer, work=work, settings=settings)

    general = read(*UPDATE.values(), "RAUC_BUNDLE_FORMAT", "RAUC_BUNDLE_SLOTS", "BUNDLE_ARGS")
    slots = general["RAUC_BUNDLE_SLOTS"].split()
    flags = read(*(f"RAUC_SLOT_{slot}{flag}" for slot in slots for flag in ("", "[rename]", "[fstype]")))
    return BundleRecipe(
        update={key: general[variable] for key, variable in UPDATE.items()},
        format=general["RAUC_BUNDLE_FORMAT"],
        slots=tuple(
            BundleSlot(
                name=slot,
                recipe=flags[f"RAUC_SLOT_{slot}"],
                filename=flags[f"RAUC_SLOT_{slot}[rename]"],
                fstype=flags[f"RAUC_SLOT_{slot}[fstype]"],
            )
            for slot in slots
        ),
        arguments=tuple(general["BUNDLE_ARGS"].split()),
    )
