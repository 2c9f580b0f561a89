"""Flattened image trees (FIT; U-Boot, `doc/usage/fit/source_file_format.rst`): kernel, initial RAM disk and device trees in one file.

For a check::

    fit = artefact.facts                                     # Artefact.kind == "fit", Fit
    for configuration in fit.configurations.values():        # what U-Boot can be told to start
        configuration.images["kernel"]                       # names of images: ("kernel",); also fdt, ramdisk, loadables ...
        fit.command_lines(configuration)                     # /chosen/bootargs of its device tree
        configuration.signatures                             # algorithm, key name, value, nodes and strings that it covers
        fit_signature.configuration_faults(fit, configuration, key)  # () when U-Boot, that has this key, starts what was signed

Images' content is data in the tree or behind it (`mkimage -E`). Nothing is authenticated by being read here.
"""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_part, opens
from everest_secure.image.blob import Blob, from_bytes
from everest_secure.image.fdt import MAX_TEXT, DeviceNode, DeviceTree, is_device_tree
from everest_secure.image.tree import printable

IMAGES, CONFIGURATIONS = "/images", "/configurations"
_NO_IMAGES = ("description", "compatible", "default")
"""Properties of a configuration that do not name images; every other one may (U-Boot, fit_config_get_signed_nodes)."""
_STARTED = ("kernel", "ramdisk", "fdt", "loadables", "firmware")
"""Those without whose images nothing starts."""
STRONG = ("sha256", "sha384", "sha512")
"""Digests that authenticate an image."""
_OPENED = ("ramdisk", "filesystem", "flat_dt", "multi", "firmware")
"""Types of image whose content is looked into; a kernel is a program, not a container."""
_MAX_IMAGES = 256
_MAX_HASH = 64
_MAX_SIGNATURE = 4096
_MAX_TREE = 4 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FitHash:
    """A hash node of an image."""

    path: str
    algorithm: str
    """As mkimage names it: `sha256`, `crc32` ..."""
    value: bytes
    ignored: bool
    """Whether U-Boot is told not to look at it (`uboot-ignore`)."""


@dataclass(frozen=True, slots=True)
class FitSignature:
    """A signature node."""

    path: str
    algorithm: str
    """Digest and key: `sha256,rsa4096`."""
    padding: str
    """`pkcs-1.5`, which is the default, or `pss`."""
    key_name: str
    """`key-name-hint`."""
    sign_images: tuple[str, ...]
    """Properties of the configuration whose images it is to cover."""
    value: bytes
    hashed_nodes: tuple[str, ...]
    """Paths of the nodes that it covers; only on configurations."""
    hashed_strings: int | None
    """Bytes of the strings block that it covers, from its beginning; None when it does not say."""


@dataclass(frozen=True, slots=True)
class FitImage:
    """One image."""

    name: str
    path: str
    type: str
    """`kernel`, `ramdisk`, `flat_dt` ..."""
    compression: str
    """`none`, `gzip` ...: what U-Boot undoes."""
    content: Blob
    hashes: tuple[FitHash, ...]
    signatures: tuple[FitSignature, ...]

    def wrong_hashes(self) -> tuple[FitHash, ...]:
        """Hash the whole content and return those nodes whose value is another, or whose algorithm is not known."""
        return tuple(each for each in self.hashes if _digest(self.content, each.algorithm) != each.value)


