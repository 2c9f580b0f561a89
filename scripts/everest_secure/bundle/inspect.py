"""What a bundle says of itself, as typed values."""

from dataclasses import dataclass
from pathlib import Path

from everest_secure.bundle.device import Recipient
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.rules import hooks_of
from everest_secure.image import blob, raucb
from everest_secure.image.enveloped import decrypt
from everest_secure.image.manifest import Manifest, parse_manifest

MAX_IMAGES = 256
"""More images than any manifest names."""


@dataclass(frozen=True, slots=True)
class BundledImage:
    """An image as the manifest names it."""

    slot_class: str
    name: str
    """File name in the bundle; empty when a hook brings the content."""
    sha256: str
    """Hexadecimal digest of the image."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What the manifest of a bundle says."""

    format: str
    """`verity` or `crypt`."""
    compatible: str
    version: str
    description: str
    build: str
    images: tuple[BundledImage, ...]
    hooks: tuple[str, ...]
    """Of the whole bundle: `install-check`."""
    root_hash: str
    """Hexadecimal root of the payload's hash tree."""
    verified: bool
    """Whether signature, chain and payload were verified for a device."""


def info(bundle: Path, *, recipient: Recipient | None = None) -> BundleInfo:
    """Return what a bundle says of itself, nothing verified.

    Raises ArtefactError when it cannot be read, and BundleError when it is encrypted for others or has no signed manifest.
    """
    envelope = raucb.split_bundle(blob.from_file(bundle))
    if envelope is None:
        raise BundleError(f"{bundle} does not end with a signature and its length; build or fetch it again")
    if envelope.encrypted and recipient is None:
        raise BundleError(f"{bundle} is encrypted, so that nobody but a recipient can read it; give the key of one with --decryption-key")
    cms = decrypt(envelope.cms, recipient.key, envelope.name) if envelope.encrypted and recipient else envelope.cms
    content = raucb.signed_content(cms, envelope.name)
    if content is None:
        raise BundleError(f"{bundle} has the format plain, whose manifest is not in the signature; build it with the format verity")
    return info_of(parse_manifest(content, envelope.name), verified=False)


def info_of(manifest: Manifest, *, verified: bool) -> BundleInfo:
    """Return the same from a manifest; raises ArtefactError when a size is no number, and BundleError for a hostile number of images."""
    sections = manifest.sections
    update, bundle = sections.get("update", {}), sections.get("bundle", {})
    images = [name for name in sections if name.startswith("image.")]
    if len(images) > MAX_IMAGES:
        raise BundleError(f"the bundle names {len(images)} images, more than {MAX_IMAGES}; it is taken for hostile and not read")
    return BundleInfo(
        format=bundle.get("format", "plain"),
        compatible=update.get("compatible", ""),
        version=update.get("version", ""),
        description=update.get("description", ""),
        build=update.get("build", ""),
        images=tuple(
            BundledImage(
                slot_class=name.split(".")[1],
                name=sections[name].get("filename", ""),
                sha256=sections[name].get("sha256", ""),
                size=_size(sections[name].get("size", "0")),
            )
            for name in images
        ),
        hooks=hooks_of(sections.get("hooks", {})),
        root_hash=bundle.get("verity-hash", ""),
        verified=verified,
    )


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BundleError("the manifest of the bundle gives an image a size that is no number; build the bundle again with rauc")
    return int(text)
