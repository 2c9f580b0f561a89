"""The manifest that RAUC reads: whether it can say what a description means, and its text."""

import re
from collections.abc import Mapping

from everest_secure.bundle.description import Description
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.imagetype import told_by_name

NAME_IN_BUNDLE = "manifest.raucm"
BACKSLASH = "\\"
SEMANTIC_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?", re.ASCII
)
"""semver.org, without its rule on leading zeros of pre-release numbers, and without hyphens in a pre-release, which RAUC cannot read."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
"""A slot class, a meta section or key: what a manifest's group and key names can hold unescaped."""
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}", re.ASCII)


def require_sound(description: Description) -> None:
    """Raise BundleError unless a manifest can say what `description` means and every file that it names is there."""
    for key, value in (("compatible", description.compatible), ("version", description.version)):
        if not value.strip():
            raise BundleError(f"the bundle's {key} is empty; set it")
    if not SEMANTIC_VERSION.fullmatch(description.version):
        raise BundleError(
            f"the bundle's version '{description.version}' is no semantic version such as 1.2.3; a device could not refuse a downgrade (RAUC-05)"
        )
    if not description.images:
        raise BundleError("the bundle has no image; name one per slot class")
    texts = [description.compatible, description.version, description.build, description.description]
    words = [image.slot_class for image in description.images]
    for section, entries in description.meta.items():
        words += [section, *entries]
        texts += entries.values()
    for word in words:
        if not NAME.fullmatch(word):
            raise BundleError(f"'{word}' cannot name a slot class or a meta entry; use letters, digits, hyphens and underscores")
    for text in texts:
        if not text.isprintable() or text != text.strip():
            raise BundleError(f"{text!r} cannot stand in a manifest; use printable text on one line, without spaces around it")
    _require_files(description)


def _require_files(description: Description) -> None:
    names = [NAME_IN_BUNDLE]
    if description.hooks is not None:
        names.append(description.hooks.file.name)
    for image in description.images:
        if image.hooks and description.hooks is None:
            raise BundleError(f"the image '{image.slot_class}' has hooks and the bundle no hook file; name one under hooks.file")
        names.append(image.name)
    slot_classes = [image.slot_class for image in description.images]
    for listed, what in ((names, "file"), (slot_classes, "slot class")):
        twice = next((name for name in listed if listed.count(name) > 1), None)
        if twice is not None:
            raise BundleError(f"the bundle would hold the {what} '{twice}' twice; name each once")
    for name in names:
        if not FILE_NAME.fullmatch(name):
            raise BundleError(f"'{name}' cannot be a file's name in a bundle; use letters, digits, dots, hyphens and underscores")
    for image in description.images:
        if "install" not in image.hooks and not told_by_name(image.name):
            raise BundleError(
                f"the image '{image.slot_class}' is called '{image.name}' in the bundle, by which RAUC does not know how to write it; "
                "give it a name with the suffix of its kind, such as .img for what is copied byte by byte, or a hook that installs it"
            )
    for file in [image.file for image in description.images] + ([description.hooks.file] if description.hooks else []):
        if not file.is_file():
            raise BundleError(f"{file} is no file that can be read; build it or mend its name in the description")
        if file.stat().st_size == 0:
            raise BundleError(f"{file} is empty; build it again")


def render(description: Description) -> str:
    """Return the manifest of a sound description in RAUC's key file syntax; digests and sizes are added by `rauc bundle`."""
    update = {
        "compatible": description.compatible,
        "version": description.version,
        "description": description.description,
        "build": description.build,
    }
    sections = {"update": update, "bundle": {"format": description.format}}
    if description.hooks is not None:
        check = "install-check" if description.hooks.install_check else ""
        sections["hooks"] = {"filename": description.hooks.file.name, "hooks": check}
    for image in description.images:
        sections[f"image.{image.slot_class}"] = {
            "filename": image.name,
            "hooks": ";".join(image.hooks),
            "adaptive": ";".join(image.adaptive),
        }
    for label, entries in description.meta.items():
        sections[f"meta.{label}"] = dict(entries)
    return "\n".join(_section(name, entries) for name, entries in sections.items())


def _section(name: str, entries: Mapping[str, str]) -> str:
    lines = [f"{key}={value.replace(BACKSLASH, BACKSLASH * 2)}\n" for key, value in entries.items() if value]
    return f"[{name}]\n{''.join(lines)}"
