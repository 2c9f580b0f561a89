"""The images inside a bundle's payload, read without mounting and without root."""

import hashlib
from collections.abc import Iterator

from everest_secure.bundle.verdict import Reason, Why
from everest_secure.errors import ArtefactError
from everest_secure.image import squashfs
from everest_secure.image.blob import Blob
from everest_secure.image.manifest import Manifest
from everest_secure.image.tree import Tree
from everest_secure.text import printable

CHUNK = 4 * 1024 * 1024
"""Bytes of an image that are held at once."""


def open_payload(data: Blob) -> Tree:
    """Return the file system of a payload, decrypted; raises ArtefactError when it is none."""
    found = squashfs.open_squashfs(data, 1)
    if found is None or found.tree is None:
        raise ArtefactError(f"{data.name} is corrupt: the payload of this RAUC bundle is no SquashFS; build or fetch it again")
    return found.tree


def file_of(tree: Tree, name: str) -> Blob:
    """Return a file of the bundle's top directory; raises ArtefactError when it is missing or no regular file."""
    node = tree.get(f"/{name}")
    if node is None or not node.is_file:
        raise ArtefactError(
            f"{tree.name} is corrupt: the manifest names the file {printable(name)}, which the bundle does not hold; build or fetch it again"
        )
    return tree.blob(node).slice(0, node.size, f"{tree.name}:{printable(name)}")


def chunks(blob: Blob) -> Iterator[bytes]:
    """Yield all of a blob, a few MiB at a time."""
    for at in range(0, blob.size, CHUNK):
        yield blob.read(at, min(CHUNK, blob.size - at))


def image_reasons(data: Blob, manifest: Manifest) -> Iterator[Reason]:
    """Yield which images in a payload are not those of the manifest, by size and SHA-256; each file is read once."""
    try:
        tree = open_payload(data)
        known: dict[str, tuple[str, int]] = {}
        for name, keys in manifest.images.items():
            file = keys.get("filename", "")
            if not file:
                continue
            if file not in known:
                blob = file_of(tree, file)
                digest = hashlib.sha256()
                for chunk in chunks(blob):
                    digest.update(chunk)
                known[file] = digest.hexdigest(), blob.size
            if known[file] != (keys["sha256"].lower(), int(keys["size"])):
                what = f"the image '{printable(name)}' does not have the digest and size of the manifest"
                yield Reason(Why.IMAGE, what, "build the bundle again")
    except ArtefactError as error:
        what, _, remedy = str(error).partition("; ")
        yield Reason(Why.IMAGE, what, remedy or "build or fetch it again")
