"""RAUC's system.conf, with the defaults and path rules of RAUC 1.13 to 1.15 (src/config_file.c; docs/reference.rst)."""

import re
from dataclasses import dataclass
from posixpath import dirname, join, normpath

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.keyfile import Entry, KeyFile, parse_keyfile

PATHS = ("/etc/rauc/system.conf", "/usr/lib/rauc/system.conf")
FORMATS = ("plain", "verity", "crypt")


@dataclass(frozen=True, slots=True)
class Slot:
    """A `[slot.CLASS.INDEX]` group."""

    name: str
    slot_class: str
    device: str
    type: str
    bootname: str
    parent: str
    readonly: bool
    """Whether RAUC refuses to write it."""
    line: int


@dataclass(frozen=True, slots=True)
class RaucConfig:
    """What RAUC does by this file."""

    path: str
    file: KeyFile
    compatible: str
    bundle_formats: frozenset[str]
    """Formats that the device accepts."""
    check_purpose: str
    """OpenSSL purpose of the signer, `smimesign` by default; `codesign` is RAUC's own `codesign-rauc`."""
    keyring: str
    """Absolute path of the keyring file, or empty."""
    keyring_directory: str
    """Absolute path of the keyring directory, or empty."""
    allow_partial_chain: bool
    statusfile: str
    """Absolute path of the central status file, or `per-slot`."""
    signature_bytes: int
    """Most bytes of a bundle's signature (`max-bundle-signature-size`); 0 when RAUC's own limit holds."""
    slots: tuple[Slot, ...]

    @property
    def written(self) -> frozenset[str]:
        """Classes of slots that RAUC writes, and repositories of artifacts: what a bundle can bring an image for."""
        repositories = (name.partition(".")[2] for name in self.file.groups if name.startswith("artifacts."))
        return frozenset((*(slot.slot_class for slot in self.slots if not slot.readonly), *repositories))

    def line(self, group: str, key: str) -> int:
        """Return the line of a key, 0 when it is not set."""
        entry = self.file.get(group, key)
        return entry.line if entry else 0


def parse_rauc_config(text: str, path: str) -> RaucConfig:
    """Parse a system.conf; relative paths are relative to its directory. Raises ArtefactError when RAUC would refuse it."""
    file = parse_keyfile(text, path)
    compatible = file.value("system", "compatible")
    if not compatible:
        raise ArtefactError(f"{path} names no 'compatible', without which RAUC does not start; set it in [system]")
    data = _absolute(path, file.value("system", "data-directory"))
    status = file.value("system", "statusfile")
    if not status:
        status = join(data, "central.raucs") if data else "per-slot"
    return RaucConfig(
        path=path,
        file=file,
        compatible=compatible,
        bundle_formats=_formats(file.get("system", "bundle-formats"), path),
        check_purpose=file.value("keyring", "check-purpose", "smimesign"),
        keyring=_absolute(path, file.value("keyring", "path")),
        keyring_directory=_absolute(path, file.value("keyring", "directory")),
        allow_partial_chain=file.boolean("keyring", "allow-partial-chain", default=False),
        statusfile=status if status == "per-slot" else _absolute(path, status),
        signature_bytes=_size(file.get("system", "max-bundle-signature-size"), path),
        slots=tuple(_slot(name, file, path) for name in file.groups if name.startswith("slot.")),
    )


def _absolute(path: str, name: str) -> str:
    return normpath(join(dirname(path), name)) if name else ""


def _formats(entry: Entry | None, path: str) -> frozenset[str]:
    """Words with a sign change the default (all formats) in their order, words without replace it; both at once is an error (parse_bundle_formats)."""
    if entry is None:
        return frozenset(FORMATS)
    words = [word for word in entry.value.split(" ") if word]
    signed = [word for word in words if word[0] in "+-"]
    found = set(FORMATS) if signed else set(words)
    for word in signed:
        (found.discard if word[0] == "-" else found.add)(word[1:])
    if any((word[1:] if word in signed else word) not in FORMATS for word in words) or (signed and len(signed) != len(words)) or not found:
        raise ArtefactError(f"{path}:{entry.line} has a value of 'bundle-formats' that RAUC refuses; list plain, verity or crypt")
    return frozenset(found)


def _size(entry: Entry | None, path: str) -> int:
    if entry is None:
        return 0
    if not re.fullmatch(r"0*[1-9][0-9]{0,17}", entry.value.strip()):
        raise ArtefactError(f"{path}:{entry.line} has a value of 'max-bundle-signature-size' that RAUC refuses; give a number of bytes")
    return int(entry.value)


def _slot(name: str, file: KeyFile, path: str) -> Slot:
    parts, entries = name.split("."), file.groups[name]
    line = min((entry.line for entry in entries.values()), default=0)
    if len(parts) != 3 or "device" not in entries:
        raise ArtefactError(f"{path}:{line} has a slot '{name}' without class, index or device; write [slot.CLASS.INDEX] with device=")

    return Slot(
        name=name[5:],
        slot_class=parts[1],
        device=file.value(name, "device"),
        type=file.value(name, "type", "raw"),
        bootname=file.value(name, "bootname"),
        parent=file.value(name, "parent"),
        readonly=file.boolean(name, "readonly", default=False),
        line=line,
    )


def read_rauc_config(tree: Tree) -> RaucConfig | None:
    """Read the system.conf that RAUC finds first; None when there is none."""
    for path in PATHS:
        if tree.resolve(path):
            return parse_rauc_config(tree.text(path), path)
    return None
