"""Makes a verity bundle with the real `rauc`; it gets its name only when it has been verified."""

import errno
import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.bundle import inspect, manifest, rauc, signing
from everest_secure.bundle.description import Description
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.bundle.signing import MIN_RSA_BITS, Signer
from everest_secure.pki import certificates
from everest_secure.run import Tools
from everest_secure.space import require_space
from everest_secure.staging import staging

HOOK_MODE = 0o755
SPACE_OVERHEAD = 16 * 1024 * 1024
"""Bytes for the manifest, the signature and the file system around the images."""
NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def create(
    description: Description,
    *,
    output: Path,
    signer: Signer,
    keyring: Path,
    tools: Tools,
    now: datetime,
    min_rsa_bits: int = MIN_RSA_BITS,
) -> BundleInfo:
    """Make the bundle `output` and return what it says after verification against `keyring`, which is best taken from inside the image.

    Nothing has the name `output` until the bundle was verified, and nothing that has it already is touched. `now` has a time zone.
    Raises BundleError, PkiError or another UserError when the description, the signer, the disk or the result is not in order.
    """
    output = output.parent.resolve() / output.name
    manifest.require_sound(description)
    _require_free(output)
    between = signing.preflight(signer, keyring=keyring, now=now, min_rsa_bits=min_rsa_bits)
    sources = [image.file for image in description.images]
    require_space(output.parent, space_needed(sources, beside=output.parent), f"the bundle {output.name}")
    with staging(output, error=BundleError) as work:
        content = work / "content"
        _fill(content, description)
        configuration = work / "rauc.conf"
        configuration.write_text(rauc.CONFIGURATION)
        made = work / output.name
        rauc.bundle(
            content,
            made,
            configuration=configuration,
            key=signer.key.resolve(),
            certificate=signer.certificate.resolve(),
            intermediates=_write_each(between, work),
            keyring=keyring.resolve(),
            passphrase=signer.passphrase,
            tools=tools,
        )
        found = inspect.verify(made, keyring=keyring, tools=tools)
        _require_same(found, description)
        _publish(made, output)
    return found


def _require_free(output: Path) -> None:
    if os.path.lexists(output):
        raise BundleError(f"{output} exists already and is never overwritten; choose another name or move it away")
    if not output.parent.is_dir():
        raise BundleError(f"the directory {output.parent} does not exist; create it first")


def _fill(content: Path, description: Description) -> None:
    content.mkdir()
    for image in description.images:
        _link_or_copy(image.file, content / image.name)
    if description.hooks is not None:
        hook = content / description.hooks.file.name
        shutil.copyfile(description.hooks.file, hook)
        hook.chmod(HOOK_MODE)
    (content / manifest.NAME_IN_BUNDLE).write_text(manifest.render(description))


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source.resolve())
    except OSError as error:
        if error.errno not in (*NO_HARD_LINKS, errno.EXDEV):
            raise
        shutil.copyfile(source, target)


def _write_each(chain: Sequence[x509.Certificate], work: Path) -> list[Path]:
    """Write one certificate per file: rauc reads only the first of each `--intermediate`."""
    written = []
    for index, certificate in enumerate(chain):
        path = work / f"intermediate-{index}.pem"
        path.write_bytes(certificates.to_pem(certificate))
        written.append(path)
    return written


def _require_same(found: BundleInfo, description: Description) -> None:
    wanted = (description.compatible, description.version, {(image.slot_class, image.name) for image in description.images})
    if (found.compatible, found.version, {(image.slot_class, image.name) for image in found.images}) != wanted:
        raise BundleError("the finished bundle does not say what its description does; report this as an error of everest-secure")


def _publish(made: Path, output: Path) -> None:
    with made.open("rb") as file:
        os.fsync(file.fileno())
    try:
        output.hardlink_to(made)
    except FileExistsError:
        raise BundleError(f"{output} appeared while the bundle was made and is never overwritten; choose another name") from None
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        _require_free(output)
        made.rename(output)


def space_needed(files: Sequence[Path], *, beside: Path) -> int:
    """Return how many bytes a bundle of `files` may take in the directory `beside` while it is made.

    Images that do not compress count whole, their hash tree with a hundredth, and those on another file system once more for their copy.
    """
    device = beside.stat().st_dev
    sizes = [(file.stat().st_size, file.stat().st_dev) for file in files]
    total = sum(size for size, _ in sizes)
    copies = sum(size for size, where in sizes if where != device)
    return total + total // 100 + copies + SPACE_OVERHEAD
