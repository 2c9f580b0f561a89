"""Bundles for the demonstration's charger: small ones that it has to refuse, and real ones."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from everest_secure.bundle import signing
from everest_secure.bundle.contents import chunks
from everest_secure.bundle.create import create
from everest_secure.bundle.description import Description, Hooks, Image
from everest_secure.bundle.device import load_device
from everest_secure.bundle.finish import Release
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import Blob
from everest_secure.pki.store import SIGNER, Store
from everest_secure.reference.toolsroot import ToolsRoot, digest
from everest_secure.run import Argument
from support.bundle import incompressible
from support.forgery import authorities, take_apart
from support.pki import now
from support.reference import REPOSITORY

COMPATIBLE = "everest-secure-qemux86-64"
NEWER, OLDER = "9.0.0", "0.0.9"
SIZE = 1 << 20
GUARD = REPOSITORY / "meta-everest-secure/recipes-core/everest-update-guard/files/everest-update-guard"
TOOLS = ToolsRoot(REPOSITORY / f"build/cache/tools-{digest()}")
"""Those that made the demonstration: the same rauc as in its image."""


@dataclass(frozen=True)
class Signer:
    """Who signs a bundle: files in PEM."""

    key: Path
    certificate: Path
    above: Path

    @classmethod
    def of(cls, keys: Store) -> "Signer":
        return cls(keys.key(SIGNER), keys.certificate(SIGNER), keys.chain(SIGNER))


def bundle(
    output: Path,
    signer: Signer,
    images: Mapping[str, Path],
    *,
    version: str = NEWER,
    compatible: str = COMPATIBLE,
    form: str = "verity",
) -> Path:
    """Make a bundle of images by slot class with the real rauc, as somebody does who has the keys and does not use this project's tools."""
    content = output.with_suffix(".content")
    content.mkdir()
    manifest = (
        f"[update]\ncompatible={compatible}\nversion={version}\n\n[bundle]\nformat={form}\n\n[meta.everest-secure]\nversion={version}\n"
    )
    for slot, image in images.items():
        shutil.copyfile(image, content / f"{slot}.img")
        manifest += f"\n[image.{slot}]\nfilename={slot}.img\n"
    (content / "manifest.raucm").write_text(manifest)
    argv: list[Argument] = ["rauc", "--cert", signer.certificate, "--key", signer.key, "--intermediate", signer.above]
    TOOLS.run(
        [*argv, "bundle", content, output], paths=[output.parent, *(file.parent for file in (signer.key, signer.certificate, signer.above))]
    )
    shutil.rmtree(content)
    return output


def images(bundled: Path, directory: Path) -> dict[str, Path]:
    """Write the images of a bundle to files, by slot class."""
    found = _images(bundled)
    files: dict[str, Path] = {slot: directory / f"{slot}.img" for slot in ("rootfs", "efi", "mcu") if slot in found}
    for slot, file in files.items():
        with file.open("wb") as output:
            output.writelines(chunks(found[slot]))
    return files


def whole_slot(bundled: Path, slot: str) -> dict[str, bytes]:
    """Return what a bundle writes to the partitions of slot `a` or `b`, by label."""
    found = _images(bundled)
    return {f"{name}-{slot}": b"".join(chunks(found[name])) for name in ("efi", "rootfs")}


def _images(bundled: Path) -> dict[str, Blob]:
    """Return the images of a bundle by slot class: the whole ones, with the hash tree that one of the same name lies in front of."""
    found: dict[str, Blob] = {}
    for part in open_artefact(bundled).walk():
        name, dot, _ = part.name.rpartition(":")[2].partition(".img")
        if dot and part.blob is not None and (name not in found or part.blob.size > found[name].size):
            found[name] = part.blob
    return found


def release(output: Path, keys: Store, files: Mapping[str, Path], *, version: str, recipients: tuple[Path, ...] = ()) -> Path:
    """Make a bundle of the demonstration's images as a release does: hook, firmware of the safety MCU, verified; encrypted for `recipients`."""
    pictures = tuple(Image(slot, file, file.name, ("install",) if slot == "mcu" else ()) for slot, file in files.items())
    create(
        Description(
            compatible=COMPATIBLE,
            version=version,
            images=pictures,
            format="crypt" if recipients else "verity",
            hooks=Hooks(GUARD, install_check=True),
            meta={"everest-secure": {"version": version}},
        ),
        Release(output, load_device(keys.keyring), now(), TOOLS, recipients),
        signing.Signer(keys.key(SIGNER), keys.certificate(SIGNER), (keys.chain(SIGNER),)),
    )
    return output


def refused(directory: Path, keys: Store) -> dict[str, Path]:
    """Make bundles that no charger takes, by what is wrong with each; the slots in all of them could be written."""
    image = directory / "image"
    image.write_bytes(incompressible(SIZE))
    images = {"rootfs": image, "efi": image}
    signer = Signer.of(keys)
    good = bundle(directory / "good.raucb", signer, images)
    others = authorities(directory, "others")
    key, certificate = others.files(others.signer, "others")
    _, above = others.files(others.intermediate, "above-others")
    return {
        "other-ca": bundle(directory / "other-ca.raucb", Signer(key, certificate, above), images),
        "plain": bundle(directory / "plain.raucb", signer, images, form="plain"),
        "downgraded": bundle(directory / "downgraded.raucb", signer, images, version=OLDER),
        "wrong-compatible": bundle(directory / "wrong-compatible.raucb", signer, images, compatible="another-charger"),
        "unsigned": _altered(good, "unsigned", lambda parts: parts.data + parts.tree),
        "altered-payload": _altered(
            good, "altered-payload", lambda parts: _turned(parts.data, SIZE // 2) + parts.join()[len(parts.data) :]
        ),
        "altered-manifest": _altered(good, "altered-manifest", lambda parts: parts.join().replace(NEWER.encode(), b"9.0.1")),
    }


def _altered(good: Path, name: str, change: Callable[..., bytes]) -> Path:
    parts = take_apart(good)
    altered = good.with_name(f"{name}.raucb")
    altered.write_bytes(change(parts))
    assert altered.read_bytes() != good.read_bytes()
    return altered


def _turned(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
