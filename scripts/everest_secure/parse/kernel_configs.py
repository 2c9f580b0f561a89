"""Where a root file system, or the disk or bundle that it came in, says how its kernels were configured."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from everest_secure.image.artefact import Artefact
from everest_secure.image.blob import Blob
from everest_secure.image.companions import CompanionKind
from everest_secure.image.fit import Fit
from everest_secure.image.tree import Node, Tree
from everest_secure.image.uki import Uki
from everest_secure.parse.kconfig import MAX_CONFIG, KernelConfig, parse_kconfig
from everest_secure.parse.kernel_image import kernel_configuration

MODULES = ("/usr/lib/modules", "/lib/modules")
KERNELS = ("vmlinuz", "vmlinux", "bzImage", "zImage", "uImage", "Image", "kernel")
"""Beginnings of a kernel's name, in /boot or at the top of a boot partition."""
_MAX_KERNELS = 16
_CHUNK = 1024 * 1024


def kernel_configs(root: Artefact, tree: Tree, container: Artefact) -> tuple[KernelConfig, ...]:
    """Return the configuration of every kernel, from the first of these that says anything.

    Files of the root; where modules have none, kernels beside it (CONFIG_IKCONFIG); else what the build left beside the image. `tree` is that of
    the artefact `root`, `container` the disk or bundle that it came in. Raises ArtefactError when what is there cannot be read.
    """
    found, missing = _from_files(tree, root.name)
    if found and not missing:
        return found
    carried = tuple(_from_kernels(tree, container))
    return (*found, *(carried or _from_build(container)))


def _from_build(container: Artefact) -> Iterator[KernelConfig]:
    for companion in container.companions:
        if companion.kind is CompanionKind.KERNEL_CONFIG:
            yield parse_kconfig(companion.read(MAX_CONFIG), artefact=companion.name)


def module_directories(tree: Tree) -> list[Node]:
    """Return the directory of each kernel's modules."""
    return next((found for place in MODULES if (found := [node for node in tree.children(place) if node.is_directory])), [])


@lru_cache(maxsize=4)
def _from_files(tree: Tree, artefact: str) -> tuple[tuple[KernelConfig, ...], bool]:
    """Return the configurations that lie in files, one for each kernel's modules, and whether some modules have none."""
    found: dict[str, KernelConfig] = {}
    missing = False
    for directory in module_directories(tree):
        config = next(_of_modules(tree, directory, artefact), None)
        if config is None:
            missing = True
        else:
            found[directory.name] = config
    for node in tree.children("/boot"):
        version = node.name.removeprefix("config-")
        if node.name.startswith("config-") and version not in found:
            found[version] = _read(tree, node.path, artefact)
    return tuple(found.values()), missing


def _of_modules(tree: Tree, directory: Node, artefact: str) -> Iterator[KernelConfig]:
    for path in (f"{directory.path}/config", f"/boot/config-{directory.name}", f"{directory.path}/build/.config"):
        file = tree.resolve(path)
        if file is not None and file.is_file:
            yield _read(tree, path, artefact)
    for node in tree.children(f"{directory.path}/kernel/kernel"):
        if node.is_file and node.name.startswith("configs.ko"):
            text = kernel_configuration(tree.blob(node))
            if text is not None:
                yield parse_kconfig(text, artefact=artefact, path=node.path)


def _read(tree: Tree, path: str, artefact: str) -> KernelConfig:
    return parse_kconfig(tree.read(path, MAX_CONFIG), artefact=artefact, path=path)


def _from_kernels(tree: Tree, container: Artefact) -> Iterator[KernelConfig]:
    seen: set[bytes] = set()
    for blob in _kernels(tree, container):
        digest = _digest(blob)
        if digest in seen or len(seen) == _MAX_KERNELS:
            continue
        seen.add(digest)
        text = _configuration(blob)
        if text is not None:
            yield parse_kconfig(text, artefact=blob.name)


def _kernels(tree: Tree, container: Artefact) -> Iterator[Blob]:
    for artefact in container.walk():
        if isinstance(artefact.facts, Uki):
            yield artefact.facts.linux
        elif isinstance(artefact.facts, Fit):
            yield from (image.content for image in artefact.facts.images.values() if image.type.startswith("kernel"))
        elif artefact.tree is not None and artefact.kind == "vfat":
            yield from _files(artefact.tree, "/")
    yield from _files(tree, "/boot")


def _files(tree: Tree, directory: str) -> Iterator[Blob]:
    for node in tree.children(directory):
        file = tree.resolve(node.path)
        if node.name.startswith(KERNELS) and file is not None and file.is_file and file.size:
            yield tree.blob(file)


@lru_cache(maxsize=16)
def _digest(blob: Blob) -> bytes:
    """Return the digest of a kernel, so that the same one in several places is unpacked once."""
    made = hashlib.sha256()
    for at in range(0, blob.size, _CHUNK):
        made.update(blob.read(at, min(_CHUNK, blob.size - at)))
    return made.digest()


@lru_cache(maxsize=4)
def _configuration(blob: Blob) -> bytes | None:
    return kernel_configuration(blob)
