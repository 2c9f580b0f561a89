"""Names of directory entries, as a hostile image may have them."""

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import printable

_NO_NAMES = ("", ".", "..")


def entry_name(raw: bytes, artefact: str) -> str:
    """Return a directory entry's name with undecodable bytes as surrogates; raises ArtefactError for a name no Linux file system may have."""
    name = raw.decode("utf-8", "surrogateescape")
    if "/" in name or "\0" in name or name in _NO_NAMES:
        raise ArtefactError(
            f"{artefact} is corrupt: it holds a directory entry with the impossible name '{printable(name)}'; build or fetch it again"
        )
    return name
