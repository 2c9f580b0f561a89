"""What can go wrong with a build."""

from everest_secure.errors import UserError


class BuildError(UserError):
    """A build cannot start, failed, or left nothing to check."""
