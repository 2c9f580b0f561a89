"""What happens to certificates after `init`: issued, renewed, rotated. Each is one change of the directory (pki/change.py)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from everest_secure.pki import certificates, inventory, log, requests
from everest_secure.pki.access import Access, NewKey
from everest_secure.pki.certificates import Content, Issuer
from everest_secure.pki.change import Change, change
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import CERTIFICATE_MODE
from everest_secure.pki.inventory import Entry, Inventory
from everest_secure.pki.keys import KeyType, describe
from everest_secure.pki.marking import DEVELOPMENT, is_development
from everest_secure.pki.profile import CertificateSpec, Usage
from everest_secure.pki.store import CERTIFICATE_SUFFIX, Store
from everest_secure.pki.uri import TokenUri

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""As in conf/pki/profile.schema.json."""


@dataclass(frozen=True, slots=True)
class KeyWish:
    """How a new key is to be made."""

    on_token: TokenUri | None = None
    encrypted: bool | None = None
    """Whether a file is encrypted; None for what the PKI does: development keys are not, all others are."""


def issue(
    directory: Path, spec: CertificateSpec, *, access: Access, now: datetime, wish: KeyWish | None = None, request: Path | None = None
) -> x509.Certificate:
    """Issue one more certificate under an authority of the directory, for a new key or for that of a request.

    Organization and development mark are those of the authority. Raises PkiError and leaves everything as it was when the name is taken, the
    authority's key cannot be reached, or the request is not in order.
    """
    if not NAME.fullmatch(spec.name):
        raise PkiError(f"'{spec.name}' is no name such as secure-boot-db; use small letters, digits and hyphens")
    with change(directory) as edit:
        found = inventory.read(directory)
        if spec.name in found.entries:
            raise PkiError(f"{directory} has a certificate '{spec.name}' already; choose another name, or renew or rotate that one")
        above = found.authority(spec.issuer or "")
        _require_room(above, spec)
        issuer = _ready(found, above, access=access, now=now)
        public, made = _key_of(found, spec, access=access, wish=wish or KeyWish(), request=request)
        content = Content(_subject_below(above.certificate, spec), public, tuple(certificates.extensions(spec)))
        signed = certificates.sign(content, by=issuer, lifetime=certificates.lifetime(spec.validity_days), now=now)
        if made:
            made.add(edit, found.store, spec.name)
        _add(edit, found, Entry(spec.name, signed, above.name))
        log.append(edit, found.store.log, [log.certificate_line("issue", spec.name, signed, now=now)])
    return signed


def renew(
    directory: Path, name: str, *, access: Access, now: datetime, days: int | None = None, new_key: KeyWish | None = None
) -> x509.Certificate:
    """Issue a certificate again with the same subject and a new validity, for the same key or a new one; the old files go to `retired`.

    What stands below an authority goes on being valid with the same key; with a new one it would not, so that an authority is rotated instead.
    Raises PkiError and leaves everything as it was when it cannot be done.
    """
    with change(directory) as edit:
        found = inventory.read(directory)
        entry = found.entry(name)
        if new_key is not None and entry.is_authority:
            raise PkiError(
                f"'{name}' is an authority, below which nothing would be valid with another key; use 'everest-secure pki rotate'"
            )
        if entry.cross is not None:
            raise PkiError(f"'{name}' took over from another root, whose certificate for it would not follow; rotate it instead")
        if found.is_revoked(entry):
            raise PkiError(f"'{name}' is revoked, and would be again; make a successor with 'everest-secure pki rotate'")
        issuer = _issuer(found, entry, access=access, now=now)
        made = (
            None
            if new_key is None
            else _make(found, name, _key_type(entry), access=access, wish=new_key, label=f"{name} {now:%Y-%m-%dT%H:%M:%S.%fZ}")
        )
        content = certificates.content_of(entry.certificate, public_key=made.key.public_key() if made else None)
        by = issuer or (made.key if made else access.load(found.store, entry))
        signed = certificates.sign(content, by=by, lifetime=_lifetime(entry.certificate, days), now=now)
        _retire(edit, found.store, entry, with_key=made is not None)
        if made:
            edit.replace(made.path(found.store, name), made.content, mode=made.mode)
        edit.replace(found.store.certificate(name), certificates.to_pem(signed), mode=CERTIFICATE_MODE)
        renewed = replace(found, entries={**found.entries, name: replace(entry, certificate=signed)})
        _rewrite_chains(edit, renewed)
        _rewrite_keyring(edit, found.store, {entry.certificate: signed}, now=now)
        log.append(edit, found.store.log, [log.certificate_line("renew", name, signed, now=now)])
    return signed


