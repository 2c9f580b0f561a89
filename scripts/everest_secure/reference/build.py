"""Builds the reference image: recipes, root tree, verity slot, signed UKIs, disk and update bundle."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from everest_secure.bundle.create import create
from everest_secure.bundle.description import Description, Image
from everest_secure.bundle.signing import Signer
from everest_secure.image.artefact import open_artefact
from everest_secure.paths import data
from everest_secure.pki.store import Store
from everest_secure.reference import mkosi
from everest_secure.reference.archive import find_archive
from everest_secure.reference.disk import Layout, build_disk, build_efi
from everest_secure.reference.packages import IMAGE, base_packages, make_packages
from everest_secure.reference.recipes.bundle import bundle_manifest
from everest_secure.reference.recipes.harness import run_image_hooks
from everest_secure.reference.rootfs import VerityImage, pack
from everest_secure.reference.toolsroot import ToolsRoot, prepare
from everest_secure.reference.uki import SecureBootKey, build_uki, command_line
from everest_secure.space import require_space

Step = Callable[[str], AbstractContextManager[None]]
"""Says that a step begins and, when its context ends, that it is done."""

NEEDED_BYTES = 4 << 30
"""Free bytes that the caches and one image take at most."""
KEYRING = "/etc/rauc/keyring.pem"
SIGNER = "signer"
DB = "secure-boot-db"


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """What a build leaves."""

    disk: Path
    bundle: Path
    manifest: Path
    """JSON list of every Debian package in the image, with its version."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Directories of a build; all on one file system."""

    cache: Path
    """Kept between builds: tools root, downloaded packages, base tree, initrd."""
    work: Path
    """Emptied by each build."""


def build(*, keys: Store, output: Path, workspace: Workspace, layer: Path | None = None, step: Step) -> ReferenceImage:
    """Build the reference image and its bundle into the existing directory `output`.

    `keys` is a development PKI with a `signer` and a `secure-boot-db`. Raises UserError with one sentence on whatever stops it.
    """
    layer = layer or data("meta-everest-secure")
    require_space(workspace.cache, NEEDED_BYTES, "the reference image")
    now = datetime.now(UTC)
    archive = find_archive()
    with step("tools root"):
        tools = prepare(workspace.cache, archive)
    settings = _settings(keys, now)
    with step("recipes"):
        packages = make_packages(layer=layer, work=workspace.work, settings=settings, tools=tools)
    with step("root tree"):
        base = base_packages(workspace.cache, tools=tools)
        tree = mkosi.build_tree(
            base=base,
            packages=packages.directory,
            names=packages.names,
            output=workspace.work / "tree",
            cache=workspace.cache,
            archive=archive,
            tools=tools,
        )
        run_image_hooks(IMAGE, rootfs=tree, layer=layer, work=workspace.work / "hooks", settings=settings)
    with step("initrd"):
        initrd = mkosi.build_initrd(base=base, cache=workspace.cache, archive=archive, tools=tools)
    with step("verity slot"):
        root = pack(tree, workspace.work / "rootfs.img", epoch=int(now.timestamp()), tools=tools)
    with step("signed boot programs and disk"):
        efi = _efi(
            root, tree=tree, kernel=workspace.work / "tree" / "root.vmlinuz", initrd=initrd, keys=keys, work=workspace.work, tools=tools
        )
        disk = build_disk(output / f"{IMAGE}.raw", efi=efi, rootfs=root.path, layout=Layout(), work=workspace.work, tools=tools)
    with step("signed bundle"):
        bundle = output / f"{IMAGE}.raucb"
        _bundle(bundle, root=root, efi=efi, keys=keys, layer=layer, settings=settings, now=now, work=workspace.work, tools=tools)
    manifest = output / f"{IMAGE}.manifest.json"
    (workspace.work / "tree" / "root.manifest").replace(manifest)
    return ReferenceImage(disk, bundle, manifest)


def _settings(keys: Store, now: datetime) -> dict[str, str]:
    """Return what a local.conf would set for this build."""
    return {
        "MACHINE": "qemux86-64",
        "EVEREST_IMAGE_VARIANT": "everest-secure-reference",
        "EVEREST_RAUC_KEYRING": str(keys.keyring.resolve()),
        "EVEREST_BUNDLE_KEY": str(keys.key(SIGNER).resolve()),
        "EVEREST_BUNDLE_CERT": str(keys.certificate(SIGNER).resolve()),
        "EVEREST_BUNDLE_INTERMEDIATE": str(keys.chain(SIGNER).resolve()),
        "REPRODUCIBLE_TIMESTAMP_ROOTFS": str(int(now.timestamp())),
    }


def _efi(root: VerityImage, *, tree: Path, kernel: Path, initrd: Path, keys: Store, work: Path, tools: ToolsRoot) -> Path:
    """Build the file system of the EFI partitions: a UKI for each slot; the firmware's fallback name starts slot A."""
    signer = SecureBootKey(keys.key(DB), keys.certificate(DB))
    programs = {
        target: build_uki(
            work / f"everest-{slot}.efi",
            kernel=kernel,
            initrd=initrd,
            os_release=tree / "usr/lib/os-release",
            command=command_line(slot, root),
            signer=signer,
            tools=tools,
        )
        for slot, target in (("a", "/EFI/BOOT/BOOTX64.EFI"), ("b", "/EFI/Linux/everest-b.efi"))
    }
    return build_efi(work / "efi.img", programs=programs, layout=Layout(), tools=tools)


def _bundle(
    output: Path,
    *,
    root: VerityImage,
    efi: Path,
    keys: Store,
    layer: Path,
    settings: dict[str, str],
    now: datetime,
    work: Path,
    tools: ToolsRoot,
) -> None:
    """Make the bundle that the bundle recipe describes, verified with the keyring taken from the image that is in it."""
    recipe = bundle_manifest(layer=layer, work=work / "bundle", settings=settings)
    files = {"rootfs": root.path, "efi": efi}
    keyring = work / "keyring-of-the-image.pem"
    tree = next(artefact.tree for artefact in open_artefact(root.path).walk() if artefact.tree)
    keyring.write_bytes(tree.read(KEYRING))
    create(
        Description(
            compatible=recipe.update["compatible"],
            version=recipe.update["version"],
            images=tuple(Image(slot.name, files[slot.name], slot.filename) for slot in recipe.slots),
            description=recipe.update["description"],
        ),
        output=output,
        signer=Signer(keys.key(SIGNER), keys.certificate(SIGNER), (keys.chain(SIGNER),)),
        keyring=keyring,
        tools=tools,
        now=now,
    )
