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
META = "everest-secure"
META_KEYS = ("version", "image", "everest", "policy")
"""What the class says in the manifest's section `[meta.everest-secure]` whatever was built; `version` is what the device's guard reads."""


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
    """The image's format as BitBake names it: `squashfs-zst.verity`; empty for a file that is none."""
    hooks: tuple[str, ...]
    """Steps of the slot that the bundle's hook takes over (Image.hooks)."""
    adaptive: tuple[str, ...]
    """Adaptive methods (Image.adaptive)."""


@dataclass(frozen=True, slots=True)
class BundleRecipe:
    """The manifest of a bundle as its recipe decides it."""

    update: Mapping[str, str]
    """Section `[update]`: compatible, version, description."""
    format: str
    """Bundle format: `verity`."""
    slots: tuple[BundleSlot, ...]
    hook: Path
    """The program that RAUC asks on the device (RAUC_BUNDLE_HOOKS)."""
    install_check: bool
    """Whether it is asked if the bundle may be installed at all."""
    meta: Mapping[str, Mapping[str, str]]
    """Sections `[meta.NAME]` that do not depend on what was built."""
    arguments: tuple[str, ...]
    """Further arguments of `rauc bundle` (BUNDLE_ARGS): intermediate certificate, keyring, purpose."""


def bundle_manifest(
    name: str = "everest-secure-bundle-development", *, layer: Path, work: Path, settings: Mapping[str, str]
) -> BundleRecipe:
    """Read a bundle recipe; raises RecipeError when it cannot be parsed."""

    def read(*variables: str) -> Mapping[str, str]:
        return read_recipe(name, variables, layer=layer, work=work, settings=settings)

    hook = ("EVEREST_BUNDLE_HOOK", "RAUC_BUNDLE_HOOKS[hooks]")
    general = read(*UPDATE.values(), *hook, "RAUC_BUNDLE_FORMAT", "RAUC_BUNDLE_SLOTS", "BUNDLE_ARGS")
    slots = general["RAUC_BUNDLE_SLOTS"].split()
    slot_flags = [f"RAUC_SLOT_{slot}{flag}" for slot in slots for flag in ("", "[rename]", "[fstype]", "[hooks]", "[adaptive]")]
    flags = read(*slot_flags, *(f"RAUC_META_{META}[{key}]" for key in META_KEYS))
    return BundleRecipe(
        update={key: general[variable] for key, variable in UPDATE.items()},
        format=general["RAUC_BUNDLE_FORMAT"],
        slots=tuple(
            BundleSlot(
                name=slot,
                recipe=flags[f"RAUC_SLOT_{slot}"],
                filename=flags[f"RAUC_SLOT_{slot}[rename]"],
                fstype=flags[f"RAUC_SLOT_{slot}[fstype]"],
                hooks=tuple(filter(None, flags[f"RAUC_SLOT_{slot}[hooks]"].split(";"))),
                adaptive=tuple(flags[f"RAUC_SLOT_{slot}[adaptive]"].split()),
            )
            for slot in slots
        ),
        hook=Path(general[hook[0]]),
        install_check="install-check" in general[hook[1]].split(";"),
        meta={META: {key: flags[f"RAUC_META_{META}[{key}]"] for key in META_KEYS}},
        arguments=tuple(general["BUNDLE_ARGS"].split()),
    )
