"""What every signed bundle goes through before it gets its name: both verifiers, encryption for its recipients, the disk, the release log."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from everest_secure.bundle import judge, rauc, releaselog
from everest_secure.bundle.device import Device
from everest_secure.bundle.digest import Digest, digest_of
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.bundle.publish import publish, sync
from everest_secure.bundle.rules import size_reasons
from everest_secure.bundle.signing import Ready, Signer, preflight
from everest_secure.image import blob, raucb
from everest_secure.pki import certificates
from everest_secure.run import Tools

Describe = Callable[[BundleInfo, Digest], releaselog.Line]
"""Returns the log's line for a bundle, given what it says of itself and its digest."""


@dataclass(frozen=True, slots=True)
class Release:
    """Where a bundle goes, and what has to hold before it does."""

    output: Path
    device: Device
    """By whose keyring and rules it is verified."""
    now: datetime
    tools: Tools
    recipients: tuple[Path, ...] = ()
    """Certificates that a crypt bundle is encrypted for."""
    log: Path | None = None
    """The release log; None for a bundle that nobody releases."""


def ready_to_sign(signer: Signer, release: Release) -> Ready:
    """Return the signer when the release's devices would accept it; raises as `signing.preflight` does."""
    device = release.device
    return preflight(signer, keyring=device.keyring, now=release.now, min_rsa_bits=device.rsa_bits, check_crl=device.check_crl)


def finish(signed: Path, release: Release, describe: Describe) -> BundleInfo:
    """Verify a signed bundle, encrypt it when it is of the format crypt, log it and give it its name; returns what it says of itself.

    Nothing has the name when this raises BundleError, PkiError, ToolError or OSError.
    """
    with ThreadPoolExecutor() as threads:  # disk and digest are others' work while the hash tree is verified
        writing = threads.submit(sync, signed)
        reading = threads.submit(digest_of, signed)
        device = replace(release.device, recipient=None, accept_unencrypted=True)
        info = _require_accepted(signed, device, release)
        writing.result()
    final, digest = signed, reading.result()
    if info.format == "crypt":
        final = _encrypted(signed, release)
        verified, digest = digest, digest_of(final)
        if digest.payload.digest() != verified.payload.digest():
            raise BundleError(f"rauc changed the payload of {release.output.name} when it encrypted it; check which rauc is installed")
    line = describe(info, digest)
    if release.log is not None:
        releaselog.append(release.log, line)
    publish(final, release.output)
    return info


def require_recipients(form: str, recipients: Sequence[Path]) -> None:
    """Raise BundleError unless recipients are given for the format crypt, and for no other."""
    if form == "crypt" and not recipients:
        raise BundleError("the format crypt encrypts a bundle for its recipients; name their certificates with --recipient")
    if form != "crypt" and recipients:
        raise BundleError(f"a bundle of the format {form} is not encrypted; leave --recipient out, or build it with the format crypt")


def _require_accepted(made: Path, device: Device, release: Release) -> BundleInfo:
    """Return what a bundle says that both verifiers accept; errors call it by the name that it would have got."""
    found = judge.judge(made, device=device, now=release.now, tools=release.tools)
    return judge.require_accepted(replace(found, bundle=release.output))


def require_format(form: str, device: Device) -> None:
    """Raise BundleError when devices take no bundle of this format."""
    if form not in device.formats:
        raise BundleError(
            f"a bundle of the format {form} is refused with {device.name}; build it with the format {' or '.join(device.formats)}"
        )


def _encrypted(signed: Path, release: Release) -> Path:
    final = signed.with_name(f"encrypted-{signed.name}")
    configuration = signed.with_name("encrypt.conf")
    configuration.write_text(rauc.configuration(formats=("crypt",), check_crl=release.device.check_crl))
    rauc.encrypt(
        signed,
        final,
        recipients=[each.resolve() for each in release.recipients],
        configuration=configuration,
        keyring=release.device.keyring.resolve(),
        tools=release.tools,
    )
    after = raucb.split_bundle(blob.from_file(final))
    if after is None or not after.encrypted:
        raise BundleError(f"rauc did not encrypt {release.output.name} as it was asked to; check which rauc is installed")
    for reason in size_reasons(after.cms, release.device):
        count = sum(len(certificates.load_all(each)) for each in release.recipients)
        raise BundleError(f"{release.output.name}, encrypted for {count} recipients, would be refused: {reason}")
    if release.device.recipient is not None:
        _require_accepted(final, release.device, release)
    sync(final)
    signed.unlink()
    return final
