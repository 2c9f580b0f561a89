"""The device that an image makes: its keyring, and what RAUC's configuration in it asks of a bundle."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from everest_secure.bundle.device import FORMATS, Device, configured, load_device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.version import precedence
from everest_secure.checks.core import Root
from everest_secure.checks.rauc import PURPOSES, configuration, keyring_files
from everest_secure.checks.subjects import is_root
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.parse.rauc_conf import RaucConfig


@contextmanager
def device_in(image: Path) -> Iterator[Device]:
    """Yield the device of an image (root, slot, disk, bundle or archive of one); its keyring lies in a file while the block lasts.

    `compatible`, `min-bundle-version`, `bundle-formats`, `max-bundle-signature-size`, `check-crl`, `allowed-signer-cns` and the slots are those of
    its system.conf.
    Raises ArtefactError when the image cannot be read or has no such file, and BundleError when it holds two devices that differ, or one whose RAUC
    does not judge signers as this program does.
    """
    keyring, config = _device(open_artefact(image))
    _require_known_rules(image, config)
    with tempfile.TemporaryDirectory(prefix="everest-secure-") as directory:
        file = Path(directory) / "keyring.pem"
        file.write_bytes(keyring)
        yield replace(configured(load_device(file), config), name=f"the device of {image}")


def _device(opened: Artefact) -> tuple[bytes, RaucConfig]:
    """Return keyring and configuration of all roots in an image, which are those of one device."""
    roots = [Root(each, each.tree, opened) for each in opened.walk() if each.tree is not None and is_root(each.tree)]
    if not roots:
        raise BundleError(f"{opened.name} holds no root file system with a keyring; name an image of the devices")
    first, *others = [(b"\n".join(root.tree.read(file) for file in keyring_files(root)), configuration(root)) for root in roots]
    if any(other != first for other in others):
        raise BundleError(f"{opened.name} holds roots with different keyrings or configurations of RAUC; name the image of one of them")
    return first


def _require_known_rules(image: Path, config: RaucConfig) -> None:
    if config.check_purpose not in PURPOSES:
        what = f"judges signers for the purpose '{config.check_purpose}'"
    elif config.allow_partial_chain:
        what = "accepts a chain that does not reach a root"
    elif config.file.boolean("keyring", "use-bundle-signing-time", default=False):
        what = "accepts a signer that has ended, by the time at which it says to have signed"
    elif not config.bundle_formats & set(FORMATS):
        what = "accepts bundles of the format plain alone"
    elif (least := config.file.value("system", "min-bundle-version")) and precedence(least) is None:
        what = f"has the min-bundle-version '{least}', with which no version can be compared"
    else:
        return
    raise BundleError(
        f"the device of {image} {what}, so that nothing is judged for it; mend its system.conf ('everest-secure check' says how)"
    )
