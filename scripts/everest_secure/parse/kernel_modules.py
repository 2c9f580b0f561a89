"""Signatures of kernel modules (Documentation/admin-guide/module-signing.rst)."""

from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.image.tree import Node, Tree
from everest_secure.parse.modprobe import module_name
from everest_secure.parse.unpacking import unpacked

MAGIC = b"~Module signature appended~\n"
"""Last bytes of a signed module (kernel/module_signature.c); whether the signature holds only the kernel's own key says."""
SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
"""Names under which modprobe finds modules."""
COMPRESSED_BYTES = 512 * 1024
"""Bytes of compressed modules that are unpacked, as that takes a hundred times as long as looking at the end of one that is not compressed."""


def module_of(node: Node) -> str:
    """Return the name of the module in a file, `-` as `_`; empty when it is none."""
    suffix = next((suffix for suffix in SUFFIXES if node.name.endswith(suffix)), "")
    return module_name(node.name.removesuffix(suffix)) if suffix else ""


@dataclass(frozen=True, slots=True)
class Signatures:
    """What was seen of the modules of a root."""

    modules: int
    looked_at: int
    unsigned: tuple[Node, ...]


def module_signatures(tree: Tree, directories: list[Node]) -> Signatures:
    """Look for signatures: at all modules that are not compressed, and at compressed ones up to a limit, those from outside the kernel's sources first.

    Raises ArtefactError when a module cannot be unpacked.
    """
    modules = [node for directory in directories for node in tree.under(directory.path) if node.is_file and node.name.endswith(SUFFIXES)]
    chosen = list(_chosen(modules))
    return Signatures(len(modules), len(chosen), tuple(node for node in tree.by_position(chosen) if not _is_signed(tree, node)))


def _chosen(modules: list[Node]) -> Iterator[Node]:
    left = COMPRESSED_BYTES
    for node in sorted(modules, key=lambda node: ("/kernel/" in node.path, node.path)):
        if node.name.endswith(".ko"):
            yield node
        elif left > 0:
            left -= node.size
            yield node


def _is_signed(tree: Tree, node: Node) -> bool:
    blob = tree.blob(node)
    pieces = unpacked(blob)
    if pieces is None:
        return blob.size >= len(MAGIC) and blob.read(blob.size - len(MAGIC), len(MAGIC)) == MAGIC
    end = b""
    for piece in pieces:
        end = (end + piece)[-len(MAGIC) :]
    return end == MAGIC
