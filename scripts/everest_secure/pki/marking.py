"""How a development certificate is told from one for release (RAUC-02).

Every certificate of a development profile carries the mark as an organizational unit of its subject, the root included, so that it shows in
`openssl x509`, in `rauc info`, and to a check that reads a keyring.
"""

from cryptography import x509
from cryptography.x509.oid import NameOID

DEVELOPMENT = "DEVELOPMENT - NOT FOR RELEASE"


def is_development(certificate: x509.Certificate) -> bool:
    """Whether the certificate, or the authority that issued it, is marked as development."""
    names = (certificate.subject, certificate.issuer)
    return any(unit.value == DEVELOPMENT for name in names for unit in name.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME))
