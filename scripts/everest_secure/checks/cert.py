"""Certificates in the store: CERT-02, CERT-03, CERT-04. The store on a data partition beside the root counts as the root's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.reason import Reason
from everest_secure.checks.store import StoredFile, layout, stored_files
from everest_secure.errors import ArtefactError
from everest_secure.parse.certificates import (
    MAX_CERTIFICATES,
    Certificates,
    extension,
    is_authority,
    issued_by,
    key_bits,
    parse_certificates,
    subject,
    weak_digest,
)
from everest_secure.parse.evse_security import STORE, CertificateStore
from everest_secure.pki.marking import is_development
from everest_secure.policy.parameters import Parameters

EXTENSIONS = (".pem", ".der", ".crt", ".cer")
_READ = (".pem", ".der")
"""Those that EVerest looks into, in this case alone, for PEM in both (x509_bundle.hpp, is_certificate_file())."""
DER = b"\x30"
"""First byte of a certificate in DER."""
_ORDER = "Write the leaf first, then each issuer in turn, without the root."
_WRONGLY_ISSUED = "Ask the owner of the authority for one that may issue it."
_REMEDIES = {
    Reason.NOT_A_CA: _WRONGLY_ISSUED,
    Reason.PATH_LENGTH: _WRONGLY_ISSUED,
    Reason.UNTRUSTED: "Put its root into the bundle for its kind, or the sub-authorities that are missing at the end of the chain.",
}
"""What to do about a chain, where it is not to put its certificates in order."""
_EDWARDS = ("Ed25519", "Ed448")
_TRUSTED_BY = {"csms_leaf_cert_directory": "csms_ca_bundle", "secc_leaf_cert_directory": "v2g_ca_bundle"}
"""The bundle alone that a chain has to end at, by the directory that it lies in (verify_certificate_internal in evse_security.cpp)."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A file of the store with the certificates in it."""

    file: StoredFile
    certificates: Certificates
    store: CertificateStore
    der: bool
    """Whether it is one certificate in DER."""

    @property
    def authorities(self) -> bool:
        """Whether it is a bundle of roots: below `ca`, or what EvseSecurity is configured for."""
        return self.file.path.startswith(f"{STORE}/ca/") or any(map(self.is_of, self.store.bundles.values()))

    @property
    def towards_csms(self) -> bool:
        """Whether it is a chain that the charger shows its CSMS."""
        return self.is_of(self.store.leaves["csms_leaf_cert_directory"]) and not self.authorities

    def is_of(self, path: str) -> bool:
        """Whether it is this file, or lies in this directory."""
        return f"{self.file.path}/".startswith(f"{path}/")


def _held(root: Root) -> list[_Held]:
    store, found = layout(root), []
    for file in stored_files(root):
        if file.path.lower().endswith(EXTENSIONS) and "/ocsp/" not in file.path and file.node.size:
            content = file.tree.read(file.node.path)
            certificates = parse_certificates(content, f"{file.artefact}: {file.node.path}")
            if certificates:
                found.append(_Held(file, certificates, store, der=content.startswith(DER)))
            if sum(len(each.certificates) for each in found) > MAX_CERTIFICATES:
                raise ArtefactError(f"the store holds more than {MAX_CERTIFICATES} certificates; it is no store of a charger")
    if not found:
        raise NotApplicable("the certificate store of the image holds no certificates; they are installed on the device")
    return found


@check("CERT-02", on=Scope.ROOT)
def keys_are_readable_by_their_owner_alone(root: Root, policy: Parameters, note: Notes) -> None:
    """Files in the store that hold a key have mode 0600 and belong to the service user."""
    keys = [file for file in stored_files(root) if file.keys]
    if not keys:
        raise NotApplicable("the certificate store of the image holds no keys; they are made on the device")
    for file in keys:
        node = file.node
        if node.mode & 0o177 or node.uid != policy.service_user.uid:
            reason = Reason.MODE if node.mode & 0o177 else Reason.OWNER
            what = reason.said(f"the key {node.path} has mode {node.mode:04o} and owner {node.uid}")
            note.finding(what, at=file.at, remedy=f"Make it 0600 and owned by {policy.service_user.name}.")
        note.saw(f"{file.at} {node.mode:04o}")


