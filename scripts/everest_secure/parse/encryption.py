"""Encrypted partitions: crypttab(5), and the header of a LUKS2 volume (LUKS2 On-Disk Format Specification 1.1.2)."""

import json
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.tree import Tree

CRYPTTAB = "/etc/crypttab"
TPM_TOKEN = "systemd-tpm2"  # noqa: S105 - a type, as systemd-cryptenroll(1) writes it
_MAGIC = b"LUKS\xba\xbe"
_MAX_HEADER = 4 * 1024 * 1024
_NO_FILE = ("", "none", "-")
_WEAK = ("plain", "tcrypt", "bitlk", "swap", "tmp", "try-empty-password", "keyfile-offset")
_FALSE = ("no", "n", "false", "f", "0", "off")


@dataclass(frozen=True, slots=True)
class CryptVolume:
    """A line of crypttab."""

    name: str
    device: str
    key: str
    """File that the key is in; empty for none."""
    options: tuple[str, ...]
    line: int

    @property
    def by_tpm(self) -> bool:
        """Whether a TPM opens it: without the option somebody is asked for a password, unless there is a key file."""
        return any(option.startswith("tpm2-device=") and option != "tpm2-device=" for option in self.options)

    @property
    def weakened(self) -> str:
        """The option that lets the volume be opened otherwise, or makes it none of LUKS; empty when there is none (crypttab(5))."""
        found = (option for option in self.options if option.partition("=")[0] in _WEAK)
        return next((option for option in found if option.partition("=")[2].lower() not in _FALSE), "")


def read_crypttab(tree: Tree) -> tuple[CryptVolume, ...]:
    """Return the lines of /etc/crypttab; none when the file does not exist."""
    file = tree.resolve(CRYPTTAB)
    if file is None or not file.is_file:
        return ()
    found = []
    for number, line in enumerate(tree.text(CRYPTTAB).split("\n"), start=1):
        words = line.split()
        if len(words) >= 2 and not words[0].startswith("#"):
            key = words[2] if len(words) > 2 and words[2] not in _NO_FILE else ""
            found.append(CryptVolume(words[0], words[1], key, tuple(words[3].split(",")) if len(words) > 3 else (), number))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class LuksHeader:
    """What the header of a LUKS volume says."""

    version: int
    tokens: frozenset[str]
    """Types of the tokens: `systemd-tpm2` is a key that a TPM gives out. Empty in version 1, which has none."""
    other_keys: int = 0
    """Key slots that belong to no token of a TPM."""


def read_luks(blob: Blob) -> LuksHeader | None:
    """Return the header of a LUKS volume; None when it is none. Raises ArtefactError when the header is damaged."""
    head = blob.head(4096)
    if head[:6] != _MAGIC or len(head) < 4096:
        return None
    version = int.from_bytes(head[6:8], "big")
    if version != 2:
        return LuksHeader(version, frozenset())
    size = int.from_bytes(head[8:16], "big")
    if not 4096 < size <= min(_MAX_HEADER, blob.size):
        raise _damaged(blob)
    try:
        area = json.loads(blob.read(4096, size - 4096).split(b"\0", 1)[0])
        tokens = [(str(token["type"]), map(str, token.get("keyslots", ()))) for token in area.get("tokens", {}).values()]
        by_tpm = {slot for kind, slots in tokens if kind == TPM_TOKEN for slot in slots}
        others = {str(slot) for slot in area.get("keyslots", {})} - by_tpm
        return LuksHeader(2, frozenset(kind for kind, _ in tokens), len(others))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _damaged(blob) from None


def _damaged(blob: Blob) -> ArtefactError:
    return ArtefactError(f"{blob.name} is a LUKS volume whose header is damaged; build it again")
