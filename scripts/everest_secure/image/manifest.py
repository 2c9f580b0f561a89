"""The manifest of a RAUC bundle, a GLib key file (RAUC, `docs/reference.rst`, section "Manifest")."""

from collections.abc import Mapping
from dataclasses import dataclass

from everest_secure.errors import ArtefactError

_MAX_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as written and as read."""

    text: str
    sections: Mapping[str, Mapping[str, str]]
    """Key and value of each section: `update`, `bundle`, `image.rootfs` ..."""

    @property
    def images(self) -> Mapping[str, Mapping[str, str]]:
        """The image sections, by slot class (and variant or artifact name): `rootfs`."""
        return {name.partition(".")[2]: keys for name, keys in self.sections.items() if name.startswith("image.")}

    @property
    def filenames(self) -> tuple[str, ...]:
        """The image files, each once, in the manifest's order."""
        return tuple(dict.fromkeys(keys["filename"] for keys in self.images.values() if keys.get("filename")))


def parse_manifest(raw: bytes, name: str) -> Manifest:
    """Read a manifest of the bundle `name`; raises ArtefactError when it is no key file."""
    if len(raw) > _MAX_SIZE:
        raise ArtefactError(f"{name} is corrupt: its manifest has {len(raw)} bytes; build or fetch it again")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ArtefactError(f"{name} is corrupt: its manifest is not UTF-8; build or fetch it again") from None
    sections: dict[str, dict[str, str]] = {}
    keys: dict[str, str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("[") and line.rstrip().endswith("]"):
            keys = sections.setdefault(line.rstrip()[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        if keys is None or not equals or not key.strip():
            raise ArtefactError(
                f"{name} is corrupt: line {number} of its manifest is neither a section nor a key with a value; build or fetch it again"
            )
        keys[key.strip()] = value.strip()
    return Manifest(text, sections)