@dataclass(frozen=True, slots=True)
class FitConfiguration:
    """One configuration: images that are started together."""

    name: str
    path: str
    images: Mapping[str, tuple[str, ...]]
    """Names of images by the property that names them: `kernel`, `fdt`, `ramdisk` ..."""
    signatures: tuple[FitSignature, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """What a FIT holds."""

    tree: DeviceTree
    images: Mapping[str, FitImage]
    configurations: Mapping[str, FitConfiguration]
    default: str
    """Name of the configuration that is started when none is named; empty when there is none."""

    def command_lines(self, configuration: FitConfiguration) -> tuple[str, ...]:
        """Return every `bootargs` of the configuration's device trees: /chosen of the first, any of the overlays behind it.

        The kernel gets the last one, unless U-Boot's environment has `bootargs`. Raises ArtefactError when a device tree cannot be read.
        """
        found: list[str] = []
        for position, name in enumerate(configuration.images.get("fdt", ())):
            tree = DeviceTree(_device_tree(self.images[name]))
            nodes = tree.nodes.values() if position else filter(None, [tree.node("/chosen")])
            found += [node.text("bootargs") for node in nodes if "bootargs" in node.properties]
        return tuple(found)


@opens(order=15)
def open_fit(blob: Blob, depth: int) -> Artefact | None:
    """Open a FIT; its children are the images, named `NAME:IMAGE`. See `artefact.Opener`."""
    if not is_device_tree(blob):
        return None
    tree = DeviceTree(blob)
    if tree.node(IMAGES) is None or tree.node(CONFIGURATIONS) is None:
        return None
    facts = read_fit(tree, blob)
    children = tuple(_child(image, f"{blob.name}:{image.name}", depth) for image in facts.images.values())
    return Artefact(name=blob.name, kind="fit", blob=blob, facts=facts, children=children)


def read_fit(tree: DeviceTree, blob: Blob) -> Fit:
    """Return what a FIT holds; `blob` begins with its tree and reaches as far as its data. Raises ArtefactError when it is truncated or corrupt."""
    images = {node.name: _image(tree, blob, node) for node in _named(tree, IMAGES)}
    configurations = {node.name: _configuration(tree, node, images) for node in _named(tree, CONFIGURATIONS)}
    default = tree.nodes[CONFIGURATIONS].text("default")
    return Fit(tree, images, configurations, default)


def _named(tree: DeviceTree, path: str) -> tuple[DeviceNode, ...]:
    nodes = tree.children(path)
    if len(nodes) > _MAX_IMAGES:
        raise ArtefactError(f"{tree.name} has {len(nodes)} nodes in {path}; it is taken for hostile and not read")
    return nodes


def _image(tree: DeviceTree, blob: Blob, node: DeviceNode) -> FitImage:
    below = tree.children(node.path)
    return FitImage(
        name=node.name,
        path=node.path,
        type=node.text("type"),
        compression=node.text("compression") or "none",
        content=_content(tree, blob, node),
        hashes=tuple(_hash(each) for each in below if each.name.startswith("hash")),
        signatures=tuple(_signature(each) for each in below if each.name.startswith("signature")),
    )


def _content(tree: DeviceTree, blob: Blob, node: DeviceNode) -> Blob:
    """Return an image's bytes: `data-position` from the file's beginning, `data-offset` from the tree's end, or `data` (fit_image_get_data_and_size)."""
    name = f"{tree.name}:{node.name}"
    position, offset, size = (node.number(each) for each in ("data-position", "data-offset", "data-size"))
    if position is None and offset is None:
        data = node.properties.get("data")
        return data.slice(0, data.size, name) if data else from_bytes(b"", name)
    if size is None:
        raise ArtefactError(f"{name} is corrupt: this FIT does not say how long its image is; build it again")
    start = position if position is not None else -(-tree.size // 4) * 4 + (offset or 0)
    return blob.slice(start, size, name)


def _hash(node: DeviceNode) -> FitHash:
    return FitHash(node.path, node.text("algo"), _bytes(node, "value", _MAX_HASH), "uboot-ignore" in node.properties)


def _signature(node: DeviceNode) -> FitSignature:
    strings = _bytes(node, "hashed-strings", 8)
    return FitSignature(
        path=node.path,
        algorithm=node.text("algo"),
        padding=node.text("padding") or "pkcs-1.5",
        key_name=node.text("key-name-hint"),
        sign_images=node.texts("sign-images"),
        value=_bytes(node, "value", _MAX_SIGNATURE),
        hashed_nodes=node.texts("hashed-nodes"),
        hashed_strings=int.from_bytes(strings[4:], "big") if len(strings) == 8 else None,
    )


def _configuration(tree: DeviceTree, node: DeviceNode, images: Mapping[str, FitImage]) -> FitConfiguration:
    named = {name: node.texts(name) for name, value in node.properties.items() if name not in _NO_IMAGES and _is_text(value)}
    for name in (each for key in _STARTED for each in named.get(key, ()) if each not in images):
        raise ArtefactError(f"{tree.name} is corrupt: {node.path} names the image {printable(name)}, which is not there; build it again")
    named = {name: tuple(each for each in texts if each in images) for name, texts in named.items()}
    named = {name: texts for name, texts in named.items() if texts}
    signatures = tuple(_signature(each) for each in tree.children(node.path) if each.name.startswith("signature"))
    return FitConfiguration(node.name, node.path, named, signatures)


def _is_text(value: Blob) -> bool:
    return 0 < value.size <= MAX_TEXT and value.read(value.size - 1, 1) == b"\0"


def _bytes(node: DeviceNode, name: str, limit: int) -> bytes:
    value = node.properties.get(name)
    if value is None:
        return b""
    if value.size > limit:
        raise ArtefactError(f"{value.name} of {node.path} has {value.size} bytes, more than the {limit} that it may have; build it again")
    return value.read(0, value.size)


def _child(image: FitImage, name: str, depth: int) -> Artefact:
    if image.type in _OPENED and image.compression == "none":
        return open_part(image.content.slice(0, image.content.size, name), depth + 1)
    return Artefact(name=name, kind=image.type or "unknown", blob=image.content)


def _device_tree(image: FitImage) -> Blob:
    """Return a device tree as U-Boot would hand it on."""
    if image.compression == "none":
        found = image.content
    elif image.compression == "gzip":
        found = from_bytes(_inflated(image), image.content.name)
    else:
        raise ArtefactError(f"{image.content.name} is compressed with {printable(image.compression)}, which is not read; use none or gzip")
    if not is_device_tree(found):
        raise ArtefactError(f"{image.content.name} is named as a device tree and is none; build the FIT again")
    return found


def _inflated(image: FitImage) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        found = stream.decompress(image.content.read(0, image.content.size), _MAX_TREE + 1)
    except zlib.error:
        found = b""
    if not stream.eof or len(found) > _MAX_TREE:
        raise ArtefactError(f"{image.content.name} is corrupt or larger than {_MAX_TREE} bytes when decompressed; build it again")
    return found


def _digest(content: Blob, algorithm: str) -> bytes | None:
    """Return the digest of an image as mkimage stores it; None for an algorithm that is not known (U-Boot, calculate_hash)."""
    if algorithm == "crc32":
        crc = 0
        for chunk in _chunks(content):
            crc = zlib.crc32(chunk, crc)
        return crc.to_bytes(4, "big")
    if algorithm not in (*STRONG, "sha1", "md5"):
        return None
    made = hashlib.new(algorithm, usedforsecurity=False)
    for chunk in _chunks(content):
        made.update(chunk)
    return made.digest()


def _chunks(content: Blob) -> Iterator[bytes]:
    for at in range(0, content.size, _CHUNK):
        yield content.read(at, min(_CHUNK, content.size - at))
