"""Signatures of a FIT's configurations, verified as U-Boot does (`boot/image-fit-sig.c`, `lib/rsa/rsa-verify.c`), and the keys that U-Boot has.

U-Boot hashes the parts of the tree that the signature node lists, and the digest of each image lies in them. Which parts these are is written in the
signature node, which no signature covers; so that `configuration_faults` asks of its own that they are all that is started.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from everest_secure.errors import ArtefactError
from everest_secure.image.fdt import DeviceTree, Tag
from everest_secure.image.fit import STRONG, Fit, FitConfiguration, FitImage, FitSignature

_EXCLUDED = ("data", "data-size", "data-position", "data-offset")
"""Properties that no signature covers: an image's content is covered by its hash."""
_HASHES: dict[str, hashes.HashAlgorithm] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_KEY_BITS = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}
_MAX_NODES = 100
"""Nodes that a signature may list (IMAGE_MAX_HASHED_NODES)."""
_MAX_COVERED = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RequiredKey:
    """A key in U-Boot's own device tree, below /signature."""

    name: str
    """`key-name-hint`."""
    algorithm: str
    """`sha256,rsa4096`."""
    required: str
    """`conf` when every configuration must be signed with it, `image`, or empty."""
    key: rsa.RSAPublicKey


def configuration_faults(fit: Fit, configuration: FitConfiguration, key: rsa.RSAPublicKey) -> tuple[str, ...]:
    """Return why U-Boot, for which `key` is required, does not start this configuration, or starts something that was not signed.

    Empty when a signature with this key holds and covers every image with a digest that is right.
    """
    if not configuration.signatures:
        return (f"{configuration.path} is not signed",)
    results = [(signature, signature_fault(fit, configuration, signature, key)) for signature in configuration.signatures]
    held = [signature for signature, fault in results if not fault]
    if not held:
        return tuple(f"{signature.path}: {fault}" for signature, fault in results)
    return min((tuple(_uncovered(fit, configuration, signature)) for signature in held), key=len)


def signature_fault(fit: Fit, configuration: FitConfiguration, signature: FitSignature, key: rsa.RSAPublicKey) -> str:
    """Return why a signature does not hold with a key; empty when it does. What it covers is asked by `configuration_faults`."""
    digest, _, kind = signature.algorithm.partition(",")
    algorithm, bits = _HASHES.get(digest), _KEY_BITS.get(kind)
    if algorithm is None or bits is None:
        return f"the algorithm '{signature.algorithm}' is none of {', '.join(STRONG)} with {', '.join(_KEY_BITS)}"
    if key.key_size != bits or len(signature.value) * 8 != bits:
        return f"the signature is for {kind} and has {len(signature.value) * 8} bits, the key has {key.key_size}"
    if signature.padding not in ("pkcs-1.5", "pss"):
        return f"the padding '{signature.padding}' is neither pkcs-1.5 nor pss"
    if configuration.path not in signature.hashed_nodes:
        return "the signature does not cover its own configuration"
    pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
    try:
        key.verify(
            signature.value, covered_bytes(fit.tree, signature), pss if signature.padding == "pss" else padding.PKCS1v15(), algorithm
        )
    except InvalidSignature:
        return "the signature is not that of the required key over what is there"
    return ""


def covered_bytes(tree: DeviceTree, signature: FitSignature) -> bytes:
    """Return what a signature is over: parts of the structure block, then the beginning of the strings block.

    Raises ArtefactError when it lists more nodes, or covers more, than U-Boot and this reader have room for.
    """
    if len(signature.hashed_nodes) > _MAX_NODES:
        raise ArtefactError(f"{tree.name}: {signature.path} covers more than {_MAX_NODES} nodes, which U-Boot refuses; sign it again")
    regions = list(_regions(tree, frozenset(signature.hashed_nodes)))
    if sum(end - start for start, end in regions) > _MAX_COVERED:
        raise ArtefactError(f"{tree.name}: {signature.path} covers more than {_MAX_COVERED} bytes; it is taken for hostile and not read")
    return b"".join(tree.structure.read(start, end - start) for start, end in regions) + tree.strings[: signature.hashed_strings or 0]