@check("CERT-03", on=Scope.ROOT)
def roots_and_chains_are_in_files_of_their_own(root: Root, policy: Parameters, note: Notes) -> None:
    """Bundles hold roots alone; other files hold a leaf, then its authorities in order, never a root, up to a root for their kind.

    In a store without any root, which gets them on the device, a chain may end anywhere.
    """
    held = _held(root)
    for each in held:
        if each.der:
            what = Reason.UNREADABLE.said("the certificate is in DER, which EVerest does not read (x509_bundle.cpp)")
            note.finding(what, at=each.file.at, remedy="Put it there in PEM.")
        elif not each.file.path.endswith(_READ):
            what = Reason.UNREADABLE.said("EVerest does not read the file, whose name does not end in .pem (x509_bundle.hpp)")
            note.finding(what, at=each.file.at, remedy="Let its name end in .pem, or take the file out.")
        if each.authorities:
            for certificate in each.certificates:
                if wrong := _root_fault(certificate):
                    what = wrong.said(f"'{subject(certificate)}' is no root authority")
                    note.finding(what, at=each.file.at, remedy="Keep sub-authorities in the chain of their leaf, roots alone under ca/.")
        else:
            for reason, what in _chain_faults(each.certificates, _anchors(each, held)):
                note.finding(reason.said(what), at=each.file.at, remedy=_REMEDIES.get(reason, _ORDER))
        note.saw(f"{each.file.at}: {len(each.certificates)} certificates")


def _root_fault(certificate: x509.Certificate) -> Reason | None:
    if not _issued(certificate, certificate):
        return Reason.NOT_A_ROOT
    return None if is_authority(certificate) else Reason.NOT_A_CA


def _is_half(one: _Held, held: Sequence[_Held]) -> bool:
    """Whether a leaf is there alone and with its chain in another file beside it, as EVerest installs both (evse_security.cpp)."""
    directory = one.file.path.rpartition("/")[0]
    others = (each for each in held if each.file.path.rpartition("/")[0] == directory and len(each.certificates) > 1)
    return len(one.certificates) == 1 and any(one.certificates[0] == each.certificates[0] for each in others)


def _anchors(one: _Held, held: Sequence[_Held]) -> Certificates | None:
    """Return the roots that a chain may end at, all of the store where it lies in no directory of either kind; None when it may end anywhere."""
    authorities = [each for each in held if each.authorities]
    if not authorities or _is_half(one, held):
        return None
    bundles = [one.store.bundles[bundle] for directory, bundle in _TRUSTED_BY.items() if one.is_of(one.store.leaves[directory])]
    trusted = [each for each in authorities if not bundles or any(map(each.is_of, bundles))]
    return tuple(certificate for each in trusted for certificate in each.certificates)


