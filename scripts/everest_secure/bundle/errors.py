"""What can go wrong with update bundles."""

from everest_secure.errors import UserError


class BundleError(UserError):
    """A bundle cannot be made, or is not what it should be."""
