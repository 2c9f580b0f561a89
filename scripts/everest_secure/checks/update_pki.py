"""The PKI of updates: RAUC-09."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509

from everest_secure.checks.bundle import devices, facts_of, manifest_of
from everest_secure.checks.common import at
from everest_secure.checks.core import Bundle, Location, Notes, Root, Scope, check
from everest_secure.checks.rauc import configuration, keyring, keyring_files, present_configuration
from everest_secure.parse.certificates import is_authority, subject
from everest_secure.parse.chain import build_chain
from everest_secure.parse.revocation import RevocationList, is_revoked, list_faults, parse_revocation_lists
from everest_secure.policy.parameters import Parameters

_SIGNERS_TIME = "use-bundle-signing-time"
_SIGNER_AND_ROOT = 2


@check("RAUC-09", on=Scope.ROOT)
def trust_anchors_and_revocation_lists_last(root: Root, policy: Parameters, note: Notes) -> None:
    """The keyring's authorities are valid for the days of the policy, and where RAUC wants revocation lists, theirs are there and in date."""
    if present_configuration(root, note) is None:
        return
    anchors, path = keyring(root)
    place = at(root, path)
    if not anchors:
        note.finding("the keyring holds no authority, so that no bundle can be installed", at=place, remedy="Install the keyring package.")
    for anchor in anchors:
        _lasts(anchor, policy.update_expiry_days.authority, place, note)
        note.saw(f"{path}: '{subject(anchor)}' until {anchor.not_valid_after_utc:%Y-%m-%d}")
    if _checks_lists(root):
        _judge_lists(anchors, _lists(root), place, policy, note)


@check("RAUC-09", on=Scope.ROOT)
def validity_is_held_against_the_clock_of_the_device(root: Root, policy: Parameters, note: Notes) -> None:
    """RAUC does not take the time of verification from the bundle, where whoever has the key of an expired signer writes what he likes.

    With `use-bundle-signing-time` RAUC checks chain and revocation lists as of the signing time of the CMS (docs/reference.rst), so that
    expiry, and with it the rotation of signers, takes nothing away from a key. The signature itself holds: this is none of RAUC-03.
    """
    config = present_configuration(root, note)
    if config is None:
        return
    place = at(root, config.path, config.line("keyring", _SIGNERS_TIME))
    if config.file.boolean("keyring", _SIGNERS_TIME, default=False):
        what = f"an expired signer is accepted: {_SIGNERS_TIME} believes the time that the bundle says of itself"
        remedy = f"Take {_SIGNERS_TIME} out of [keyring]; without a clock, systemd starts with the time of the build at the earliest."
        note.finding(what, at=place, remedy=remedy)
    else:
        note.saw(f"{config.path}: certificates are held against the device's clock")


def _checks_lists(root: Root) -> bool:
    return configuration(root).file.boolean("keyring", "check-crl", default=False)


def _lists(root: Root) -> tuple[RevocationList, ...]:
    """Return the revocation lists of the keyring; RAUC looks for none elsewhere."""
    return tuple(
        each for path in keyring_files(root) for each in parse_revocation_lists(root.tree.read(path), f"{root.artefact.name}: {path}")
    )


def _lasts(certificate: x509.Certificate, days: int, place: Location, note: Notes) -> None:
    end = certificate.not_valid_after_utc
    if end < datetime.now(UTC) + timedelta(days=days):
        what = f"'{subject(certificate)}' ends on {end:%Y-%m-%d}, in less than {days} days"
        note.finding(
            what, at=place, remedy="Renew it with `everest-secure pki`, and bring the new one to devices while the old one is valid."
        )


def _judge_lists(
    authorities: Sequence[x509.Certificate], lists: Sequence[RevocationList], place: Location, policy: Parameters, note: Notes
) -> None:
    for authority in authorities:
        for fault in list_faults(authority, lists, at=datetime.now(UTC), days=policy.update_expiry_days.revocation_list):
            note.finding(fault.what, at=place, remedy=f"{fault.remedy[0].upper()}{fault.remedy[1:]}.")
    note.saw(f"{place}: {len(lists)} revocation lists")


@check("RAUC-09", on=Scope.BUNDLE)
def signers_last_and_none_is_revoked(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """Each certificate of a signature's chain is valid for the days of the policy, and no list of the device's keyring names it."""
    from everest_secure.parse.cms import verify_signed_data

    manifest_of(bundle)  # without a recipient's key the signature is encrypted as well
    place = Location(bundle.artefact.name)
    signed = verify_signed_data(facts_of(bundle).cms, bundle.artefact.name)
    for root in devices(bundle):
        anchors, _ = keyring(root)
        lists = _lists(root)
        for signature in signed.signatures:
            chain = build_chain(signature.signer, intermediates=signed.certificates, anchors=anchors).certificates
            for certificate in chain:
                days = policy.update_expiry_days
                _lasts(certificate, days.authority if is_authority(certificate) else days.signer, place, note)
            for certificate, issuer in pairwise(chain):
                if is_revoked(certificate, issuer, lists):
                    what = f"'{subject(certificate)}' is revoked by the keyring of {root.artefact.name}"
                    note.finding(what, at=place, remedy="Sign the bundle with a signer that is not revoked.")
            if _checks_lists(root):
                _judge_lists(chain[1:], lists, place, policy, note)
            note.saw(f"chain {' < '.join(subject(each) for each in chain)}, {len(lists)} revocation lists of {root.artefact.name}")


@check("RAUC-09", on=Scope.BUNDLE)
def an_intermediate_issued_the_signer(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """No signer hangs from a root of the device's keyring itself, whose key would be at hand for each new one."""
    from everest_secure.parse.cms import verify_signed_data

    manifest_of(bundle)
    signed = verify_signed_data(facts_of(bundle).cms, bundle.artefact.name)
    for root in devices(bundle):
        anchors, _ = keyring(root)
        for signature in signed.signatures:
            chain = build_chain(signature.signer, intermediates=signed.certificates, anchors=anchors)
            signer, issuer = chain.certificates[0], chain.certificates[-1]
            if chain.anchored and len(chain.certificates) <= _SIGNER_AND_ROOT:
                what = (
                    f"'{subject(signer)}' was issued by the root '{subject(issuer)}' itself, whose key is then at hand for each new signer"
                )
                remedy = "Let an intermediate issue signers, and keep the root's key off line."
                note.finding(what, at=Location(bundle.artefact.name), remedy=remedy)
            note.saw(f"'{subject(signer)}' below {len(chain.certificates) - 1} authorities")
