"""Signatures of a FIT's configurations, verified as U-Boot does (`boot/image-fit-sig.c`, `lib/rsa/rsa-verify.c`), and the keys that U-Boot has.

A signature covers parts of the tree; the digest of each image lies in them. Which nodes these are, U-Boot derives from the configuration since 2026;
before, it read them in the signature node, which nothing covers. Both must come to the same here.
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
_COVERED = ("cipher", "dm-verity")
"""Nodes in an image that are covered besides its digests."""
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

    Empty when a signature with this key holds over everything that is started, and every digest is right.
    """
    if not configuration.signatures:
        return (f"{configuration.path} is not signed",)
    ambiguous = next((path for path in fit.tree.nodes if "@" in path), None)
    if ambiguous:
        return (f"{ambiguous} has a unit address, which U-Boot refuses in a signed FIT",)
    faults = [fault for each in configuration.signatures if (fault := signature_fault(fit, configuration, each, key))]
    if len(faults) == len(configuration.signatures):
        return tuple(faults)
    images = dict.fromkeys(each for names in configuration.images.values() for each in names)
    return tuple(fault for name in images for fault in _image_faults(fit.images[name]))


def signature_fault(fit: Fit, configuration: FitConfiguration, signature: FitSignature, key: rsa.RSAPublicKey) -> str:
    """Return why a signature does not hold with a key over everything that the configuration starts; empty when it does.

    The digests of the images are compared with their content by `configuration_faults`.
    """
    digest, _, kind = signature.algorithm.partition(",")
    algorithm, bits = _HASHES.get(digest), _KEY_BITS.get(kind)
    if algorithm is None or bits is None:
        return f"{signature.path}: the algorithm '{signature.algorithm}' is none of {', '.join(STRONG)} with {', '.join(_KEY_BITS)}"
    if key.key_size != bits or len(signature.value) * 8 != bits:
        return f"{signature.path}: the signature is for {kind} and has {len(signature.value) * 8} bits, the key has {key.key_size}"
    if signature.padding not in ("pkcs-1.5", "pss"):
        return f"{signature.path}: the padding '{signature.padding}' is neither pkcs-1.5 nor pss"
    nodes = signed_nodes(fit, configuration)
    for path in nodes:
        if path not in signature.hashed_nodes:
            return f"{signature.path} does not cover {path}"
    for path in signature.hashed_nodes:
        if path not in nodes:
            return f"{signature.path} covers {path}, which {configuration.path} does not start"
    strings = signature.hashed_strings or 0
    if strings > len(fit.tree.strings):
        return f"{signature.path} covers {strings} bytes of strings, and there are {len(fit.tree.strings)}"
    if unnamed := _uncovered_name(fit.tree, nodes, strings):
        return f"{signature.path} does not cover the name of {unnamed}"
    covered = covered_bytes(fit.tree, nodes, strings)
    pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
    try:
        key.verify(signature.value, covered, pss if signature.padding == "pss" else padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return f"{signature.path}: the signature is not that of the required key over what is there"
    return ""


def signed_nodes(fit: Fit, configuration: FitConfiguration) -> tuple[str, ...]:
    """Return the nodes that a configuration's signature must cover: the root, itself, and every image with its digests (fit_config_get_signed_nodes)."""
    found = ["/", configuration.path]
    for name in dict.fromkeys(each for names in configuration.images.values() for each in names):
        image = fit.tree.nodes[fit.images[name].path]
        found += [image.path, *(f"{image.path}/{child}" for child in image.children if child.startswith("hash") or child in _COVERED)]
    return tuple(found)


def covered_bytes(tree: DeviceTree, nodes: tuple[str, ...], strings: int) -> bytes:
    """Return what a signature is over: parts of the structure block, then the first `strings` bytes of the strings block.

    Raises ArtefactError when it covers more than U-Boot and this reader have room for.
    """
    regions = list(_regions(tree, frozenset(nodes)))
    if len(nodes) > _MAX_NODES or sum(end - start for start, end in regions) > _MAX_COVERED:
        raise ArtefactError(
            f"{tree.name}: a signature covers more than {_MAX_NODES} nodes or {_MAX_COVERED} bytes, which U-Boot refuses; sign less"
        )
    return b"".join(tree.structure.read(start, end - start) for start, end in regions) + tree.strings[:strings]


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


def _uncovered_name(tree: DeviceTree, nodes: tuple[str, ...], strings: int) -> str | None:
    """Return a covered property whose name lies behind the first `strings` bytes of the strings block."""
    path = [""]
    for token in tree.tokens():
        if token.tag is Tag.BEGIN_NODE:
            path.append(f"{path[-1].rstrip('/')}/{token.name}")
        elif token.tag is Tag.END_NODE:
            path.pop()
        elif token.tag is Tag.PROP and path[-1] in nodes and token.name not in _EXCLUDED and token.name_offset + len(token.name) >= strings:
            return f"{path[-1]}'s property {token.name}"
    return None


def _image_faults(image: FitImage) -> Iterator[str]:
    if not any(each.algorithm in STRONG and not each.ignored for each in image.hashes):
        yield f"{image.path} has no digest of {', '.join(STRONG)}"
    yield from (f"{wrong.path}: the {wrong.algorithm} of the image is another" for wrong in image.wrong_hashes())


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