def rotate(
    directory: Path,
    name: str,
    *,
    access: Access,
    now: datetime,
    wish: KeyWish | None = None,
    issuer: str | None = None,
    days: int | None = None,
) -> str:
    """Make a successor of a certificate with a key of its own beside it, and return the successor's name: `signer-2` after `signer`.

    A root's successor is a root, cross-signed by the old one so that devices which know that one alone accept what stands below it; the
    keyring then holds both. Raises PkiError and leaves everything as it was when it cannot be done.
    """
    with change(directory) as edit:
        found = inventory.read(directory)
        entry = found.entry(name)
        if issuer is not None and entry.issuer is None:
            raise PkiError(f"'{name}' is its own issuer; rotate it without --issuer")
        above = found.authority(issuer) if issuer is not None else None
        by = _ready(found, above, access=access, now=now) if above else _issuer(found, entry, access=access, now=now)
        old = _ready(found, entry, access=access, now=now) if by is None and entry.is_authority else None
        successor = _successor(found, name)
        made = _make(found, successor, _key_type(entry), access=access, wish=wish or KeyWish())
        content = replace(certificates.content_of(entry.certificate, public_key=made.key.public_key()), subject=_next_subject(found, entry))
        lifetime = _lifetime(entry.certificate, days)
        signed = certificates.sign(content, by=by or made.key, lifetime=lifetime, now=now)
        new = Entry(successor, signed, above.name if above else entry.issuer)
        made.add(edit, found.store, successor)
        lines = [log.certificate_line("rotate", successor, signed, now=now)]
        if old is not None:
            cross = _cross(content, old, lifetime=lifetime, now=now)
            edit.add(found.store.cross(successor), certificates.to_pem(cross), mode=CERTIFICATE_MODE)
            lines.append(log.certificate_line("cross-sign", successor, cross, now=now))
            _rewrite_keyring(edit, found.store, {entry.certificate: entry.certificate}, added=signed, now=now)
        _add(edit, found, new)
        log.append(edit, found.store.log, lines)
    return successor


def _require_room(above: Entry, spec: CertificateSpec) -> None:
    """Raise PkiError when an authority may not have another below it, or not with that path length."""
    allowed = above.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if spec.usage is Usage.AUTHORITY and allowed is not None and (spec.path_length or 0) >= allowed:
        raise PkiError(
            f"'{above.name}' allows {allowed} authorities below it, so that '{spec.name}' cannot have a path length of {spec.path_length}; lower it or name another issuer"
        )


def _key_of(
    found: Inventory, spec: CertificateSpec, *, access: Access, wish: KeyWish, request: Path | None
) -> tuple[CertificatePublicKeyTypes, NewKey | None]:
    """Return the public key to certify, and the key where it is one that was made for this."""
    if request is None:
        made = _make(found, spec.name, spec.key, access=access, wish=wish)
        return made.key.public_key(), made
    if wish != KeyWish():
        raise PkiError("the key of a request is made already; leave --on-token and --plain-key out")
    public = requests.approved_key(request, spec=spec)
    _require_new(found, public, str(request))
    return public, None


def _make(found: Inventory, name: str, key_type: KeyType, *, access: Access, wish: KeyWish, label: str | None = None) -> NewKey:
    """Make a key, encrypted unless the PKI is for development; `label` is what a token calls it if not by its name."""
    development = all(is_development(each.certificate) for each in found.entries.values())
    encrypted = not development if wish.encrypted is None else wish.encrypted
    made = access.make(name, key_type, on_token=wish.on_token, encrypted=encrypted, label=label)
    _require_new(found, made.key.public_key(), str(wish.on_token))
    return made


def _require_new(found: Inventory, public: CertificatePublicKeyTypes, where: str) -> None:
    """Raise PkiError when a key has a certificate already, so that its loss would be that of another too."""
    held = ((name, each) for name, entry in found.entries.items() for each in (entry.certificate, *found.retired[name]))
    owner = next((name for name, certificate in held if certificate.public_key() == public), None)
    if owner is not None:
        raise PkiError(f"{where} has the key of '{owner}', which has a certificate already; renew that one, or use a new key")


def _key_type(entry: Entry) -> KeyType:
    described = describe(entry.certificate.public_key())
    if described not in list(KeyType):
        raise PkiError(f"the key of '{entry.name}' is {described}; issue a new certificate with a key of {', '.join(KeyType)}")
    return KeyType(described)


def _issuer(found: Inventory, entry: Entry, *, access: Access, now: datetime) -> Issuer | None:
    """Return the issuer of an entry, ready to sign; None when it signs itself."""
    if entry.issuer is not None:
        return _ready(found, found.entry(entry.issuer), access=access, now=now)
    if not entry.is_self_signed:
        raise PkiError(f"the certificate of the issuer of '{entry.name}' is not in {found.store.directory}; put it there")
    return None


def _ready(found: Inventory, authority: Entry, *, access: Access, now: datetime) -> Issuer:
    """Return an authority ready to sign; raises PkiError when what it signs would count for nothing, or its key cannot be reached."""
    if authority.certificate.not_valid_after_utc <= now:
        raise PkiError(f"the authority '{authority.name}' has expired; renew it, or name another with --issuer")
    if found.is_revoked(authority):
        raise PkiError(f"the authority '{authority.name}' is revoked; name another with --issuer")
    return access.issuer(found.store, authority)


