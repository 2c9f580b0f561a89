"""Rules for a signed manifest: what RAUC wants of it, and what a device and its policy do."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from everest_secure.bundle.imagetype import TYPES, WITHOUT_FILE, is_written, told_by_name
from everest_secure.bundle.verdict import Reason, Why
from everest_secure.bundle.version import precedence
from everest_secure.image.manifest import Manifest, slot_class
from everest_secure.keyfile import words
from everest_secure.parse.certificates import common_name, subject
from everest_secure.text import printable

if TYPE_CHECKING:
    from everest_secure.bundle.device import Device
    from everest_secure.parse.cms import SignedData

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIZE = re.compile(r"\d{1,18}", re.ASCII)
_AGAIN = "build the bundle again with rauc"
NEWEST = (1, 15, 2)
"""The RAUC of the layers, up to which the rules here hold."""
_KEYS = {
    "update": frozenset({"compatible", "version", "description", "build", "min-rauc-version"}),
    "bundle": frozenset({"format", "verity-hash", "verity-salt", "verity-size"}),
    "handler": frozenset({"filename", "args"}),
    "hooks": frozenset({"filename", "hooks"}),
    "image": frozenset(
        {"filename", "sha256", "size", "hooks", "adaptive", "type", "version", "description", "build", "convert", "converted"}
    ),
}
"""Keys that some RAUC from 1.8 to 1.15 knows in a section; it refuses any other, and a newer one does not read the section `rollout`."""
_HOOKS = {"hooks": frozenset({"install-check"}), "image": frozenset({"pre-install", "install", "post-install"})}
_META = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""A name of or in a section `meta.NAME`, which becomes one of an environment variable."""


def manifest_reasons(manifest: Manifest) -> Iterator[Reason]:
    """Yield why RAUC refuses a manifest (src/manifest.c): what it does not know, what it misses, names that lead out of the bundle."""
    yield from _unknown(manifest)
    yield from _missing(manifest)
    yield from _least_rauc(manifest.sections.get("update", {}).get("min-rauc-version", ""))
    for name, keys in manifest.images.items():
        yield from _image(name, keys)
        yield from _type(name, keys)
    handler = manifest.sections.get("handler", {})
    if handler.get("args") and not handler.get("filename"):
        yield Reason(Why.NEWER, "the manifest has arguments for a handler and names no file with it", _AGAIN)


def _unknown(manifest: Manifest) -> Iterator[Reason]:
    """Yield sections, keys and hooks that no RAUC knows, and keys that are given twice, which it takes for unknown; what others added (`meta`) must not be empty."""
    form = manifest.sections.get("bundle", {}).get("format")
    for section, keys in manifest.sections.items():
        kind, dot, label = section.partition(".")
        if kind == "meta" and dot:
            unknown = [name for name in (label, *keys) if not _META.fullmatch(name) or keys.get(name) == ""]
        elif section == "rollout":
            continue
        elif kind not in _KEYS or (kind == "image") is not bool(dot):
            yield Reason(Why.MANIFEST, f"the manifest has the section '{printable(section)}', which RAUC does not know", _AGAIN)
            continue
        else:
            known = _KEYS[kind] | ({"crypt-key"} if kind == "bundle" and form == "crypt" else set())
            unknown = [key for key in keys if key not in known]
        unknown += [key for where, key in manifest.repeated if where == section]
        for key in unknown:
            what = f"'{printable(key)}' in section '{printable(section)}' of the manifest is unknown to RAUC, given twice, or empty"
            yield Reason(Why.NEWER if kind == "meta" else Why.MANIFEST, what, _AGAIN)
        for hook in hooks_of(keys) if kind in _HOOKS else ():
            if hook not in _HOOKS[kind]:
                what = f"the section '{printable(section)}' of the manifest has the hook '{printable(hook)}', which RAUC does not know"
                yield Reason(Why.MANIFEST, what, _AGAIN)


def hooks_of(keys: Mapping[str, str]) -> tuple[str, ...]:
    """Return the hooks of a section."""
    return words(keys.get("hooks", ""))


def _missing(manifest: Manifest) -> Iterator[Reason]:
    update = manifest.sections.get("update", {})
    if not update.get("compatible"):
        yield Reason(Why.MANIFEST, "the manifest names no compatible", _AGAIN)
    section = manifest.sections.get("bundle", {})
    for key in ("verity-hash", "verity-salt"):
        if not _SHA256.fullmatch(section.get(key, "").lower()):
            yield Reason(Why.MANIFEST, f"the {key} of the manifest is not 32 bytes in hexadecimal", _AGAIN)
    hooked = [manifest.sections.get("hooks", {}), *manifest.images.values()]
    if any(hooks_of(keys) for keys in hooked) and not hooked[0].get("filename"):
        yield Reason(Why.MANIFEST, "the manifest has hooks and names no file with them", _AGAIN)


def _least_rauc(version: str) -> Iterator[Reason]:
    """Yield why RAUC does not take the least version of itself that a manifest wants; 1.14 is the first that knows of it."""
    wanted = precedence(version)
    if version and not (wanted and (1, 13, 0) < wanted[0] <= NEWEST):
        what = f"the manifest wants RAUC '{printable(version)}'; one from 1.14 to {'.'.join(map(str, NEWEST))} can be asked for"
        yield Reason(Why.MANIFEST, what, "leave min-rauc-version out")


