"""What a store cannot show of itself and those who stage it must: that files hold what they are given for, and that a chain and its key belong together."""

from collections.abc import Iterator

from cryptography import x509

from everest_secure.certs.keys import keys_in, public_key_of, same_key
from everest_secure.certs.offer import Given, Offer, OfferedLeaf, certificates_of, request_of
from everest_secure.checks.core import Check, Location, Notes, Root, Scope
from everest_secure.checks.reason import Reason
from everest_secure.parse.certificates import public_key, subject
from everest_secure.policy.parameters import Parameters

REQUIREMENT = "CERT-08"
"""The one that asks for checks before a certificate is installed."""
_Found = tuple[Given, Reason, str, str]
"""A file, why it is refused, what was found, and what to do."""


def matching(offer: Offer) -> Check:
    """Return the check of what is offered, which is not part of the store."""

    def what_is_staged_belongs_together(_root: Root, _policy: Parameters, note: Notes) -> None:
        for file, reason, what, remedy in _faults(offer):
            note.finding(reason.said(what), at=Location(file.name), remedy=remedy)
        for file in offer.files:
            note.saw(file.name)

    return Check(REQUIREMENT, Scope.ROOT, what_is_staged_belongs_together)


def _faults(offer: Offer) -> Iterator[_Found]:
    for file in (file for files in offer.roots.values() for file in files):
        if certificates_of(file).certificates == ():
            yield file, Reason.NO_CERTIFICATE, "the file holds no certificate", "Name the PEM or DER file of a root authority."
    for leaf in offer.leaves:
        chain = certificates_of(leaf.chain).certificates
        if chain == ():
            yield leaf.chain, Reason.NO_CERTIFICATE, "the file holds no certificate", "Name the PEM file of a chain, leaf first."
        elif chain is not None:
            if not any(offer.roots.values()):
                what = f"no root is given for '{subject(chain[0])}', and EVerest takes no chain without one"
                yield leaf.chain, Reason.UNTRUSTED, what, "Name its root with --ca: csms for the chain of --csms, v2g for that of --secc."
            yield from _key_faults(leaf, chain[0])


def _key_faults(leaf: OfferedLeaf, certificate: x509.Certificate) -> Iterator[_Found]:
    name, wanted = subject(certificate), public_key(certificate)
    if leaf.key is None and leaf.request is None:
        what = f"nothing shows that the charger has the key of '{name}'"
        yield leaf.chain, Reason.NO_KEY, what, "Give its key, or the charger's request for the certificate."
    if leaf.request is not None and (wanted is None or not same_key(request_of(leaf.request).public_key(), wanted)):
        what = f"the request was made with another key than that of '{name}'"
        yield leaf.request, Reason.KEY_MISMATCH, what, "Give the request that the certificate was issued for."
    if leaf.key is None:
        return
    found = keys_in(leaf.key.content, leaf.key.name)
    if len(found) != 1:
        what = f"the file holds {len(found) or 'no'} private keys and is to hold one"
        yield leaf.key, Reason.KEY_MISMATCH if found else Reason.NO_KEY, what, "Name the file of the leaf's key."
        return
    public = public_key_of(leaf.key.content, found[0], leaf.key.name)
    if public is None:
        what = f"the {found[0].kind} is encrypted, or cannot be read, and nobody can say whether it is that of '{name}'"
        yield leaf.key, Reason.SOFTWARE_KEY, what, "Let everest-tpm make the key on the charger, and give its request."
    elif wanted is None or not same_key(public, wanted):
        yield leaf.key, Reason.KEY_MISMATCH, f"the key is not that of '{name}'", "Give the key that the certificate was issued for."
