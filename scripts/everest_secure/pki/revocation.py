"""Revocation lists (RFC 5280, 5), made and numbered.

A device gets the list of its update authorities with an image, inside the keyring, and from nowhere else. A list that has ended stops updates; that it
is young protects nobody. So lists last as long as their authority unless one is told otherwise.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from everest_secure.pki import certificates, inventory, log
from everest_secure.pki.access import Access
from everest_secure.pki.certificates import BACKDATE, Issuer
from everest_secure.pki.change import RETIRED, Change, change
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import CERTIFICATE_MODE
from everest_secure.pki.inventory import Entry, Inventory, is_listed
from everest_secure.pki.keys import signature_hash
from everest_secure.pki.store import LIST_SUFFIX, Store

RevocationList = x509.CertificateRevocationList
REASONS = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key-compromise": x509.ReasonFlags.key_compromise,
    "ca-compromise": x509.ReasonFlags.ca_compromise,
    "affiliation-changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
}


def revoke(
    directory: Path, name: str, *, reason: x509.ReasonFlags, access: Access, now: datetime, days: int | None = None
) -> tuple[x509.Certificate, ...]:
    """Put all certificates that an entry has or had and that are valid still on the lists of their issuers, and return them.

    Of a root that took over from another this is the certificate that the older one issued. Raises PkiError and leaves everything as it was when
    there is nothing to revoke, all of it is revoked already, or an issuer's key cannot be reached.
    """
    with change(directory) as edit:
        found = inventory.read(directory)
        entry = found.entry(name)
        todo = list(_to_revoke(found, entry, now))
        if not todo:
            raise PkiError(_nothing_to_revoke(found, entry))
        lines = []
        for authority in dict.fromkeys(issuer for _, issuer in todo):
            own = [certificate for certificate, issuer in todo if issuer == authority]
            made = _write_list(edit, found, found.entry(authority), own, reason=reason, access=access, now=now, days=days)
            lines += [log.certificate_line("revoke", name, certificate, now=now) for certificate in own]
            lines.append(log.list_line(authority, number(made), ends(made), now=now))
        log.append(edit, found.store.log, lines)
    return tuple(certificate for certificate, _ in todo)


def issue_list(directory: Path, authority: str, *, access: Access, now: datetime, days: int | None = None) -> RevocationList:
    """Issue the list of an authority anew with what is revoked already, which may be nothing; raises PkiError as `revoke` does."""
    with change(directory) as edit:
        found = inventory.read(directory)
        made = _write_list(
            edit, found, found.authority(authority), [], reason=x509.ReasonFlags.unspecified, access=access, now=now, days=days
        )
        log.append(edit, found.store.log, [log.list_line(authority, number(made), ends(made), now=now)])
    return made


def number(revoked: RevocationList) -> int:
    """Return the number of a list; 0 when it has none."""
    try:
        return revoked.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def ends(revoked: RevocationList) -> datetime:
    """Return until when a list is valid; raises PkiError for one without an end, which none of ours is."""
    if revoked.next_update_utc is None:
        raise PkiError("the revocation list says no nextUpdate; issue it anew with 'everest-secure pki crl'")
    return revoked.next_update_utc


def _to_revoke(found: Inventory, entry: Entry, now: datetime) -> Iterator[tuple[x509.Certificate, str]]:
    """Yield each certificate of an entry that is not revoked yet, with the name of the authority that issued it."""
    held = (entry.certificate, *found.retired[entry.name], *([entry.cross] if entry.cross else []))
    for certificate in held:
        issuer = found.issuer_of(certificate)
        if issuer is None:
            continue
        if certificate.not_valid_after_utc > now and not is_listed(certificate, found.lists.get(issuer)):
            yield certificate, issuer


def _nothing_to_revoke(found: Inventory, entry: Entry) -> str:
    if entry.is_self_signed and entry.cross is None:
        return (
            f"'{entry.name}' is its own issuer, whom no list can name; ship a keyring without it ('everest-secure pki export-keyring'), and for "
            "secure boot put it into dbx"
        )
    if entry.issuer is None and entry.cross is None:
        return f"the certificate of the issuer of '{entry.name}' is not in {found.store.directory}; put it there"
    return f"'{entry.name}' is revoked already or has expired; there is nothing to do"


def _write_list(
    edit: Change,
    found: Inventory,
    authority: Entry,
    added: Sequence[x509.Certificate],
    *,
    reason: x509.ReasonFlags,
    access: Access,
    now: datetime,
    days: int | None,
) -> RevocationList:
    store, last = found.store, last_number(found, authority.name)
    if authority.certificate.not_valid_after_utc <= now:
        raise PkiError(f"'{authority.name}' has expired, and no list of it counts any more; renew or rotate it")
    entries = [*found.lists.get(authority.name, ()), *(_revoked(certificate, reason, now) for certificate in added)]
    issuer = access.issuer(store, authority)
    made = build(issuer, entries, number=last + 1, now=now, lifetime=None if days is None else certificates.lifetime(days))
    pem = certificates.list_pem(made)
    edit.add(_kept(store, authority.name, last + 1), pem, mode=CERTIFICATE_MODE)
    edit.replace(store.revocation_list(authority.name), pem, mode=CERTIFICATE_MODE)
    return made


def build(
    issuer: Issuer, entries: Sequence[x509.RevokedCertificate], *, number: int, now: datetime, lifetime: timedelta | None
) -> RevocationList:
    """Return a list of an authority; without `lifetime` it lasts as long as the authority, and never longer."""
    last = issuer.certificate.not_valid_after_utc
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - BACKDATE)
        .next_update(last if lifetime is None else min(last, now + lifetime))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, signature_hash(issuer.key))


def _revoked(certificate: x509.Certificate, reason: x509.ReasonFlags, now: datetime) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
    if reason is not x509.ReasonFlags.unspecified:  # which must not be said (RFC 5280, 5.3.1)
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()


def last_number(found: Inventory, name: str) -> int:
    """Return the number of an authority's last list; raises PkiError when the current list is another, and what it said would be forgotten."""
    kept = [
        path.name.removeprefix(f"{name}.").removesuffix(LIST_SUFFIX)
        for path in _kept(found.store, name, 0).parent.glob(f"{name}.*{LIST_SUFFIX}")
    ]
    last = max((int(each) for each in kept if each.isdecimal()), default=0)
    current = number(found.lists[name]) if name in found.lists else 0
    if current != last:
        path, newest = found.store.revocation_list(name), _kept(found.store, name, last)
        raise PkiError(f"{path} is not the last list of '{name}', which has number {last}; restore it from {newest}")
    return last


def _kept(store: Store, name: str, number: int) -> Path:
    """Return where a list stays for ever, also the current one."""
    return store.directory / RETIRED / f"{name}.{number}{LIST_SUFFIX}"