def _lifetime(certificate: x509.Certificate, days: int | None) -> timedelta:
    return certificates.lifetime_of(certificate) if days is None else certificates.lifetime(days)


def _subject_below(authority: x509.Certificate, spec: CertificateSpec) -> x509.Name:
    organizations = authority.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    units = [DEVELOPMENT] if is_development(authority) else []
    organization = str(organizations[0].value) if organizations else certificates.label(authority)
    return certificates.name(spec.common_name, organization=organization, units=units, domain_component=spec.domain_component)


def _successor(found: Inventory, name: str) -> str:
    stem = re.sub(r"-\d+$", "", name)
    taken = [int(match[1]) for other in found.entries if (match := re.fullmatch(rf"{re.escape(stem)}-(\d{{1,9}})", other))]
    return f"{stem}-{max(taken, default=1) + 1}"


def _next_subject(found: Inventory, entry: Entry) -> x509.Name:
    """Return the successor's subject: the number of its name behind the common name, unless that is the name of a TLS peer.

    A root that has no room for another authority above what stands below it keeps its subject: a certificate whose issuer has the same name
    counts for no path length (RFC 5280, 6.1.4).
    """
    subject = entry.certificate.subject
    if set(certificates.purposes(entry.certificate)) & set(certificates.TLS) or _is_full(found, entry):
        return subject
    number = _successor(found, entry.name).rpartition("-")[2]
    return x509.Name(_numbered(subject, number))


def _numbered(subject: x509.Name, number: str) -> Iterator[x509.NameAttribute[str | bytes]]:
    for attribute in subject:
        if attribute.oid == NameOID.COMMON_NAME:
            stem = re.sub(r" \d+$", "", str(attribute.value))
            yield x509.NameAttribute(NameOID.COMMON_NAME, f"{stem[: 63 - len(number)]} {number}")
        else:
            yield attribute


def _is_full(found: Inventory, entry: Entry) -> bool:
    if entry.issuer is not None or not entry.is_authority:
        return False
    allowed = entry.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    return allowed is not None and allowed < found.below(entry.name) + 1


def _cross(content: Content, old: Issuer, *, lifetime: timedelta, now: datetime) -> x509.Certificate:
    allowed = old.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    itself = content.subject == old.certificate.subject
    return certificates.sign(
        certificates.with_path_length(content, allowed if allowed is None or itself else allowed - 1), by=old, lifetime=lifetime, now=now
    )


def _add(edit: Change, found: Inventory, entry: Entry) -> None:
    """Write certificate and chain of a new entry."""
    edit.add(found.store.certificate(entry.name), certificates.to_pem(entry.certificate), mode=CERTIFICATE_MODE)
    chain = replace(found, entries={**found.entries, entry.name: entry}).intermediates(entry.name)
    if chain:
        edit.add(found.store.chain(entry.name), certificates.to_pem(*chain), mode=CERTIFICATE_MODE)


def _retire(edit: Change, store: Store, entry: Entry, *, with_key: bool) -> None:
    """Keep the files of a certificate under its serial number, those of its key only when it gets another one."""
    retired = f"{entry.name}.{entry.certificate.serial_number:x}"
    edit.retire(store.certificate(entry.name), f"{retired}{CERTIFICATE_SUFFIX}")
    for path in (store.key(entry.name), store.key_uri(entry.name)):
        if with_key and path.is_file():
            edit.retire(path, f"{retired}{path.name.removeprefix(entry.name)}")
            edit.remove(path)


def _rewrite_chains(edit: Change, found: Inventory) -> None:
    """Write the chains anew that hold what was renewed."""
    for name in found.entries:
        path, chain = found.store.chain(name), certificates.to_pem(*found.intermediates(name))
        if path.is_file() and path.read_bytes() != chain:
            edit.replace(path, chain, mode=CERTIFICATE_MODE)


def _rewrite_keyring(
    edit: Change,
    store: Store,
    successors: dict[x509.Certificate, x509.Certificate],
    *,
    now: datetime,
    added: x509.Certificate | None = None,
) -> None:
    """Write the keyring anew when it holds one of `successors`: that one's place goes to its value, `added` stands behind."""
    if not store.keyring.is_file():
        return
    held = certificates.load_all(store.keyring)
    if not set(held) & successors.keys():
        return
    anchors = [successors.get(each, each) for each in held]
    content = certificates.to_pem(*anchors, *([added] if added else []))
    if content != store.keyring.read_bytes():
        edit.retire(store.keyring, f"keyring.{now:%Y%m%dT%H%M%S.%fZ}.pem")
        edit.replace(store.keyring, content, mode=CERTIFICATE_MODE)