def _regions(tree: DeviceTree, nodes: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield beginning and end of each part that a signature over `nodes` covers (U-Boot, fdt_find_regions).

    A listed node is covered with its properties, a node in it by its begin and end alone; `want` is 2 within the one and 1 within the other.
    """
    start = -1
    want, above, path = 0, [], [""]
    end = 0
    for token in tree.tokens():
        include, stop, end = False, token.end, token.end
        match token.tag:
            case Tag.PROP:
                include, stop = want == 2 and token.name not in _EXCLUDED, token.offset
            case Tag.NOP:
                include, stop = want == 2, token.offset
            case Tag.BEGIN_NODE:
                above.append(want)
                path.append(f"{path[-1].rstrip('/')}/{token.name}")
                if want < 2:
                    stop = token.offset
                want = 2 if path[-1] in nodes else max(want - 1, 0)
                include = want > 0
            case Tag.END_NODE:
                include = want > 0
                want = above.pop()
                path.pop()
            case Tag.END:
                include = True
        if include and start < 0:
            start = token.offset
        if not include and start >= 0:
            yield start, stop
            start = -1
    yield start, end


def _uncovered(fit: Fit, configuration: FitConfiguration, signature: FitSignature) -> Iterator[str]:
    """Yield what the configuration starts although the signature does not authenticate it."""
    if "/" not in signature.hashed_nodes:
        yield f"{signature.path} does not cover the root node"
    yield from _uncovered_names(fit.tree, signature)
    for name in dict.fromkeys(each for names in configuration.images.values() for each in names):
        image = fit.images[name]
        yield from _unauthenticated(image, signature)
        yield from (f"{wrong.path}: the {wrong.algorithm} of the image is another" for wrong in image.wrong_hashes())


def _uncovered_names(tree: DeviceTree, signature: FitSignature) -> Iterator[str]:
    """Yield a fault when a covered property has a name that is not covered."""
    limit, path = signature.hashed_strings or 0, [""]
    for token in tree.tokens():
        if token.tag is Tag.BEGIN_NODE:
            path.append(f"{path[-1].rstrip('/')}/{token.name}")
        elif token.tag is Tag.END_NODE:
            path.pop()
        elif token.tag is not Tag.PROP or path[-1] not in signature.hashed_nodes or token.name in _EXCLUDED:
            continue
        elif token.name_offset + len(token.name) >= limit:
            yield f"{signature.path} does not cover the name of {path[-1]}'s property {token.name}"
            return


def _unauthenticated(image: FitImage, signature: FitSignature) -> Iterator[str]:
    if image.path not in signature.hashed_nodes:
        yield f"{signature.path} does not cover the image {image.path}"
    elif not any(each.path in signature.hashed_nodes and each.algorithm in STRONG and not each.ignored for each in image.hashes):
        yield f"{signature.path} covers no digest of the image {image.path}"


def required_keys(tree: DeviceTree) -> tuple[RequiredKey, ...]:
    """Return the RSA keys of U-Boot's own device tree (`mkimage -K`), required or not; raises ArtefactError when one is damaged."""
    return tuple(_required(tree, node.path) for node in tree.children("/signature") if "rsa,modulus" in node.properties)


def _required(tree: DeviceTree, path: str) -> RequiredKey:
    node = tree.nodes[path]
    modulus, exponent = node.properties["rsa,modulus"], node.properties.get("rsa,exponent")
    if modulus.size > 1024 or exponent is None or exponent.size > 8:
        raise ArtefactError(f"{tree.name}: the key {path} is damaged; put it into U-Boot's device tree again")
    numbers = (int.from_bytes(each.read(0, each.size), "big") for each in (exponent, modulus))
    try:
        key = rsa.RSAPublicNumbers(*numbers).public_key()
    except ValueError:
        raise ArtefactError(f"{tree.name}: the key {path} is no RSA key; put it into U-Boot's device tree again") from None
    return RequiredKey(node.text("key-name-hint"), node.text("algo"), node.text("required"), key)
