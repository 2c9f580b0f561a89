"""The manifest of a RAUC bundle, a GLib key file (RAUC, `docs/reference.rst`, section "Manifest")."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.keyfile import parse_keyfile

_MAX_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as written and as read."""

    text: str
    sections: Mapping[str, Mapping[str, str]]
    """Key and value of each section: `update`, `bundle`, `image.rootfs` ..."""
    repeated: tuple[tuple[str, str], ...] = ()
    """Section and key of what stands in it more than once."""

    @property
    def images(self) -> Mapping[str, Mapping[str, str]]:
        """The image sections, by slot class (and variant or artifact name): `rootfs`."""
        return {name.partition(".")[2]: keys for name, keys in self.sections.items() if name.startswith("image.")}

    @property
    def filenames(self) -> tuple[str, ...]:
        """The image files, each once, in the manifest's order."""
        return tuple(dict.fromkeys(keys["filename"] for keys in self.images.values() if keys.get("filename")))


def slot_class(name: str) -> str:
    """Return the slot class of an image, or the repository of an artifact, by its section's name: `rootfs.VARIANT`, `apps/ARTIFACT`."""
    return re.split(r"[./]", name, maxsplit=1)[0]


def parse_manifest(raw: bytes, name: str) -> Manifest:
    """Read a manifest of the bundle `name`; raises ArtefactError when it is no key file."""
    if len(raw) > _MAX_SIZE:
        raise ArtefactError(f"{name} is corrupt: its manifest has {len(raw)} bytes; build or fetch it again")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ArtefactError(f"{name} is corrupt: its manifest is not UTF-8; build or fetch it again") from None
    if "\0" in text:
        raise ArtefactError(f"{name} is corrupt: its manifest holds a zero byte, behind which RAUC does not read; build or fetch it again")
    try:
        file = parse_keyfile(text, "its manifest")
    except ArtefactError as error:
        raise ArtefactError(f"{name} is corrupt: {str(error).partition('; ')[0]}; build or fetch it again") from None
    sections = {group: {key: entry.value for key, entry in entries.items()} for group, entries in file.groups.items()}
    return Manifest(text, sections, file.repeated)
