"""Verifies a bundle without the `rauc` binary and without root: everything from its signature down to the digest of each image.

The order is RAUC's: nothing of the payload is read before signature and chain hold, and nothing in it is believed before its hash tree does. Rules of RAUC are those of its `src/bundle.c`, `src/signature.c`
and `src/manifest.c`; a chain is judged as OpenSSL does with the purpose `codesign`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509

from everest_secure.bundle.contents import image_reasons
from everest_secure.bundle.device import Device
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.rules import manifest_reasons, policy_reasons, signature_reasons, size_reasons
from everest_secure.bundle.verdict import Reason, Verdict, Why, Word
from everest_secure.errors import ArtefactError
from everest_secure.image import blob, raucb
from everest_secure.image.enveloped import decrypt
from everest_secure.image.manifest import Manifest, parse_manifest
from everest_secure.image.raucb import Envelope
from everest_secure.parse.certificates import is_root, subject
from everest_secure.parse.chain import Chain, FaultKind, build_chain, chain_faults, code_signing_faults, key_faults
from everest_secure.parse.cms import EncodingError, SignedData, WeakDigestError, verify_signed_data
from everest_secure.parse.revocation import is_revoked, list_faults

_AGAIN = "build or fetch it again"


def verify(bundle: Path, *, device: Device, now: datetime, payload: bool = True) -> Verdict:
    """Judge a bundle as `device` would at `now`, which has a time zone; without `payload` as far as its signed manifest.

    Raises ArtefactError when the file cannot be read, and BundleError when nobody can judge it: it is encrypted and the device has no key.
    """
    whole = blob.from_file(bundle)
    try:
        envelope = raucb.split_bundle(whole)
    except ArtefactError as error:
        return Verdict((_reason(Why.LAYOUT, error),))
    if envelope is None:
        return Verdict((Reason(Why.LAYOUT, f"{whole.name} does not end with a signature and its length", _AGAIN),))
    if too_large := tuple(size_reasons(envelope.cms, device)):
        return Verdict(too_large, envelope)
    try:
        cms = _decrypted(envelope, device) if envelope.encrypted else envelope.cms
        content = raucb.signed_content(cms, whole.name)
    except ArtefactError as error:
        return Verdict((_reason(Why.SIGNATURE, error),), envelope)
    if content is None:
        what = f"{whole.name} has the format plain, whose payload is only verified as a whole and before it is read again"
        return Verdict((Reason(Why.FORMAT, what, "build it with the format verity"),), envelope, cms=cms)
    try:
        signed = verify_signed_data(cms, whole.name, canonical=True)
        reasons = tuple(_signer_reasons(signed, device, now))
    except WeakDigestError as error:
        return Verdict((_reason(FaultKind.WEAK_DIGEST, error),), envelope, cms=cms)
    except EncodingError as error:
        return Verdict((_reason(Why.ENCODING, error),), envelope, cms=cms)
    except ArtefactError as error:
        return Verdict((_reason(Why.SIGNATURE, error),), envelope, cms=cms)
    return _judge_content(envelope, cms, content, reasons, device, payload=payload)


def _decrypted(envelope: Envelope, device: Device) -> bytes:
    if device.recipient is None:
        raise BundleError(
            f"{envelope.name} is encrypted, so that nobody but a recipient can verify it; give the key of one with --decryption-key"
        )
    return decrypt(envelope.cms, device.recipient.key, envelope.name)


def _signer_reasons(signed: SignedData, device: Device, now: datetime) -> Iterator[Reason]:
    refused = tuple(signature_reasons(signed, device))
    if len(signed.signatures) != 1:
        yield from refused
        return
    chain = find_chain(signed, device, now)
    for fault in (*chain_faults(chain, at=now), *code_signing_faults(chain), *key_faults(chain, rsa_bits=device.rsa_bits)):
        yield Reason(fault.kind, fault.what, fault.remedy)
    yield from refused
    if device.check_crl:
        for certificate, issuer in pairwise(chain.certificates):
            if is_revoked(certificate, issuer, device.revocation_lists):
                yield Reason(Why.REVOKED, f"'{subject(certificate)}' is revoked", "sign with a signer that is not")
        for authority in chain.certificates[1:] or chain.certificates:
            for missing in list_faults(authority, device.revocation_lists, at=now, days=0):
                yield Reason(missing.kind, missing.what, missing.remedy)


def find_chain(signed: SignedData, device: Device, now: datetime) -> Chain:
    """Return the chain of the first signer: it ends in a self-signed certificate of the keyring, and of two issuers one that is valid goes first."""

    def valid_first(certificates: tuple[x509.Certificate, ...]) -> list[x509.Certificate]:
        return sorted(certificates, key=lambda each: not each.not_valid_before_utc <= now <= each.not_valid_after_utc)

    roots = tuple(each for each in device.anchors if is_root(each))
    others = tuple(each for each in device.anchors if each not in roots)
    return build_chain(signed.signatures[0].signer, intermediates=valid_first(others + signed.certificates), anchors=valid_first(roots))


def _judge_content(
    envelope: Envelope, cms: bytes, content: bytes, reasons: tuple[Reason, ...], device: Device, *, payload: bool
) -> Verdict:
    """Judge what is inside; the payload of a bundle whose signature is not accepted is not read."""
    try:
        manifest = parse_manifest(content, envelope.name)
    except ArtefactError as error:
        return Verdict((*reasons, _reason(Why.MANIFEST, error)), envelope, cms=cms)
    form = manifest.sections.get("bundle", {}).get("format", "plain")
    if form not in device.formats:
        reasons += (Reason(Why.FORMAT, f"{envelope.name} has the format {form}", f"build it with the format {device.formats[0]}"),)
    elif form == "crypt" and not envelope.encrypted and not device.accept_unencrypted:
        what = f"the manifest of {envelope.name} holds the key of its payload and is not encrypted"
        reasons += (Reason(Why.UNENCRYPTED, what, "encrypt it for its recipients"),)
    reasons += (*policy_reasons(manifest, device), *manifest_reasons(manifest))
    if payload and {reason.why for reason in reasons} <= _READ_ON:
        reasons += _payload_reasons(envelope, manifest, form)
    return Verdict(reasons, envelope, manifest, content, cms)


_READ_ON = frozenset({Why.COMPATIBLE, Why.DOWNGRADE, Why.COMPONENT, Why.UNENCRYPTED, FaultKind.WEAK_KEY})
"""Refused by policy alone, the payload is read all the same: whoever mends it wants to know the rest."""


def _payload_reasons(envelope: Envelope, manifest: Manifest, form: str) -> tuple[Reason, ...]:
    try:
        tree, root_hash = raucb.verity(envelope.payload, manifest, form)
        data = raucb.plain_data(tree, manifest)
    except ArtefactError as error:
        return (_reason(Why.MANIFEST, error),)
    with ThreadPoolExecutor() as threads:
        images = threads.submit(lambda: tuple(image_reasons(data, manifest)))  # believed only if the hash tree holds
        try:
            result = tree.verify()
        except ArtefactError as error:
            return (_reason(Why.PAYLOAD, error),)
        if not result.holds(root_hash):
            return (Reason(Why.PAYLOAD, _altered(len(result.corrupt_blocks), len(result.corrupt_hash_blocks)), _AGAIN),)
        return images.result()


def _altered(blocks: int, hash_blocks: int) -> str:
    if blocks or hash_blocks:
        return (
            f"the payload is not the one that was signed: {blocks} blocks of it and {hash_blocks} of its hash tree do not have their digest"
        )
    return "the payload is not the one that was signed: its root hash is another"


def _reason(why: Word, error: ArtefactError) -> Reason:
    what, _, remedy = str(error).partition("; ")
    return Reason(why, what, remedy or _AGAIN)
