"""Keyrings for devices: trust anchors, and the revocation lists of all authorities below them when RAUC asks for any (`check-crl`)."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.pki import certificates, inventory
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import CERTIFICATE_MODE, publish
from everest_secure.pki.inventory import Inventory
from everest_secure.pki.revocation import RevocationList


def export(directory: Path, file: Path, *, roots: Sequence[str] = (), with_lists: bool, now: datetime) -> tuple[str, ...]:
    """Write a keyring with some roots of a PKI directory, by default those of its own keyring, and return their names.

    With lists it holds the current one of each authority that a chain to these roots may have, as OpenSSL asks of it (X509_V_FLAG_CRL_CHECK_ALL).
    Raises PkiError when the file exists, a root has ended or is none, or a list is missing or has ended.
    """
    found = inventory.read(directory)
    names = tuple(dict.fromkeys(roots)) or _own_roots(found)
    anchors = [_anchor(found, name, now) for name in names]
    lists = _lists(found, names, now) if with_lists else []
    publish(file, certificates.to_pem(*anchors) + certificates.list_pem(*lists), mode=CERTIFICATE_MODE)
    return names


def _own_roots(found: Inventory) -> tuple[str, ...]:
    keyring = found.store.keyring
    if not keyring.is_file():
        raise PkiError(f"{found.store.directory} has no keyring of its own; name its roots with --root")
    names = {entry.certificate: name for name, entry in found.entries.items()}
    held = certificates.load_all(keyring)
    for each in held:
        if each not in names:
            raise PkiError(
                f"{keyring} holds '{certificates.label(each)}', whose certificate is not in {found.store.directory}; put it there, "
                "or name the roots that devices are to trust with --root"
            )
    return tuple(names[each] for each in held)


def _anchor(found: Inventory, name: str, now: datetime) -> x509.Certificate:
    entry = found.authority(name)
    if not entry.is_self_signed:
        raise PkiError(f"'{name}' has an issuer and is no root; a keyring holds roots only, intermediates travel in the bundle (RAUC-02)")
    if entry.certificate.not_valid_after_utc < now:
        raise PkiError(f"'{name}' has expired; renew it, or leave it out with --root")
    return entry.certificate


def _lists(found: Inventory, roots: Sequence[str], now: datetime) -> list[RevocationList]:
    lists = []
    for name in found.reachable(roots):
        entry, current = found.entry(name), found.lists.get(name)
        if entry.certificate.not_valid_after_utc < now or (entry.issuer is not None and found.is_revoked(entry)):
            continue  # no chain goes through it any more
        if current is None:
            raise PkiError(
                f"'{name}' has no revocation list, without which RAUC refuses all that is below it; make one with 'everest-secure pki crl'"
            )
        if current.next_update_utc is not None and current.next_update_utc < now:
            raise PkiError(
                f"the revocation list of '{name}' ended on {current.next_update_utc:%Y-%m-%d}; make a new one with 'everest-secure pki crl'"
            )
        lists.append(current)
    return lists
