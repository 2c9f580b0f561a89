"""Flattened device trees, version 17 (Devicetree Specification 0.4, chapter 5): what U-Boot hands the kernel, and the form of a FIT.

Nothing is copied: a property's value is a slice of the file. A node or property that is there twice is refused, as readers differ in which one they take.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob, from_bytes
from everest_secure.image.tree import printable

MAGIC = 0xD00DFEED
_HEADER = struct.Struct(">10I")
_VERSION = 17
_OLDEST = 16
_MAX_TOKENS = 500_000
_MAX_DEPTH = 32
"""Levels of nodes, as libfdt's fdt_find_regions has room for."""
_MAX_NAME = 256
_MAX_STRINGS = 1024 * 1024
_IN_MEMORY = 2 * 1024 * 1024
"""Size up to which the structure is read at once; that of a FIT holds kernel and initial RAM disk, and is not."""
MAX_TEXT = 64 * 1024
"""Bytes of a property that is read as text."""


class Tag(IntEnum):
    """What a token of the structure block is."""

    BEGIN_NODE = 1
    END_NODE = 2
    PROP = 3
    NOP = 4
    END = 9


@dataclass(frozen=True, slots=True)
class Token:
    """One token; offsets are in the structure block."""

    tag: Tag
    offset: int
    end: int
    """Where the next token begins."""
    name: str = ""
    """Of a node or property."""
    value: Blob | None = None
    """Of a property."""
    name_offset: int = 0
    """Of a property: where its name lies in the strings block."""


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """One node."""

    path: str
    """From the root, `/` for the root itself."""
    properties: Mapping[str, Blob]
    children: tuple[str, ...] = field(default=())
    """Names of the nodes in it, in order."""

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rsplit("/", 1)[-1]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a property that is a list of strings; empty when it is not there. Raises ArtefactError when it is no text or too long."""
        value = self.properties.get(name)
        if value is None:
            return ()
        if value.size > MAX_TEXT:
            raise ArtefactError(f"{value.name} has {value.size} bytes, more than the {MAX_TEXT} that a text may have; build it again")
        raw = value.read(0, value.size)
        if raw and not raw.endswith(b"\0"):
            raise ArtefactError(f"{value.name} is no text; build it again")
        return tuple(part.decode("utf-8", "replace") for part in raw[:-1].split(b"\0")) if raw else ()

    def text(self, name: str) -> str:
        """Return the first string of a property; empty when it is not there. Raises as `texts`."""
        return next(iter(self.texts(name)), "")

    def number(self, name: str) -> int | None:
        """Return a property of one or two cells; None when it is not there or of another size."""
        value = self.properties.get(name)
        return int.from_bytes(value.read(0, value.size), "big") if value and value.size in (4, 8) else None


class DeviceTree:
    """A whole tree, read once."""

    def __init__(self, blob: Blob) -> None:
        """Read `blob`, which begins with a device tree and may be longer; raises ArtefactError when it is truncated, corrupt or hostile."""
        head = _HEADER.unpack(blob.read(0, _HEADER.size))
        _, self.size, structure, strings, _, version, compatible, _, strings_size, structure_size = head
        if version < _VERSION or not _OLDEST <= compatible <= _VERSION:
            raise ArtefactError(
                f"{blob.name} is a device tree of version {version}, only {_VERSION} can be read; build it with dtc -V {_VERSION}"
            )
        if self.size > blob.size:
            raise ArtefactError(
                f"{blob.name} is truncated: this device tree has {self.size} bytes of which {blob.size} are there; fetch it again"
            )
        if structure % 4 or structure + structure_size > self.size or strings + strings_size > self.size or strings_size > _MAX_STRINGS:
            raise _corrupt(blob)
        self.name = blob.name
        self.blob = blob.slice(0, self.size, blob.name)
        self.strings = blob.read(strings, strings_size)
        """The strings block: names of properties, each ended by a zero byte."""
        self.structure = blob.slice(structure, structure_size, blob.name)
        """The structure block."""
        self._fast = from_bytes(self.structure.read(0, structure_size), blob.name) if structure_size <= _IN_MEMORY else self.structure
        self.nodes = _nodes(self)
        """Every node by path, in order."""

    def node(self, path: str) -> DeviceNode | None:
        """Return the node of exactly this path."""
        return self.nodes.get(path)

    def children(self, path: str) -> tuple[DeviceNode, ...]:
        """Return the nodes in a node, in order; empty when it is not there."""
        node = self.nodes.get(path)
        return tuple(self.nodes[f"{path.rstrip('/')}/{name}"] for name in node.children) if node else ()

    def tokens(self) -> Iterator[Token]:
        """Yield the tokens of the structure block up to the END token; raises ArtefactError when it is no tree."""
        at, depth = 0, 0
        for _ in range(_MAX_TOKENS):
            token = self._token(at)
            at = token.end
            if token.tag in (Tag.PROP, Tag.END) and (depth == 0) is (token.tag is Tag.PROP):
                raise _corrupt(self.blob)
            depth += {Tag.BEGIN_NODE: 1, Tag.END_NODE: -1}.get(token.tag, 0)
            if not 0 <= depth <= _MAX_DEPTH:
                raise _corrupt(self.blob)
            yield token
            if token.tag is Tag.END:
                return
        raise ArtefactError(f"{self.name} has more than {_MAX_TOKENS} nodes and properties; it is taken for hostile and not read")

    def _token(self, at: int) -> Token:
        try:
            tag = Tag(int.from_bytes(self._fast.read(at, 4), "big"))
        except ValueError:
            raise _corrupt(self.blob) from None
        if tag is Tag.BEGIN_NODE:
            raw, found, _ = self._fast.read(at + 4, min(_MAX_NAME, self._fast.size - at - 4)).partition(b"\0")
            return Token(tag, at, _aligned(at + 4 + len(raw) + 1), self._text(raw if found else b"\xff"))
        if tag is Tag.PROP:
            length, offset = struct.unpack(">II", self._fast.read(at + 4, 8))
            end = self.strings.find(b"\0", offset, offset + _MAX_NAME)
            if end < 0:
                raise _corrupt(self.blob)
            name = self._text(self.strings[offset:end])
            return Token(tag, at, _aligned(at + 12 + length), name, self.structure.slice(at + 12, length, f"{self.name}:{name}"), offset)
        return Token(tag, at, at + 4)

    def _text(self, raw: bytes) -> str:
        if not raw.isascii() or b"/" in raw:
            raise _corrupt(self.blob)
        return raw.decode()


@opens(order=45)
def open_device_tree(blob: Blob, _depth: int) -> Artefact | None:
    """Open a device tree that is no FIT; see `artefact.Opener`."""
    if not is_device_tree(blob):
        return None
    return Artefact(name=blob.name, kind="device-tree", blob=blob, facts=DeviceTree(blob))


def is_device_tree(blob: Blob) -> bool:
    """Whether a blob begins with a device tree's magic number and has room for its header."""
    return blob.size >= _HEADER.size and int.from_bytes(blob.read(0, 4), "big") == MAGIC


