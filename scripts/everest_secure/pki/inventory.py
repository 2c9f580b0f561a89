"""What a PKI directory holds: certificates with their issuers, revocation lists, and what was retired."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from everest_secure.parse.certificates import is_authority, issued_by
from everest_secure.parse.revocation import RevocationList, parse_revocation_lists
from everest_secure.pki import certificates
from everest_secure.pki.change import RETIRED
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import read_bounded
from everest_secure.pki.store import CERTIFICATE_SUFFIX, CROSS_SUFFIX, LIST_SUFFIX, Store


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate of a PKI directory, and who issued it."""

    name: str
    """Name of its files."""
    certificate: x509.Certificate
    issuer: str | None
    """Name of the entry that issued it; None when self-signed or its issuer is not here."""
    cross: x509.Certificate | None = None
    """For a root that took over from another: the certificate of its key that the older root issued."""
    cross_issuer: str | None = None

    @property
    def is_authority(self) -> bool:
        """Whether it issues others."""
        return is_authority(self.certificate)

    @property
    def is_self_signed(self) -> bool:
        """Whether it is its own issuer."""
        return issued_by(self.certificate, self.certificate)


@dataclass(frozen=True, slots=True)
class Inventory:
    """A whole PKI directory."""

    store: Store
    entries: Mapping[str, Entry]
    lists: Mapping[str, RevocationList]
    """Current revocation list of each authority that has one."""
    retired: Mapping[str, tuple[x509.Certificate, ...]]
    """Certificates by the name of the entry that had them before they were renewed."""

    def entry(self, name: str) -> Entry:
        """Return the entry of a name; raises PkiError when there is none."""
        if name not in self.entries:
            raise PkiError(f"{self.store.directory} has no certificate '{name}'; it has {', '.join(sorted(self.entries))}")
        return self.entries[name]

    def authority(self, name: str) -> Entry:
        """Return the authority of a name; raises PkiError when it is none."""
        entry = self.entry(name)
        if not entry.is_authority:
            raise PkiError(f"'{name}' of {self.store.directory} is no authority and issues nothing; name one that is")
        return entry

    def issuer_of(self, certificate: x509.Certificate) -> str | None:
        """Return the name of the authority here that issued a certificate; None when it is not here or the certificate's own key did."""
        return _issuer(certificate, {name: entry.certificate for name, entry in self.entries.items()})

    def is_revoked(self, entry: Entry) -> bool:
        """Whether the list of an issuer names the certificate of an entry, or the one that an older root issued for it."""
        held = (each for each in (entry.certificate, entry.cross) if each is not None)
        return any(is_listed(each, self.lists.get(self.issuer_of(each) or "")) for each in held)

    def reachable(self, anchors: Iterable[str]) -> tuple[str, ...]:
        """Return the authorities that a device with these anchors may meet in a chain, anchors included, cross-signed roots too."""
        found = dict.fromkeys(anchors)
        for _ in self.entries:
            for each in self.entries.values():
                if each.is_authority and (each.issuer in found or each.cross_issuer in found):
                    found[each.name] = None
        return tuple(found)

    def intermediates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the authorities above an entry up to its root, nearest first, without the root.

        Of a root that took over, the certificate by the older one follows, which leads to that one.
        """
        return tuple(self._above(self.entry(name)))

    def _above(self, entry: Entry) -> Iterator[x509.Certificate]:
        seen = {entry.name}
        issuer = entry.issuer
        while issuer is not None and issuer not in seen:
            seen.add(issuer)
            above = self.entries[issuer]
            if above.issuer is not None:
                yield above.certificate
                issuer = above.issuer
            else:
                if above.cross is not None:
                    yield above.cross
                issuer = above.cross_issuer

    def below(self, name: str) -> int:
        """Return how many authorities follow one another below an authority."""
        level, depth = {name}, -1
        while level and depth < len(self.entries):
            level = {each.name for each in self.entries.values() if each.issuer in level and each.is_authority}
            depth += 1
        return depth


def read(directory: Path) -> Inventory:
    """Return what a PKI directory holds.

    Raises PkiError when it is no directory, holds no certificate, or one of its files cannot be read.
    """
    if not directory.is_dir():
        raise PkiError(f"{directory} is no directory; name one that 'everest-secure pki init' made")
    found = {_name(path, CERTIFICATE_SUFFIX): certificates.load_one(path) for path in sorted(directory.glob(f"*{CERTIFICATE_SUFFIX}"))}
    if not found:
        raise PkiError(f"{directory} holds no *{CERTIFICATE_SUFFIX}; name a directory that 'everest-secure pki init' made")
    crosses = {_name(path, CROSS_SUFFIX): certificates.load_one(path) for path in directory.glob(f"*{CROSS_SUFFIX}")}
    lists = {_name(path, LIST_SUFFIX): _list(path) for path in directory.glob(f"*{LIST_SUFFIX}")}
    entries = {name: _entry(name, found, crosses.get(name)) for name in found}
    return Inventory(Store(directory), entries, lists, {name: _retired(directory, name) for name in found})


def is_listed(certificate: x509.Certificate, revoked: RevocationList | None) -> bool:
    """Whether a list of its issuer names a certificate."""
    return revoked is not None and revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def _name(path: Path, suffix: str) -> str:
    return path.name.removesuffix(suffix)


def _entry(name: str, found: Mapping[str, x509.Certificate], cross: x509.Certificate | None) -> Entry:
    return Entry(name, found[name], _issuer(found[name], found), cross, _issuer(cross, found) if cross else None)


def _issuer(certificate: x509.Certificate, found: Mapping[str, x509.Certificate]) -> str | None:
    """Return the name of the issuer, which is another key than its own: a renewed root has issued the one before it as well."""
    issuers = (name for name, other in found.items() if issued_by(certificate, other) and other.public_key() != certificate.public_key())
    return next(issuers, None)


def _list(path: Path) -> RevocationList:
    lists = parse_revocation_lists(read_bounded(path), str(path))
    if len(lists) != 1:
        raise PkiError(f"{path} holds {len(lists)} revocation lists where one is wanted; restore it from {RETIRED} or a backup")
    return lists[0]


def _retired(directory: Path, name: str) -> tuple[x509.Certificate, ...]:
    paths = sorted((directory / RETIRED).glob(f"{name}.*{CERTIFICATE_SUFFIX}"))
    return tuple(certificates.load_one(path) for path in paths)
