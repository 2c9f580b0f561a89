"""Takes images out of a bundle, each with its digest checked while it is written."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from everest_secure.bundle.contents import chunks, file_of, open_payload
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundledImage, info_of
from everest_secure.bundle.judge import Judgement, require_accepted
from everest_secure.bundle.publish import publish, require_free, sync
from everest_secure.image import raucb
from everest_secure.image.tree import Tree
from everest_secure.space import require_space
from everest_secure.staging import staging


def extract(judgement: Judgement, directory: Path, *, slot_classes: Sequence[str] = ()) -> tuple[Path, ...]:
    """Write the images of an accepted bundle into a directory, all or those of some slot classes, and return their files.

    The directory is made when it is missing; a file that is there is never overwritten, and nothing is left of an image whose digest or size is not
    the one that was signed. Raises BundleError, ArtefactError or UserError.
    """
    require_accepted(judgement)
    manifest, envelope = judgement.independent.manifest, judgement.independent.envelope
    if manifest is None or envelope is None:
        raise TypeError(judgement)
    wanted = _wanted(info_of(manifest, verified=True).images, slot_classes)
    tree_of_hashes, _ = raucb.verity(envelope.payload, manifest, manifest.sections["bundle"]["format"])
    tree = open_payload(raucb.plain_data(tree_of_hashes, manifest))
    require_space(directory, sum(image.size for image in wanted), "the content of the bundle")
    directory = directory.resolve()
    for image in wanted:
        require_free(directory / image.name)
    return tuple(_write(tree, image, directory / image.name) for image in wanted)


def _wanted(images: Sequence[BundledImage], slot_classes: Sequence[str]) -> tuple[BundledImage, ...]:
    there = {image.slot_class for image in images}
    for name in slot_classes:
        if name not in there:
            raise BundleError(f"the bundle has no image for '{name}'; it has {', '.join(sorted(there))}")
    chosen = [image for image in images if image.name and (not slot_classes or image.slot_class in slot_classes)]
    return tuple({image.name: image for image in chosen}.values())


def _write(tree: Tree, image: BundledImage, target: Path) -> Path:
    content = file_of(tree, image.name)
    digest = hashlib.sha256()
    with staging(target, error=BundleError) as work:
        made = work / target.name
        with made.open("xb") as file:
            for chunk in chunks(content) if content.size == image.size else ():
                digest.update(chunk)
                file.write(chunk)
        if content.size != image.size or digest.hexdigest() != image.sha256.lower():
            raise BundleError(f"the image '{image.name}' is not the one that was signed; build or fetch the bundle again")
        sync(made)
        publish(made, target)
    return target
