"""RAUC bundles: payload, CMS in DER, and the CMS's length as 8 bytes big-endian (RAUC, `docs/reference.rst` and `src/bundle.c`).

What is read here is not authenticated: whoever judges a bundle verifies the CMS over the manifest or payload, and the payload's hash tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from everest_secure.errors import ArtefactError
from everest_secure.image import squashfs
from everest_secure.image.artefact import Artefact, open_part, opens
from everest_secure.image.blob import Blob
from everest_secure.image.dmcrypt import decrypted
from everest_secure.image.enveloped import DecryptionKey, decrypt
from everest_secure.image.hashtree import HashTree, VerityResult, hash_tree
from everest_secure.image.manifest import Manifest, parse_manifest
from everest_secure.image.tree import Tree, printable

_BLOCK = 4096
_MAX_CMS = 16 * 1024 * 1024
_SIGNED = bytes.fromhex("06092a864886f70d010702")
_ENVELOPED = bytes.fromhex("06092a864886f70d010703")
_MANIFEST = "/manifest.raucm"
_LEVELS = 8
"""Levels that no hash tree has more of."""
_MAX_IMAGES = 64


@dataclass(frozen=True, slots=True)
class RaucBundle:
    """What a bundle says of itself."""

    format: str
    """`plain`, `verity` or `crypt`."""
    manifest: Manifest | None
    """From the CMS (verity, crypt) or the SquashFS (plain); None for crypt without a recipient's key."""
    cms: bytes
    """SignedData in DER; for crypt without a recipient's key the EnvelopedData around it."""
    payload: Blob
    """All bytes before the CMS: what the signature of a plain bundle covers."""
    tree: HashTree | None
    """The payload's SquashFS, for crypt encrypted, and hash tree; None for plain, and for crypt without a key."""
    root_hash: bytes
    """`verity-hash` of the manifest; empty without `tree`."""

    def verify_payload(self) -> VerityResult:
        """Hash the whole payload of a verity or crypt bundle; compare with `VerityResult.holds(root_hash)`.

        Raises ArtefactError when there is no hash tree that can be read.
        """
        if self.tree is None:
            raise ArtefactError(
                f"{self.payload.name} is a RAUC bundle of format {self.format}, which has no hash tree to verify without a key; give a verity bundle, or the recipient's key with --decryption-key"
            )
        return self.tree.verify()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The two parts of a bundle, nothing of them verified."""

    name: str
    payload: Blob
    """All bytes before the CMS, a whole number of blocks."""
    cms: bytes
    """In DER."""

    @property
    def encrypted(self) -> bool:
        """Whether only a recipient can read the signature."""
        return _ENVELOPED in self.cms[:32]


def split_bundle(blob: Blob) -> Envelope | None:
    """Take a bundle apart; None when it does not end with a CMS and its length. Raises ArtefactError for a payload of an impossible size."""
    cms = _read_cms(blob)
    if cms is None:
        return None
    payload = blob.slice(0, blob.size - 8 - len(cms), blob.name)
    if not payload.size or payload.size % _BLOCK:
        raise ArtefactError(
            f"{blob.name} is corrupt: the payload of this RAUC bundle is no whole number of {_BLOCK}-byte blocks; build or fetch it again"
        )
    return Envelope(blob.name, payload, cms)


@opens(order=20)
def open_bundle(blob: Blob, depth: int) -> Artefact | None:
    """Open a RAUC bundle: its child is the SquashFS, whose children are the images that the manifest names. See `artefact.Opener`."""
    envelope = split_bundle(blob)
    if envelope is None:
        if blob.name.endswith(".raucb"):
            raise ArtefactError(f"{blob.name} is no RAUC bundle, or a truncated one: it does not end with a signature; fetch it again")
        return None
    payload, cms = envelope.payload, envelope.cms
    if envelope.encrypted:
        _require_tree(payload)
        return Artefact(name=blob.name, kind="rauc-bundle", blob=blob, facts=RaucBundle("crypt", None, cms, payload, None, b""))
    embedded = signed_content(cms, blob.name)
    if embedded is not None:
        manifest = parse_manifest(embedded, blob.name)
        tree, root_hash = verity(payload, manifest, "verity")
        content = _payload(tree.data, blob.name, depth)
        facts = RaucBundle("verity", manifest, cms, payload, tree, root_hash)
    else:
        content = _payload(payload, blob.name, depth)
        manifest = parse_manifest(_tree(content).read(_MANIFEST), blob.name)
        facts = RaucBundle("plain", manifest, cms, payload, None, b"")
    return _opened(blob, facts, content, manifest, depth)


def with_key(artefact: Artefact, key: DecryptionKey) -> Artefact:
    """Return a crypt bundle opened down to its images with a recipient's key, and anything else as it is.

    Raises ArtefactError when the key is no recipient's, or what it opens is corrupt.
    """
    facts, blob = artefact.facts, artefact.blob
    if not isinstance(facts, RaucBundle) or facts.format != "crypt" or facts.manifest is not None or blob is None:
        return artefact
    cms = decrypt(facts.cms, key, blob.name)
    embedded = signed_content(cms, blob.name)
    if embedded is None:
        raise ArtefactError(
            f"{blob.name} is corrupt: the encrypted signature of this RAUC bundle encloses no manifest; build or fetch it again"
        )
    manifest = parse_manifest(embedded, blob.name)
    tree, root_hash = verity(facts.payload, manifest, "crypt")
    content = _payload(plain_data(tree, manifest), blob.name, 0)
    opened = _opened(blob, RaucBundle("crypt", manifest, cms, facts.payload, tree, root_hash), content, manifest, 0)
    return replace(opened, companions=artefact.companions)


def _opened(blob: Blob, facts: RaucBundle, content: Artefact, manifest: Manifest, depth: int) -> Artefact:
    content = replace(content, children=tuple(_images(_tree(content), manifest, blob.name, depth + 2)))
    return Artefact(name=blob.name, kind="rauc-bundle", blob=blob, facts=facts, children=(content,))


def _require_tree(payload: Blob) -> None:
    """Raise ArtefactError unless some number of data blocks and the hash tree over them make up the whole payload: all that shows without a key."""
    total = payload.size // _BLOCK
    data = next(
        (count for count in range(total - total // 127 - _LEVELS, total + 1) if count > 0 and count + _tree_blocks(count) == total), None
    )
    if data is None:
        raise ArtefactError(
            f"{payload.name} is corrupt: the encrypted payload of this RAUC bundle has an impossible size; build or fetch it again"
        )


def _tree_blocks(count: int) -> int:
    """Return the blocks of a hash tree over `count` blocks, 128 digests in each."""
    found = 0
    while count > 1:
        count = -(-count // 128)
        found += count
    return found


def plain_data(tree: HashTree, manifest: Manifest) -> Blob:
    """Return the SquashFS of a payload, decrypted with the manifest's key where it has one; raises ArtefactError when that is no key."""
    section = manifest.sections.get("bundle", {})
    if section.get("format") != "crypt":
        return tree.data
    try:
        key = bytes.fromhex(section["crypt-key"])
    except (KeyError, ValueError):
        raise ArtefactError(
            f"{tree.data.name} is corrupt: the manifest of this encrypted RAUC bundle has no key of its payload; build or fetch it again"
        ) from None
    return decrypted(tree.data, key)


