"""Signs a bundle again: from the keys of the build to those of the release, the payload untouched."""

from dataclasses import dataclass, replace
from pathlib import Path

from everest_secure.bundle import cms, judge, releaselog
from everest_secure.bundle.copying import copy_head
from everest_secure.bundle.device import Device
from everest_secure.bundle.digest import Digest, tail_of
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.finish import Release, finish, ready_to_sign, require_format, require_recipients
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.bundle.judge import Judgement
from everest_secure.bundle.publish import require_free
from everest_secure.bundle.rules import policy_reasons, size_reasons
from everest_secure.bundle.signing import Signer
from everest_secure.parse.cms import verify_signed_data
from everest_secure.pki import certificates
from everest_secure.pki.log import spki_hash
from everest_secure.space import require_space
from everest_secure.staging import staging

SPACE_OVERHEAD = 16 * 1024 * 1024
"""Bytes for the signature and what a file system needs beside the payload."""


@dataclass(frozen=True, slots=True)
class Source:
    """The bundle that is signed again."""

    path: Path
    device: Device
    """Who accepts it as it is: the keyring of the build."""


def resign(source: Source, release: Release, signer: Signer) -> BundleInfo:
    """Sign `source` again and return what the new bundle says of itself after both verifiers accepted it for the release's device.

    Signature, chain and manifest of the source are verified before the signer is asked for anything, each block of the payload afterwards in the
    copy: it is the one that the old and the new signature are over. Raises BundleError, PkiError, ToolError or another UserError; then
    nothing has the name of the output.
    """
    output = release.output.parent.resolve() / release.output.name
    require_free(output)
    old = judge.judge(source.path, device=source.device, now=release.now, tools=release.tools, payload=False)
    info = judge.require_accepted(old)
    _require_policy(old, release.device)
    require_format(info.format, release.device)
    require_recipients(info.format, release.recipients)
    release = _for_recipients(release)
    ready = ready_to_sign(signer, release)
    envelope, content = old.independent.envelope, old.independent.content
    if envelope is None:
        raise TypeError(old)
    copies = 2 if info.format == "crypt" else 1
    require_space(output.parent, envelope.payload.size * copies + SPACE_OVERHEAD, f"the bundle {output.name}")
    with staging(output, error=BundleError) as work:
        signed = work / output.name
        signature = cms.sign(content, ready)
        for reason in size_reasons(signature, release.device):
            raise BundleError(str(reason))
        copy_head(source.path, signed, envelope.payload.size)
        with signed.open("ab") as file:
            file.write(signature + len(signature).to_bytes(8, "big"))

        def describe(found: BundleInfo, digest: Digest) -> releaselog.Line:
            origin = _of(source, old, digest.with_tail(tail_of(envelope)))
            return releaselog.line("resign", output, found, signer=ready.certificate, now=release.now, sha256=digest.of_file, source=origin)

        return finish(signed, release, describe)


def _for_recipients(release: Release) -> Release:
    """Return the release without a key that opened the source and is none of the result's recipients, for whom alone that is encrypted."""
    recipient = release.device.recipient
    own = [each.public_key() for path in release.recipients for each in certificates.load_all(path)]
    if recipient is None or recipient.key.public_key() in own:
        return release
    return replace(release, device=replace(release.device, recipient=None))


def _require_policy(old: Judgement, device: Device) -> None:
    manifest = old.independent.manifest
    for reason in policy_reasons(manifest, device) if manifest else ():
        raise BundleError(f"{old.bundle} is not what the release is for: {reason}")


def _of(source: Source, old: Judgement, digest: str) -> dict[str, str]:
    (signature,) = verify_signed_data(old.independent.cms, source.path.name).signatures
    return {"bundle": source.path.name, "sha256": digest, "spki_sha256": spki_hash(signature.signer)}