def _image(name: str, keys: Mapping[str, str]) -> Iterator[Reason]:
    shown, file = printable(name), keys.get("filename", "")
    if not file:
        if "install" not in hooks_of(keys) and keys.get("type") != WITHOUT_FILE:
            yield Reason(Why.MANIFEST, f"the image '{shown}' has no file and no hook that installs it", _AGAIN)
        elif "filename" in keys:
            yield Reason(Why.NEWER, f"the image '{shown}' has an empty file name", _AGAIN)
        return
    if "/" in file or file in (".", ".."):
        yield Reason(Why.IMAGE, f"the image '{shown}' has the file name '{printable(file)}', which leads out of the bundle", _AGAIN)
    if not keys.get("sha256") or not _SIZE.fullmatch(keys.get("size", "")):
        yield Reason(Why.MANIFEST, f"the image '{shown}' has no digest or size in the manifest", _AGAIN)
    elif not _SHA256.fullmatch(keys["sha256"].lower()):
        yield Reason(Why.IMAGE, f"the digest of the image '{shown}' in the manifest is no SHA-256", _AGAIN)
    if "convert" in keys and ("converted" not in keys or len(words(keys["convert"])) != len(words(keys["converted"]))):
        yield Reason(Why.MANIFEST, f"the image '{shown}' does not have each of its conversions in the bundle", _AGAIN)


def _type(name: str, keys: Mapping[str, str]) -> Iterator[Reason]:
    """Yield why RAUC would not know how to write an image; one of an artifact (`CLASS/NAME`) has no type, and a hook writes what it likes."""
    shown, file, kind = printable(name), keys.get("filename", ""), keys.get("type")
    artifact, hooked = "/" in name.partition(".")[0], "install" in hooks_of(keys)
    if kind is None:
        if file and not (artifact or hooked or told_by_name(file)):
            what = f"the image '{shown}' has the file name '{printable(file)}', by which RAUC does not know how to write it"
            yield Reason(Why.NEWER, what, "name the file with the suffix of its kind, such as .img")
    elif artifact or not kind or not (hooked or kind in TYPES):
        yield Reason(Why.MANIFEST, f"the image '{shown}' has the type '{printable(kind)}', which RAUC does not know for it", _AGAIN)
    elif file and kind == WITHOUT_FILE:
        yield Reason(Why.MANIFEST, f"the image '{shown}' has a file and the type '{WITHOUT_FILE}', which has none", _AGAIN)


def size_reasons(cms: bytes, device: "Device") -> Iterator[Reason]:
    """Yield why a device does not read a signature, which may be encrypted."""
    if len(cms) > device.signature_bytes:
        what = f"the signature has {len(cms)} bytes, devices accept {device.signature_bytes}"
        remedy = "leave out certificates that are no part of the chain, or give devices another max-bundle-signature-size"
        yield Reason(Why.LAYOUT, what, remedy)


def signature_reasons(signed: "SignedData", device: "Device") -> Iterator[Reason]:
    """Yield why a device does not take signatures that hold, whoever issued their certificates: it wants one, and may want a signer of a name."""
    if len(signed.signatures) != 1:
        what = f"the bundle has {len(signed.signatures)} signatures where RAUC wants one"
        yield Reason(Why.SIGNATURE, what, "sign it with one signer")
    for signer in (each.signer for each in signed.signatures):
        if device.signers is not None and common_name(signer) not in device.signers:
            names = printable(", ".join(device.signers))
            what = f"'{subject(signer)}' has none of the common names that {device.name} wants of a signer: {names}"
            yield Reason(Why.NEWER, what, "sign with one of them")


def policy_reasons(manifest: Manifest, device: "Device") -> Iterator[Reason]:
    """Yield what speaks against a bundle for this device although it is sound: another product, a downgrade, a component that is left out or that it has not."""
    update = manifest.sections.get("update", {})
    yield from judge(update.get("compatible", ""), update.get("version", ""), set(map(slot_class, manifest.images)), device)
    for name, keys in manifest.images.items():
        yield from _slot_types(name, keys, device)


def _slot_types(name: str, keys: Mapping[str, str], device: "Device") -> Iterator[Reason]:
    """Yield slots that an image is for and whose type RAUC does not write it into; a hook writes what it likes."""
    kind = keys.get("type") or told_by_name(keys.get("filename", ""))
    if kind not in TYPES or "install" in hooks_of(keys):
        return
    slots = [slot for slot in device.slots if slot.slot_class == slot_class(name) and not slot.readonly]
    for other in sorted({slot.type for slot in slots if not is_written(kind, slot.type)}):
        names = ", ".join(f"'{printable(slot.name)}'" for slot in slots if slot.type == other)
        what = (
            f"the image '{printable(name)}' has the type '{kind}', which RAUC does not write into {names} of the type '{printable(other)}'"
        )
        yield Reason(Why.COMPONENT, what, "build the image as the slot's type wants it, or give the slot another type")


def judge(compatible: str, version: str, classes: set[str], device: "Device") -> Iterator[Reason]:
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
    for name in sorted(classes - device.written) if device.written is not None else ():
        what = f"the bundle has an image for '{printable(name)}', and the device no slot of the class '{printable(name)}' that RAUC writes"
        yield Reason(Why.COMPONENT, what, "leave the image out, or give the device a slot for it")
    for component in device.components:
        if component not in classes:
            yield Reason(Why.COMPONENT, f"the bundle has no image for '{component}'", "add the image to the bundle")
