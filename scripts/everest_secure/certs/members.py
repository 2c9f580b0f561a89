"""A store that is to be: its directories and files, as EVerest finds them by default (EvseSecurity's manifest), and as a tree that checks look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import basename

from everest_secure.certs.keys import keys_in
from everest_secure.certs.offer import Given, Offer, OfferedLeaf, StageError, certificates_of
from everest_secure.image.tree import Node, NodeType, Tree, printable
from everest_secure.parse.everest_config import CONFIG, parse_everest_config
from everest_secure.parse.evse_security import STORE, certificate_store
from everest_secure.parse.private_keys import KeyKind
from everest_secure.policy.parameters import ServiceUser

DIRECTORY_MODE, FILE_MODE = 0o700, 0o600
"""What the state list says of the store's directories, and what EVerest's umask makes of files."""
_LEAVES = {"csms": "CSMS_LEAF", "secc": "SECC_LEAF"}
"""Names of files; everest-tpm makes the keys under them."""


@dataclass(frozen=True, slots=True)
class Member:
    """A directory, or a file with its content; of the service user, and of nobody else."""

    path: str
    """Below the store: `client/cso/SECC_LEAF.pem`; `.` is the store itself."""
    content: bytes | None = None
    """None for a directory."""

    @property
    def mode(self) -> int:
        """Permission bits."""
        return DIRECTORY_MODE if self.content is None else FILE_MODE


def members_of(offer: Offer) -> tuple[Member, ...]:
    """Return the store, directories before what is in them.

    Raises StageError for a path of the configuration outside the store, ArtefactError for a configuration that is none.
    """
    config = parse_everest_config(offer.layout.decode("utf-8", "replace"), CONFIG) if offer.layout is not None else None
    store, files = certificate_store(config), []
    bundles: dict[str, tuple[Given, ...]] = {}
    for kind, given in offer.roots.items():
        bundle = _below(store.bundles[f"{kind}_ca_bundle"])
        place = bundle if "." in basename(bundle) else f"{bundle}/{kind.upper()}_ROOT_CA.pem"
        bundles[place] = (*bundles.get(place, ()), *given)
    files += [Member(place, certificates_of(*given).content) for place, given in bundles.items()]
    for name, leaf in (("csms", offer.csms), ("secc", offer.secc)):
        if leaf is not None:
            places = (_below(store.leaves[f"{name}_leaf_{what}_directory"]) for what in ("cert", "key"))
            files += _of_leaf(leaf, *(f"{place}/{_LEAVES[name]}" for place in places))
    wanted = [PurePosixPath(_below(path)) for path in store.directories]
    directories = {str(path) for each in wanted for path in (each, *each.parents)}
    return (*(Member(path) for path in sorted(directories)), *sorted(files, key=lambda file: file.path))


def _below(path: str) -> str:
    below = path.removeprefix(f"{STORE}/")
    if below == path or ".." in below.split("/") or printable(below) != below:
        raise StageError(f"EVerest's configuration names {printable(path)}, which is not below {STORE}; stage a store that has all of it")
    return str(PurePosixPath(below))


def _of_leaf(leaf: OfferedLeaf, path: str, key_path: str) -> Iterator[Member]:
    yield Member(f"{path}.pem", certificates_of(leaf.chain).content)
    if leaf.key is not None:
        in_tpm = any(key.kind is KeyKind.TPM for key in keys_in(leaf.key.content, leaf.key.name))
        yield Member(f"{key_path}.tkey" if in_tpm else f"{key_path}.key", leaf.key.content)


class StagedTree(Tree):
    """The store before anything is written, at the path where EVerest looks for it."""

    def __init__(self, name: str, members: tuple[Member, ...], user: ServiceUser) -> None:
        """`user` is who owns all of it."""
        super().__init__(name, "staged store")
        self._members, self._user = members, user

    def _scan(self) -> Iterator[tuple[Node, object]]:
        for above in PurePosixPath(STORE).parents:
            yield Node(str(above), NodeType.DIRECTORY, 0o755, 0, 0, 0), None
        for member in self._members:
            kind = NodeType.DIRECTORY if member.content is None else NodeType.FILE
            path = str(PurePosixPath(STORE) / member.path)
            yield Node(path, kind, member.mode, self._user.uid, self._user.gid, len(member.content or b"")), member.content

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, bytes):
            raise TypeError(handle)
        return handle[offset : offset + length]
