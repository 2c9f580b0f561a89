"""Names that authorities allow below them (RFC 5280, 4.2.1.10), as OpenSSL judges them: crypto/x509/v3_ncons.c, and check_name_constraints of x509_vfy.c.

Followed are names of directories, hosts and addresses. A name of another kind below an authority that constrains this kind is refused, though OpenSSL
follows mail addresses and URIs too. `cryptography` follows constraints of hosts alone, and only in the profile of web servers (x509.verification).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from everest_secure.parse.certificates import extension, subject

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
"""A common name that is a host's, with two labels at least (v3_ncons.c, cn2dnsid)."""
MAX_COMPARISONS = 1 << 16
"""Names of a certificate times subtrees of an authority; OpenSSL follows sixteen times as many."""
_Value = x509.Name | IPv4Address | IPv6Address | IPv4Network | IPv6Network | str
_Name = tuple[type[x509.GeneralName], _Value]
"""A name or subtree, by its kind."""


def name_faults(certificates: Sequence[x509.Certificate]) -> Iterator[str]:
    """Yield for each name below an authority why its constraints do not allow it; the leaf comes first.

    An authority that issued itself, as a new key that the old one signed, is exempt. `cryptography` drops the distances of a subtree, `minimum` and
    `maximum`; what it writes anew is then not what the certificate has.
    """
    for depth, authority in enumerate(certificates):
        constraints = extension(authority, x509.NameConstraints)
        if constraints is None:
            continue
        if constraints.public_bytes() not in authority.public_bytes(Encoding.DER):
            yield f"the constraints of '{subject(authority)}' say how far below a name may lie, which RFC 5280 forbids"
        for place, below in enumerate(certificates[:depth]):
            if place == 0 or below.subject != below.issuer:
                yield from _faults(authority, constraints, below, tuple(_names(below, leaf=place == 0)))


def _faults(
    authority: x509.Certificate, constraints: x509.NameConstraints, below: x509.Certificate, names: tuple[_Name, ...]
) -> Iterator[str]:
    permitted = [_plain(each) for each in constraints.permitted_subtrees or ()]
    excluded = [_plain(each) for each in constraints.excluded_subtrees or ()]
    if len(names) * (len(permitted) + len(excluded)) > MAX_COMPARISONS:
        yield f"'{subject(below)}' has more names than are held against the constraints of '{subject(authority)}'"
        return
    for kind, value in names:
        inside, outside = ([subtree for each, subtree in trees if each is kind] for trees in (permitted, excluded))
        lies_in = partial(_LIES_IN.get(kind, _nobody_knows), value)
        if (inside or outside) and (kind not in _LIES_IN or (inside and not any(map(lies_in, inside))) or any(map(lies_in, outside))):
            shown = value.rfc4514_string() if isinstance(value, x509.Name) else value
            yield f"'{subject(authority)}' does not allow the name '{shown}' of '{subject(below)}'"


def _names(certificate: x509.Certificate, *, leaf: bool) -> Iterator[_Name]:
    """Yield the names that constraints are about: the subject, mail addresses in it, and the alternatives; of a leaf without hosts also those in the subject."""
    alternatives = [_plain(each) for each in extension(certificate, x509.SubjectAlternativeName) or ()]
    if certificate.subject.rdns:
        yield x509.DirectoryName, certificate.subject
    for attribute in certificate.subject:
        if attribute.oid == NameOID.EMAIL_ADDRESS:
            yield x509.RFC822Name, str(attribute.value)
    yield from alternatives
    if leaf and not any(kind is x509.DNSName for kind, _ in alternatives):
        common = (str(each.value).rstrip("\0") for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
        yield from ((x509.DNSName, each) for each in common if _HOST.fullmatch(each) or "\0" in each)


def _plain(name: x509.GeneralName) -> _Name:
    value = name.value
    kept = isinstance(value, x509.Name | IPv4Address | IPv6Address | IPv4Network | IPv6Network)
    return type(name), value if kept else str(value)


def _directory_lies_in(name: x509.Name, subtree: x509.Name) -> bool:
    """Whether a directory name begins with another; letters and spaces count as in crypto/x509/x_name.c, asn1_string_canon."""
    first = _canonical(subtree)
    return _canonical(name)[: len(first)] == first


def _canonical(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    return [frozenset((each.oid.dotted_string, " ".join(str(each.value).lower().split())) for each in rdn) for rdn in name.rdns]


def _host_lies_in(host: str, subtree: str) -> bool:
    """Whether a host is the subtree's or has labels in front of it; a subtree that begins with a dot wants some. An empty one holds all."""
    host, subtree = host.lower(), subtree.lower()
    return not subtree or host == subtree or (host.endswith(subtree) and (subtree[0] == "." or host[-len(subtree) - 1] == "."))


def _address_lies_in(address: IPv4Address | IPv6Address, subtree: IPv4Network | IPv6Network) -> bool:
    return address in subtree


def _nobody_knows(_value: _Value, _subtree: _Value) -> bool:
    return False


_LIES_IN: Mapping[type[x509.GeneralName], Callable[..., bool]] = {
    x509.DirectoryName: _directory_lies_in,
    x509.DNSName: _host_lies_in,
    x509.IPAddress: _address_lies_in,
}
