"""Makes a bundle with the real `rauc`; it gets its name only when it has been verified."""

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from everest_secure.bundle import manifest, rauc, releaselog, signing
from everest_secure.bundle.description import Description
from everest_secure.bundle.digest import Digest
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.finish import Release, finish, ready_to_sign, require_format, require_recipients
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.bundle.publish import NO_HARD_LINKS, require_free
from everest_secure.bundle.signing import Signer
from everest_secure.pki import certificates
from everest_secure.space import require_space
from everest_secure.staging import staging

HOOK_MODE = 0o755
SPACE_OVERHEAD = 16 * 1024 * 1024
"""Bytes for the manifest, the signature and the file system around the images."""


def create(description: Description, release: Release, signer: Signer) -> BundleInfo:
    """Make the bundle `release.output` and return what it says after both verifiers accepted it with the device's keyring.

    Nothing has the name of the output until the bundle was verified, and nothing that has it already is touched. Raises BundleError, PkiError or
    another UserError when the description, the signer, the disk or the result is not in order.
    """
    output = release.output.parent.resolve() / release.output.name
    manifest.require_sound(description)
    require_free(output)
    require_format(description.format, release.device)
    require_recipients(description.format, release.recipients)
    ready = ready_to_sign(signer, release)
    sources = [image.file for image in description.images]
    copies = 2 if description.format == "crypt" else 1
    require_space(output.parent, space_needed(sources, beside=output.parent) * copies, f"the bundle {output.name}")
    with staging(output, error=BundleError) as work:
        content = work / "content"
        _fill(content, description)
        configuration = work / "rauc.conf"
        configuration.write_text(rauc.configuration(formats=(description.format,), check_crl=release.device.check_crl))
        made = work / output.name
        rauc.bundle(
            content,
            made,
            configuration=configuration,
            key=signing.for_rauc(signer),
            certificate=signer.certificate.resolve(),
            intermediates=_write_each(ready.intermediates, work),
            keyring=release.device.keyring.resolve(),
            tools=release.tools,
        )

        def describe(found: BundleInfo, digest: Digest) -> releaselog.Line:
            _require_same(found, description)
            return releaselog.line("create", output, found, signer=ready.certificate, now=release.now, sha256=digest.of_file)

        return finish(made, release, describe)


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


def space_needed(files: Sequence[Path], *, beside: Path) -> int:
    """Return how many bytes a bundle of `files` may take in the directory `beside` while it is made.

    Images that do not compress count whole, their hash tree with a hundredth, and those on another file system once more for their copy.
    """
    device = beside.stat().st_dev
    sizes = [(file.stat().st_size, file.stat().st_dev) for file in files]
    total = sum(size for size, _ in sizes)
    copies = sum(size for size, where in sizes if where != device)
    return total + total // 100 + copies + SPACE_OVERHEAD