def _chain_faults(certificates: Certificates, roots: Certificates | None) -> Iterator[tuple[Reason, str]]:
    leaf, *rest = certificates
    if is_authority(leaf):
        yield Reason.LEAF_IS_A_CA, f"the first certificate, '{subject(leaf)}', is an authority and no leaf"
    for certificate in certificates:
        if _issued(certificate, certificate):
            yield Reason.ROOT_IN_CHAIN, f"the chain holds the root '{subject(certificate)}'"
    for below, above in zip(certificates, rest, strict=False):
        if not _issued(below, above):
            yield Reason.WRONG_ORDER, f"'{subject(above)}' follows '{subject(below)}' but did not issue it"
        elif not is_authority(above):
            yield Reason.NOT_A_CA, f"'{subject(above)}' issued '{subject(below)}' and is no authority"
    for depth, authority in enumerate(rest):
        constraints = extension(authority, x509.BasicConstraints)
        if constraints is not None and constraints.path_length is not None and depth > constraints.path_length:
            yield (
                Reason.PATH_LENGTH,
                f"'{subject(authority)}' allows {constraints.path_length} authorities below it and the chain has {depth}",
            )
    end = certificates[-1]
    if roots is not None and not any(_issued(end, issuer) for issuer in (end, *roots)):
        yield Reason.UNTRUSTED, f"the chain ends at '{subject(end)}', which no root for its kind issued"


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` made the certificate; of a weak signature, which CERT-04 refuses and the library may not verify at all, by the names alone."""
    return issued_by(certificate, issuer) or (bool(weak_digest(certificate)) and certificate.issuer == issuer.subject)


@check("CERT-04", on=Scope.ROOT)
def certificates_are_valid_and_strong(root: Root, policy: Parameters, note: Notes) -> None:
    """Nothing expired or about to, no weak hash or key."""
    now, warning = datetime.now(UTC), timedelta(days=policy.expiry_warning_days)
    for each in _held(root):
        for certificate in each.certificates:
            for what, remedy in (*_age_faults(certificate, now, warning), *_strength_faults(certificate, policy)):
                note.finding(what, at=each.file.at, remedy=remedy)
        note.saw(f"{each.file.at}: {len(each.certificates)} certificates")


def _age_faults(certificate: x509.Certificate, now: datetime, warning: timedelta) -> Iterator[tuple[str, str]]:
    name, end = subject(certificate), certificate.not_valid_after_utc
    if now < certificate.not_valid_before_utc:
        what = f"'{name}' is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on"
        yield Reason.NOT_YET_VALID.said(what), "Wait until then, or mend the clock; otherwise let it be issued again."
    elif now > end:
        yield Reason.EXPIRED.said(f"'{name}' expired on {end:%Y-%m-%d}"), "Renew the certificate."
    elif end - now < warning:
        yield Reason.EXPIRES_SOON.said(f"'{name}' expires on {end:%Y-%m-%d}"), "Renew the certificate."


def _strength_faults(certificate: x509.Certificate, policy: Parameters) -> Iterator[tuple[str, str]]:
    name, digest = subject(certificate), weak_digest(certificate)
    if digest:
        yield Reason.WEAK_DIGEST.said(f"'{name}' is signed with {digest}"), "Issue it with SHA-256 or stronger."
    kind, bits = key_bits(certificate)
    if kind not in _EDWARDS and (kind not in policy.certificate_key_bits or bits < policy.certificate_key_bits[kind]):
        yield (
            Reason.WEAK_KEY.said(f"the key of '{name}' is {f'{kind} {bits}' if bits else kind}"),
            "Issue it for an EC P-256 key or stronger.",
        )


@check("CERT-04", on=Scope.ROOT)
def no_certificate_is_for_tests(root: Root, policy: Parameters, note: Notes) -> None:
    """Nothing that a PKI for development or tests issued, whose keys anybody may have."""
    for each in _held(root):
        for certificate in each.certificates if not policy.development_authorities else ():
            if is_development(certificate):
                what = Reason.DEVELOPMENT.said(f"'{subject(certificate)}' is of a PKI for development and tests")
                note.finding(what, at=each.file.at, remedy="Install certificates of the operator's authorities.")
        note.saw(f"{each.file.at}: {len(each.certificates)} certificates")


@check("CERT-04", on=Scope.ROOT)
def the_certificate_towards_the_csms_says_who_the_charger_is(root: Root, policy: Parameters, note: Notes) -> None:
    """The leaf names charger and operator, may sign, and is for clients (OCPP security whitepaper, "Certificate properties")."""
    leaves = [(each.file, each.certificates[0]) for each in _held(root) if each.towards_csms]
    if not leaves:
        raise NotApplicable("the certificate store of the image holds no certificate towards the CSMS; it is made on the device")
    for file, leaf in leaves:
        for reason, what in _identity_faults(leaf):
            note.finding(reason.said(f"'{subject(leaf)}' {what}"), at=file.at, remedy="Let the CSMS's authority issue it again.")
        note.saw(f"{file.at}: {subject(leaf)}")


def _identity_faults(leaf: x509.Certificate) -> Iterator[tuple[Reason, str]]:
    for oid, what in (
        (NameOID.COMMON_NAME, "has no common name, which is the charger's"),
        (NameOID.ORGANIZATION_NAME, "names no operator"),
    ):
        if not leaf.subject.get_attributes_for_oid(oid):
            yield Reason.WRONG_NAME, what
    usage, purposes = extension(leaf, x509.KeyUsage), extension(leaf, x509.ExtendedKeyUsage)
    if usage is not None and not usage.digital_signature:
        yield Reason.WRONG_USAGE, "may not sign, as TLS asks of it: its key usage lacks digitalSignature"
    if purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        yield Reason.WRONG_USAGE, "is for no TLS client: its extended key usage lacks clientAuth"
