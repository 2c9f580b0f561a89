"""What goes into a bundle, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from everest_secure import dataschema, paths
from everest_secure.bundle.errors import BundleError


@dataclass(frozen=True, slots=True)
class Image:
    """The image for one slot class."""

    slot_class: str
    """As in the device's system.conf: `rootfs` for `[slot.rootfs.0]`."""
    file: Path
    name: str
    """Name in the bundle; its suffix tells RAUC how to write it (`.img` byte by byte)."""
    hooks: tuple[str, ...] = ()
    """Steps of this slot that the hook file takes part in or replaces: `pre-install`, `install`, `post-install`."""
    adaptive: tuple[str, ...] = ()
    """Adaptive update methods: `block-hash-index`."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """A program that the bundle brings along and RAUC runs as root while it installs."""

    file: Path
    install_check: bool = False
    """Whether it decides if the bundle may be installed at all (RAUC-05)."""


@dataclass(frozen=True, slots=True)
class Description:
    """A bundle to be made."""

    compatible: str
    version: str
    """Semantic version."""
    images: tuple[Image, ...]
    format: str = "verity"
    """`verity`, or `crypt` for a bundle that its recipients alone can read."""
    build: str = ""
    description: str = ""
    hooks: Hooks | None = None
    meta: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Sections of keys and values that travel under the signature."""


def load(path: Path) -> Description:
    """Return the description in a YAML file; its paths are relative to the file's directory.

    Raises BundleError when it does not hold to conf/bundle/description.schema.json.
    """
    schema = paths.data("conf") / "bundle" / "description.schema.json"
    _, document = dataschema.load(path, schema=schema, error=BundleError)
    hooks = document.get("hooks")
    return Description(
        compatible=document["compatible"],
        version=document["version"],
        images=tuple(_image(name, entry, path.parent) for name, entry in document["images"].items()),
        format=document.get("format", "verity"),
        build=document.get("build", ""),
        description=document.get("description", ""),
        hooks=Hooks(path.parent / hooks["file"], hooks.get("install_check", False)) if hooks else None,
        meta=document.get("meta", {}),
    )


def _image(slot_class: str, entry: Mapping[str, Any], base: Path) -> Image:
    file = base / entry["file"]
    return Image(
        slot_class=slot_class,
        file=file,
        name=entry.get("name", file.name),
        hooks=tuple(entry.get("hooks", ())),
        adaptive=tuple(entry.get("adaptive", ())),
    )
