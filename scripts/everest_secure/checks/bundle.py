"""Bundles: RAUC-03, verified without RAUC."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.checks.core import Bundle, Location, Notes, Root, Scope, check
from everest_secure.checks.rauc import configuration, keyring
from everest_secure.checks.subjects import is_root
from everest_secure.errors import ArtefactError
from everest_secure.image.manifest import Manifest
from everest_secure.image.raucb import RaucBundle
from everest_secure.parse.certificates import key_bits, subject
from everest_secure.parse.chain import build_chain, chain_faults, code_signing_faults, key_faults
from everest_secure.policy.parameters import Parameters

if TYPE_CHECKING:
    from everest_secure.bundle.device import Device
    from everest_secure.parse.cms import SignedData


@check("RAUC-03", on=Scope.BUNDLE)
def signature_chain_and_payload_hold_with_the_keyring_of_the_image(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """CMS over its signed attributes, chain and purpose with the device's keyring, key size, and every block of the payload."""
    facts, place = facts_of(bundle), Location(bundle.artefact.name)
    if facts.format not in policy.bundle_formats:
        note.finding(f"the bundle has the format '{facts.format}'", at=place, remedy=f"Build it with format={policy.bundle_formats[0]}.")
    if facts.tree is None:
        remedy = "give the key of a recipient with --decryption-key" if facts.format == "crypt" else "check a verity bundle"
        raise ArtefactError(f"{bundle.artefact.name} has the format '{facts.format}', whose content only the device can verify; {remedy}")
    from everest_secure.bundle.rules import size_reasons
    from everest_secure.parse.cms import verify_signed_data

    signed = verify_signed_data(facts.cms, bundle.artefact.name)
    for root in devices(bundle):
        device = _device(root, policy)
        for reason in size_reasons(facts.cms, device):
            note.finding(reason.what, at=place, remedy=_sentence(reason.remedy))
        where = "" if bundle.roots else " (the bundle's own, no other image was given)"
        _judge_chains(signed, device, where, place, note)
    result = facts.verify_payload()
    if result.holds(facts.root_hash):
        note.saw(f"every block of the payload has its digest, root hash {facts.root_hash.hex()}")
    else:
        what = (
            f"the payload was altered: {len(result.corrupt_blocks)} blocks do not have their digest, or the root hash is not the signed one"
        )
        note.finding(what, at=place, remedy="Build and sign the bundle again, and find out what altered it.")


def facts_of(bundle: Bundle) -> RaucBundle:
    """Return what the bundle says of itself; raises ArtefactError when it cannot be read."""
    if not isinstance(bundle.artefact.facts, RaucBundle):
        raise ArtefactError(f"{bundle.artefact.name} is no RAUC bundle that can be read; build it again")
    return bundle.artefact.facts


def manifest_of(bundle: Bundle) -> Manifest:
    """Return the manifest; raises ArtefactError when only a device can decrypt it."""
    manifest = facts_of(bundle).manifest
    if manifest is None:
        raise ArtefactError(
            f"{bundle.artefact.name} has a manifest that only a recipient can decrypt; give the key of one with --decryption-key"
        )
    return manifest


def devices(bundle: Bundle) -> list[Root]:
    """Root file systems whose keyring counts: those given beside the bundle, else the ones inside it."""
    if bundle.roots:
        return list(bundle.roots)
    inside = [Root(each, each.tree, bundle.artefact) for each in bundle.artefact.walk() if each.tree is not None and is_root(each.tree)]
    if not inside:
        raise ArtefactError(f"{bundle.artefact.name} holds no root file system with a keyring; give the device's image beside it")
    return inside


def _device(root: Root, policy: Parameters) -> "Device":
    """Return the device that a root makes, which asks of a bundle what its system.conf says."""
    from everest_secure.bundle.device import Device, configured

    anchors, path = keyring(root)
    device = Device(f"{root.artefact.name}: {path}", Path(path), anchors, rsa_bits=policy.signature_key_bits)
    return configured(device, configuration(root))


def _judge_chains(signed: "SignedData", device: "Device", remark: str, place: Location, note: Notes) -> None:
    from everest_secure.bundle.rules import signature_reasons

    where = f"{device.name}{remark}"
    for reason in signature_reasons(signed, device):
        note.finding(reason.what, at=place, remedy=_sentence(reason.remedy))
    for signature in signed.signatures:
        chain = build_chain(signature.signer, intermediates=signed.certificates, anchors=device.anchors)
        faults = (
            *chain_faults(chain, at=datetime.now(UTC)),
            *code_signing_faults(chain),
            *key_faults(chain, rsa_bits=device.rsa_bits),
        )
        for fault in faults:
            note.finding(f"with the keyring {where}: {fault.what}", at=place, remedy=_sentence(fault.remedy))
        kind, bits = key_bits(signature.signer)
        names = " < ".join(subject(certificate) for certificate in chain.certificates)
        note.saw(f"signature {kind} {bits} with {signature.digest.upper()}, chain {names}, keyring {where}")


@check("RAUC-03", on=Scope.BUNDLE)
def manifest_fits_the_device(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """Compatible, format, version and slots are those of the device, RAUC writes each image into a slot of its type, there is a version, and RAUC refuses nothing in it."""
    from everest_secure.bundle.rules import manifest_reasons, policy_reasons
    from everest_secure.bundle.verdict import Why

    facts, place = facts_of(bundle), Location(bundle.artefact.name)
    manifest = manifest_of(bundle)
    update = manifest.sections.get("update", {})
    compatible, version = update.get("compatible", ""), update.get("version", "")
    for root in devices(bundle):
        device = _device(root, policy)
        if facts.format not in configuration(root).bundle_formats:
            what = f"with {root.artefact.name}: the bundle has the format {facts.format}, which the device refuses"
            note.finding(what, at=place, remedy="Build it with a format of the device's bundle-formats.")
        for reason in (each for each in policy_reasons(manifest, device) if version or each.why is not Why.DOWNGRADE):
            note.finding(f"with {root.artefact.name}: {reason.what}", at=place, remedy=_sentence(reason.remedy))
    if not version:
        note.finding("the manifest has no version", at=place, remedy="Set RAUC_BUNDLE_VERSION to a semantic version.")
    for reason in manifest_reasons(manifest):
        note.finding(reason.what, at=place, remedy=_sentence(reason.remedy))
    note.saw(f"manifest: compatible={compatible} version={version} format={facts.format}")


def _sentence(remedy: str) -> str:
    return f"{remedy[0].upper()}{remedy[1:]}."