def _read_cms(blob: Blob) -> bytes | None:
    """Return the CMS at the end; None when there is none."""
    if blob.size < _BLOCK:
        return None
    length = int.from_bytes(blob.read(blob.size - 8, 8), "big")
    if not 32 <= length <= min(_MAX_CMS, blob.size - 8):
        return None
    cms = blob.read(blob.size - 8 - length, length)
    return cms if cms[0] == 0x30 and (_SIGNED in cms[:32] or _ENVELOPED in cms[:32]) else None


def signed_content(cms: bytes, name: str) -> bytes | None:
    """Return what a SignedData encloses; None when its content is detached."""
    from asn1crypto.cms import ContentInfo

    try:
        content = ContentInfo.load(cms, strict=True)["content"]["encap_content_info"]["content"].native
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise ArtefactError(f"{name} is corrupt: the signature of this RAUC bundle is no valid CMS; build or fetch it again") from None
    if content is not None and not isinstance(content, bytes):
        raise ArtefactError(f"{name} is corrupt: the signature of this RAUC bundle encloses no manifest; build or fetch it again")
    return content


def verity(payload: Blob, manifest: Manifest, form: str) -> tuple[HashTree, bytes]:
    """Return data and hash tree of a payload, and the root hash that the manifest of a bundle of the format `form` gives them.

    Raises ArtefactError when its parameters are missing, impossible or of another format.
    """
    section = manifest.sections.get("bundle", {})
    try:
        size = int(section["verity-size"])
        salt = bytes.fromhex(section["verity-salt"])
        root_hash = bytes.fromhex(section["verity-hash"])
    except (KeyError, ValueError):
        raise ArtefactError(
            f"{payload.name} is corrupt: the signed manifest of this RAUC bundle lacks its verity parameters; build or fetch it again"
        ) from None
    if section.get("format") != form or len(root_hash) != 32 or not 0 <= size < payload.size or size % _BLOCK:
        raise ArtefactError(f"{payload.name} is corrupt: the verity parameters of this RAUC bundle are impossible; build or fetch it again")
    data = payload.slice(0, payload.size - size, payload.name)
    return hash_tree(data, payload.slice(payload.size - size, size, payload.name), salt=salt), root_hash


def _payload(blob: Blob, name: str, depth: int) -> Artefact:
    content = squashfs.open_squashfs(blob.slice(0, blob.size, f"{name}:payload"), depth + 1)
    if content is None:
        raise ArtefactError(f"{name} is corrupt: the payload of this RAUC bundle is no SquashFS; build or fetch it again")
    return content


def _tree(content: Artefact) -> Tree:
    if content.tree is None:
        raise TypeError(content.kind)
    return content.tree


def _images(tree: Tree, manifest: Manifest, name: str, depth: int) -> Iterator[Artefact]:
    if len(manifest.filenames) > _MAX_IMAGES:
        raise ArtefactError(f"{name} names {len(manifest.filenames)} images in its manifest; it is taken for hostile and not read")
    for filename in manifest.filenames:
        node = tree.get(f"/{filename}")
        if node is None or not node.is_file:
            raise ArtefactError(
                f"{name} is corrupt: its manifest names the file {printable(filename)}, which the bundle does not hold; build or fetch it again"
            )
        yield open_part(tree.blob(node).slice(0, node.size, f"{name}:{printable(filename)}"), depth)
