"""What can go wrong with authorities, certificates and keys."""

from everest_secure.errors import UserError


class PkiError(UserError):
    """A profile, a certificate, a key or a passphrase is missing, wrong or in the way."""
