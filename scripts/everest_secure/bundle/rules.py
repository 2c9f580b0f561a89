"""Rules for a signed manifest: what RAUC wants of it, and what a device and its policy do."""

import re
from collections.abc import Iterator

from everest_secure.bundle.device import Device
from everest_secure.bundle.verdict import Reason, Why
from everest_secure.bundle.version import precedence
from everest_secure.image.manifest import Manifest
from everest_secure.text import printable

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIZE = re.compile(r"\d{1,18}", re.ASCII)
_AGAIN = "build the bundle again with rauc"


def manifest_reasons(manifest: Manifest) -> Iterator[Reason]:
    """Yield what RAUC misses in a manifest (src/manifest.c): compatible, digest and size of each image, names that stay inside the bundle."""
    update = manifest.sections.get("update", {})
    if not update.get("compatible"):
        yield Reason(Why.MANIFEST, "the manifest names no compatible", _AGAIN)
    section = manifest.sections.get("bundle", {})
    for key in ("verity-hash", "verity-salt"):
        if not _SHA256.fullmatch(section.get(key, "").lower()):
            yield Reason(Why.MANIFEST, f"the {key} of the manifest is not 32 bytes in hexadecimal", _AGAIN)
    for name, keys in manifest.images.items():
        shown, file = printable(name), keys.get("filename", "")
        if not file:
            if "install" not in keys.get("hooks", "").split(";"):
                yield Reason(Why.MANIFEST, f"the image '{shown}' has no file and no hook that installs it", _AGAIN)
            continue
        if "/" in file or file in (".", ".."):
            yield Reason(Why.IMAGE, f"the image '{shown}' has the file name '{printable(file)}', which leads out of the bundle", _AGAIN)
        if not keys.get("sha256") or not _SIZE.fullmatch(keys.get("size", "")):
            yield Reason(Why.MANIFEST, f"the image '{shown}' has no digest or size in the manifest", _AGAIN)
        elif not _SHA256.fullmatch(keys["sha256"].lower()):
            yield Reason(Why.IMAGE, f"the digest of the image '{shown}' in the manifest is no SHA-256", _AGAIN)


def policy_reasons(manifest: Manifest, device: Device) -> Iterator[Reason]:
    """Yield what speaks against a bundle for this device although it is sound: another product, a downgrade, a component that is left out."""
    update = manifest.sections.get("update", {})
    classes = {name.partition(".")[0] for name in manifest.images}
    yield from judge(update.get("compatible", ""), update.get("version", ""), classes, device)


def judge(compatible: str, version: str, classes: set[str], device: Device) -> Iterator[Reason]:
    """Yield the same for a compatible, a version and the slot classes that have an image, whoever read them."""
    if device.compatible and compatible != device.compatible:
        what = f"the bundle is for '{printable(compatible)}' and the device is '{device.compatible}'"
        yield Reason(Why.COMPATIBLE, what, "take the bundle for this product")
    least = precedence(device.least_version) if device.least_version else None
    if least is not None:
        own = precedence(version)
        if own is None:
            what = f"the version '{printable(version)}' is no semantic version, so that a downgrade cannot be seen"
            yield Reason(Why.DOWNGRADE, what, "give the bundle a version such as 1.2.3")
        elif own < least:
            what = f"the version {version} is below {device.least_version}, the least that is accepted"
            yield Reason(Why.DOWNGRADE, what, "build it with a newer version")
    for component in device.components:
        if component not in classes:
            yield Reason(Why.COMPONENT, f"the bundle has no image for '{component}'", "add the image to the bundle")
