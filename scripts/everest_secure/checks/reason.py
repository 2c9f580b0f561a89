"""Why a certificate, a key or a store is refused, in one word: the same that `everest-cert` says on the charger (docs/certificates.md)."""

from enum import StrEnum


class Reason(StrEnum):
    """A word in brackets at the end of a finding."""

    LAYOUT = "layout"
    MODE = "mode"
    OWNER = "owner"
    UNREADABLE = "unreadable"
    NO_CERTIFICATE = "no-certificate"
    NOT_A_ROOT = "not-a-root"
    NOT_A_CA = "not-a-ca"
    LEAF_IS_A_CA = "leaf-is-a-ca"
    ROOT_IN_CHAIN = "root-in-chain"
    WRONG_ORDER = "wrong-order"
    PATH_LENGTH = "path-length"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRES_SOON = "expires-soon"
    WEAK_DIGEST = "weak-digest"
    WEAK_KEY = "weak-key"
    DEVELOPMENT = "development"
    WRONG_NAME = "wrong-name"
    WRONG_USAGE = "wrong-usage"
    SOFTWARE_KEY = "software-key"
    KEY_MISMATCH = "key-mismatch"
    NO_KEY = "no-key"

    def said(self, what: str) -> str:
        """Return the text of a finding with this reason."""
        return f"{what} [{self}]"