def _nodes(tree: DeviceTree) -> dict[str, DeviceNode]:
    found: dict[str, tuple[dict[str, Blob], list[str]]] = {}
    here: list[str] = []
    for token in tree.tokens():
        if token.tag is Tag.BEGIN_NODE:
            if bool(here) is not bool(token.name) or (found and not here):
                raise _corrupt(tree.blob)
            path = f"{here[-1].rstrip('/')}/{token.name}" if here else "/"
            if path in found:
                raise ArtefactError(f"{tree.name} is corrupt: it holds the node {printable(path)} twice; build it again")
            if here:
                found[here[-1]][1].append(token.name)
            found[path] = ({}, [])
            here.append(path)
        elif token.tag is Tag.END_NODE:
            here.pop()
        elif token.tag is Tag.PROP and token.value is not None:
            properties = found[here[-1]][0]
            if token.name in properties:
                what = f"{printable(here[-1])} has the property {printable(token.name)} twice"
                raise ArtefactError(f"{tree.name} is corrupt: {what}; build it again")
            properties[token.name] = token.value
    if not found:
        raise _corrupt(tree.blob)
    return {path: DeviceNode(path, properties, tuple(children)) for path, (properties, children) in found.items()}


def _aligned(offset: int) -> int:
    return -(-offset // 4) * 4


def _corrupt(blob: Blob) -> ArtefactError:
    return ArtefactError(f"{blob.name} is corrupt: this device tree is damaged; build or fetch it again")
