"""What certificates of a chain forbid one another: names (RFC 5280, 4.2.1.10) and critical extensions that nobody understands (4.2).

OpenSSL decides so in crypto/x509/v3_ncons.c and v3_purp.c, X509_supported_extension. Constraints of names other than those of directories are not
followed to the end: a certificate that has such a name below an authority that constrains them is refused.
"""

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from everest_secure.parse.certificates import all_extensions, extension, subject

_UNDERSTOOD = frozenset(
    (
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.OCSP_NO_CHECK,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    )
)


def unknown_critical(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the object identifiers of critical extensions that OpenSSL does not know, for which it refuses a chain."""
    for each in all_extensions(certificate):
        if each.critical and each.oid not in _UNDERSTOOD:
            yield each.oid.dotted_string


def name_faults(certificates: Sequence[x509.Certificate]) -> Iterator[str]:
    """Yield for each name below an authority why its constraints do not allow it; the leaf comes first, authorities of the same name are not exempt."""
    for depth, authority in enumerate(certificates):
        constraints = extension(authority, x509.NameConstraints)
        if constraints is None or not depth:
            continue
        for below in certificates[:depth]:
            for kind, value in _names(below):
                if not _allowed(kind, value, constraints):
                    shown = value.rfc4514_string() if isinstance(value, x509.Name) else value
                    yield f"'{subject(authority)}' does not allow the name '{shown}' of '{subject(below)}'"


_Name = tuple[type[x509.GeneralName], x509.Name | str]


def _names(certificate: x509.Certificate) -> Iterator[_Name]:
    """Yield the names that constraints are about, by kind; an e-mail address or a host's name in the subject is one too."""
    if certificate.subject.rdns:
        yield x509.DirectoryName, certificate.subject
    for attribute in certificate.subject:
        if attribute.oid == NameOID.EMAIL_ADDRESS:
            yield x509.RFC822Name, str(attribute.value)
        elif attribute.oid == NameOID.COMMON_NAME and "." in str(attribute.value):
            yield x509.DNSName, str(attribute.value)
    for name in extension(certificate, x509.SubjectAlternativeName) or ():
        yield type(name), name.value if isinstance(name, x509.DirectoryName) else str(name.value)


def _allowed(kind: type[x509.GeneralName], value: x509.Name | str, constraints: x509.NameConstraints) -> bool:
    permitted = [each.value for each in constraints.permitted_subtrees or () if type(each) is kind]
    excluded = [each.value for each in constraints.excluded_subtrees or () if type(each) is kind]
    if not isinstance(value, x509.Name):
        return not permitted and not excluded
    return not any(_below(value, each) for each in excluded) and (not permitted or any(_below(value, each) for each in permitted))


def _below(name: x509.Name, top: x509.Name) -> bool:
    """Whether a directory name begins with another; letters and spaces count as in crypto/x509/x_name.c, asn1_string_canon."""
    first = _canonical(top)
    return _canonical(name)[: len(first)] == first


def _canonical(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    return [frozenset((each.oid.dotted_string, " ".join(str(each.value).lower().split())) for each in rdn) for rdn in name.rdns]
