"""What is inside a bundle, and whether a device with a given keyring would accept it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.bundle import rauc
from everest_secure.bundle.errors import BundleError
from everest_secure.errors import ToolError
from everest_secure.image import blob, raucb
from everest_secure.pki import certificates
from everest_secure.run import Tools

MAX_IMAGES = 256
"""More images than any manifest names."""


@dataclass(frozen=True, slots=True)
class BundledImage:
    """An image as the manifest names it."""

    slot_class: str
    name: str
    """File name in the bundle."""
    sha256: str
    """Hexadecimal digest of the image."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What the manifest of a bundle says."""

    compatible: str
    version: str
    description: str
    build: str
    images: tuple[BundledImage, ...]
    hooks: tuple[str, ...]
    """Of the whole bundle: `install-check`."""
    verified: bool
    """Whether signature and chain were verified against a keyring, and the payload against its signed hash tree."""


def info(bundle: Path, *, tools: Tools) -> BundleInfo:
    """Return what a bundle says of itself, nothing verified; raises ArtefactError or BundleError when it cannot be read."""
    return _read(bundle, keyring=None, tools=tools)


def verify(bundle: Path, *, keyring: Path, tools: Tools) -> BundleInfo:
    """Return what a bundle says after it was verified as a device with `keyring` would, and every byte of its payload too.

    The chain must end in the keyring with the purpose code signing, the format be verity: `rauc` decides. Raises BundleError with rauc's reason when it is
    refused, ArtefactError when it is no file that can be read, PkiError when the keyring holds no certificate.
    """
    certificates.load_all(keyring)
    found = _read(bundle, keyring=keyring, tools=tools)
    _require_whole_payload(bundle)
    return found


def _require_whole_payload(bundle: Path) -> None:
    """Hash the payload against the tree under the signature: `rauc info` reads the signature alone, a device finds out while it writes."""
    artefact = raucb.open_bundle(blob.from_file(bundle), 0)
    facts = artefact.facts if artefact is not None else None
    if not isinstance(facts, raucb.RaucBundle) or not facts.verify_payload().holds(facts.root_hash):
        raise BundleError(f"{bundle} is corrupt: its payload is not the one that was signed; fetch or build it again")


def _read(bundle: Path, *, keyring: Path | None, tools: Tools) -> BundleInfo:
    blob.from_file(bundle)
    with tempfile.TemporaryDirectory(prefix="everest-secure-") as directory:
        configuration = Path(directory).resolve() / "rauc.conf"
        configuration.write_text(rauc.CONFIGURATION)
        try:
            said = rauc.info(
                bundle.resolve(), configuration=configuration, keyring=keyring.resolve() if keyring is not None else None, tools=tools
            )
        except ToolError as error:
            if keyring is None:
                raise BundleError(f"{bundle} cannot be read: {error}; build or fetch it again") from None
            raise BundleError(
                f"{bundle} is not accepted with the keyring {keyring}: {error}; sign it for that keyring or name its own"
            ) from None
    return _parse(said, verified=keyring is not None)


def _parse(said: Mapping[str, str], *, verified: bool) -> BundleInfo:
    try:
        count = int(said["RAUC_MF_IMAGES"])
        if count > MAX_IMAGES:
            raise BundleError(f"the bundle names {count} images, more than {MAX_IMAGES}; it is taken for hostile and not read")
        return BundleInfo(
            compatible=said["RAUC_MF_COMPATIBLE"],
            version=said["RAUC_MF_VERSION"],
            description=said["RAUC_MF_DESCRIPTION"],
            build=said["RAUC_MF_BUILD"],
            images=tuple(_image(said, index) for index in range(count)),
            hooks=tuple(said["RAUC_MF_HOOKS"].split()),
            verified=verified,
        )
    except (KeyError, ValueError):
        raise BundleError("rauc described the bundle in a way that cannot be read; check which rauc is installed") from None


def _image(said: Mapping[str, str], index: int) -> BundledImage:
    return BundledImage(
        slot_class=said[f"RAUC_IMAGE_CLASS_{index}"],
        name=said[f"RAUC_IMAGE_NAME_{index}"],
        sha256=said[f"RAUC_IMAGE_DIGEST_{index}"],
        size=int(said[f"RAUC_IMAGE_SIZE_{index}"]),
    )
