"""Certificates: CERT-02, CERT-03, CERT-04."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509

from everest_secure.checks.common import at
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.image.tree import Node
from everest_secure.parse.certificates import (
    is_authority,
    is_root,
    issued_by,
    key_bits,
    parse_certificates,
    subject,
    weak_digest,
)
from everest_secure.parse.private_keys import find_keys
from everest_secure.policy.parameters import Parameters

STORES = ("/etc/everest/certs", "/var/lib/everest/certs")
"""The store, and the directory on the data partition that is mounted there."""
EXTENSIONS = (".pem", ".der", ".crt", ".cer")
LEAST_BITS = {"RSA": 2048, "EC": 256}
WARNING = timedelta(days=30)


def _files(root: Root) -> Iterator[tuple[str, Node]]:
    """Yield the place below the store (`ca/v2g/V2G_ROOT_CA.pem`) and the node of each file in the store."""
    for store in STORES:
        base = root.tree.resolve(store)
        for node in root.tree.under(store) if base else ():
            if node.is_file:
                yield node.path.removeprefix(f"{base.path}/" if base else ""), node


def _certificates(root: Root) -> list[tuple[str, Node, tuple[x509.Certificate, ...]]]:
    found = []
    for place, node in _files(root):
        if place.lower().endswith(EXTENSIONS) and "/ocsp/" not in place and node.size:
            certificates = parse_certificates(root.tree.read(node.path), f"{root.artefact.name}: {node.path}")
            if certificates:
                found.append((place, node, certificates))
    if not found:
        raise NotApplicable("the certificate store of the image holds no certificates; they are installed on the device")
    return found


@check("CERT-02", on=Scope.ROOT)
def keys_are_readable_by_their_owner_alone(root: Root, policy: Parameters, note: Notes) -> None:
    """Files in the store that hold a key have mode 0600 and belong to the service user."""
    keys = [node for _, node in _files(root) if any(True for _ in find_keys(root.tree.blob(node)))]
    if not keys:
        raise NotApplicable("the certificate store of the image holds no keys; they are made on the device")
    for node in keys:
        if node.mode & 0o177 or node.uid != policy.service_user.uid:
            what = f"the key {node.path} has mode {node.mode:04o} and owner {node.uid}"
            note.finding(what, at=at(root, node.path), remedy=f"Make it 0600 and owned by {policy.service_user.name}.")
        note.saw(f"{node.path} {node.mode:04o}")


@check("CERT-03", on=Scope.ROOT)
def roots_and_chains_are_in_files_of_their_own(root: Root, policy: Parameters, note: Notes) -> None:
    """Files of `ca/` hold roots alone; other files hold a leaf, then its authorities in order, and never a root."""
    for place, node, certificates in _certificates(root):
        where = at(root, node.path)
        if place.startswith("ca/"):
            for certificate in certificates:
                if not is_root(certificate) or not is_authority(certificate):
                    what = f"'{subject(certificate)}' is no root authority"
                    note.finding(what, at=where, remedy="Keep sub-authorities in the chain of their leaf, roots alone under ca/.")
        else:
            for fault in _chain_faults(certificates):
                note.finding(fault, at=where, remedy="Write the leaf first, then each issuer in turn, without the root.")
        note.saw(f"{node.path}: {len(certificates)} certificates")


def _chain_faults(certificates: tuple[x509.Certificate, ...]) -> Iterator[str]:
    leaf, *rest = certificates
    if is_authority(leaf):
        yield f"the first certificate, '{subject(leaf)}', is an authority and no leaf"
    for certificate in certificates:
        if is_root(certificate):
            yield f"the chain holds the root '{subject(certificate)}'"
    for below, above in zip(certificates, rest, strict=False):
        if not issued_by(below, above):
            yield f"'{subject(above)}' follows '{subject(below)}' but did not issue it"


@check("CERT-04", on=Scope.ROOT)
def certificates_are_valid_and_strong(root: Root, policy: Parameters, note: Notes) -> None:
    """Nothing expired or about to, no weak hash or key."""
    now = datetime.now(UTC)
    for _, node, certificates in _certificates(root):
        for certificate in certificates:
            where, name = at(root, node.path), subject(certificate)
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                note.finding(f"'{name}' is not valid now", at=where, remedy="Renew the certificate.")
            elif certificate.not_valid_after_utc - now < WARNING:
                note.finding(f"'{name}' expires on {certificate.not_valid_after_utc:%Y-%m-%d}", at=where, remedy="Renew the certificate.")
            digest = weak_digest(certificate)
            if digest:
                note.finding(f"'{name}' is signed with {digest}", at=where, remedy="Issue it with SHA-256 or stronger.")
            kind, bits = key_bits(certificate)
            if bits < LEAST_BITS.get(kind, 0) or kind == "DSA":
                note.finding(f"the key of '{name}' is {kind} {bits}", at=where, remedy="Issue it for an EC P-256 key or stronger.")
        note.saw(f"{node.path}: {len(certificates)} certificates")
