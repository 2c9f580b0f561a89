"""RAUC's system.conf, with the defaults and path rules of RAUC 1.13 to 1.15 (src/config_file.c; docs/reference.rst)."""

from collections.abc import Mapping
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
    slots: tuple[Slot, ...]

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
        slots=tuple(_slot(name, entries, path) for name, entries in file.groups.items() if name.startswith("slot.")),
    )


def _absolute(path: str, name: str) -> str:
    return normpath(join(dirname(path), name)) if name else ""


def _formats(entry: Entry | None, path: str) -> frozenset[str]:
    """Words with a sign change the default (all formats), words without replace it; both at once is an error (parse_bundle_formats)."""
    if entry is None:
        return frozenset(FORMATS)
    words = entry.value.split()
    signed = [word for word in words if word[0] in "+-"]
    if any(word.lstrip("+-") not in FORMATS for word in words) or (signed and len(signed) != len(words)) or not words:
        raise ArtefactError(f"{path}:{entry.line} has a value of 'bundle-formats' that RAUC refuses; list plain, verity or crypt")
    if not signed:
        return frozenset(words)
    removed = {word[1:] for word in signed if word[0] == "-"}
    return frozenset(FORMATS) - removed


def _slot(name: str, entries: Mapping[str, Entry], path: str) -> Slot:
    parts = name.split(".")
    line = min((entry.line for entry in entries.values()), default=0)
    if len(parts) != 3 or "device" not in entries:
        raise ArtefactError(f"{path}:{line} has a slot '{name}' without class, index or device; write [slot.CLASS.INDEX] with device=")

    def value(key: str, default: str = "") -> str:
        return entries[key].value if key in entries else default

    return Slot(name[5:], parts[1], value("device"), value("type", "raw"), value("bootname"), value("parent"), line)


def read_rauc_config(tree: Tree) -> RaucConfig | None:
    """Read the system.conf that RAUC finds first; None when there is none."""
    for path in PATHS:
        if tree.resolve(path):
            return parse_rauc_config(tree.text(path), path)
    return None
