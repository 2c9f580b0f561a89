"""Critical extensions that nobody understands (RFC 5280, 4.2), as OpenSSL decides in crypto/x509/v3_purp.c, X509_supported_extension."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from everest_secure.parse.certificates import all_extensions

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
    )
)


def unknown_critical(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the object identifiers of critical extensions that OpenSSL does not know, for which it refuses a chain."""
    for each in all_extensions(certificate):
        if each.critical and each.oid not in _UNDERSTOOD:
            yield each.oid.dotted_string
