"""Builds the reference image: recipes, root tree, verity slot, signed UKIs, disk and update bundle."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from everest_secure.bundle.create import create
from everest_secure.bundle.description import Description, Hooks, Image
from everest_secure.bundle.device import load_device
from everest_secure.bundle.finish import Release
from everest_secure.bundle.signing import Signer
from everest_secure.image.artefact import open_artefact
from everest_secure.paths import data
from everest_secure.pki.store import SECURE_BOOT, SIGNER, Store
from everest_secure.reference import mkosi
from everest_secure.reference.archive import find_archive
from everest_secure.reference.disk import Layout, build_disk, build_efi
from everest_secure.reference.packages import IMAGE, INITRAMFS, base_packages, make_packages
from everest_secure.reference.recipes.bundle import bundle_manifest
from everest_secure.reference.recipes.harness import run_image_hooks
from everest_secure.reference.recipes.image import ImageRecipe, image_recipe
from everest_secure.reference.rootfs import VerityImage, keep_kernel_configuration, pack
from everest_secure.reference.toolsroot import ToolsRoot, prepare
from everest_secure.reference.uki import SecureBootKey, build_uki, command_line
from everest_secure.space import require_space

Step = Callable[[str], AbstractContextManager[None]]
"""Says that a step begins and, when its context ends, that it is done."""

NEEDED_BYTES = 4 << 30
"""Free bytes that the caches and one image take at most."""
KEYRING = "/etc/rauc/keyring.pem"
MCU_FIRMWARE = b"firmware of a safety MCU that is not there\n"
"""What the stand-in for the product's flash tool gets (RAUC-07)."""


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


def build(
    *, keys: Store, output: Path, workspace: Workspace, layer: Path | None = None, knobs: Mapping[str, str] | None = None, step: Step
) -> ReferenceImage:
    """Build the reference image and its bundle into the existing directory `output`.

    `keys` is a development PKI with a `signer` and a `secure-boot-db`; `knobs` are what a product sets besides (conf/distro/include/everest-secure-knobs.inc).
    Raises UserError with one sentence on whatever stops it.
    """
    layer = layer or data("meta-everest-secure")
    require_space(workspace.cache, NEEDED_BYTES, "the reference image")
    now = datetime.now(UTC)
    shutil.rmtree(workspace.work, ignore_errors=True)
    archive = find_archive()
    with step("tools root"):
        tools = prepare(workspace.cache, archive)
    settings = {**_settings(keys, now), **(knobs or {})}
    with step("recipes"):
        recipe = image_recipe(IMAGE, layer=layer, work=workspace.work / "image", settings=settings)
        packages = make_packages(IMAGE, layer=layer, work=workspace.work / "packages", settings=settings, tools=tools)
        early = make_packages(INITRAMFS, layer=layer, work=workspace.work / "early", settings=settings, tools=tools)
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
        keep_kernel_configuration(tree)
        run_image_hooks(IMAGE, rootfs=tree, layer=layer, work=workspace.work / "hooks", settings=settings)
    with step("initrd"):
        initrd = mkosi.build_initrd(
            base=base,
            packages=early.directory,
            names=early.names,
            output=workspace.work / "initrd",
            cache=workspace.cache,
            archive=archive,
            tools=tools,
        )
    with step("verity slot"):
        root = pack(tree, workspace.work / "rootfs.img", recipe, epoch=int(now.timestamp()), tools=tools)
    with step("signed boot programs and disk"):
        layout = Layout(efi=recipe.efi, rootfs=recipe.rootfs, data=recipe.data)
        programs = _Programs(
            kernel=workspace.work / "tree" / "root.vmlinuz",
            initrd=initrd,
            os_release=tree / "usr/lib/os-release",
            signer=SecureBootKey(keys.key(SECURE_BOOT), keys.certificate(SECURE_BOOT)),
        )
        efi = _efi(recipe, root, programs, layout=layout, work=workspace.work, tools=tools)
        disk = build_disk(output / f"{IMAGE}.raw", efi=efi, rootfs=root.path, layout=layout, work=workspace.work, tools=tools)
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
        "EVEREST_RAUC_KEYRING_DEVELOPMENT": str(keys.keyring.resolve()),
        "EVEREST_BUNDLE_KEY": str(keys.key(SIGNER).resolve()),
        "EVEREST_BUNDLE_CERT": str(keys.certificate(SIGNER).resolve()),
        "EVEREST_BUNDLE_INTERMEDIATE": str(keys.chain(SIGNER).resolve()),
        "REPRODUCIBLE_TIMESTAMP_ROOTFS": str(int(now.timestamp())),
        # RAUC-07, RAUC-08: what a product may ask for is in the image that tests run on.
        "EVEREST_CRYPT_BUNDLE": "1",
        "EVEREST_MCU_UPDATE_HANDLER": "/usr/libexec/everest-reference-mcu",
        "EVEREST_MCU_IMAGE": "mcu.bin",
        "EVEREST_MCU_IMAGE_RECIPE": "everest-reference-mcu-firmware",
        # Packed faster, and larger by little.
        "EVEREST_SQUASHFS_LEVEL": "9",
        # Debian's initrd is larger than OE-Core's and its root smaller than a product's.
        "EVEREST_EFI_SIZE": "192",
        "EVEREST_ROOTFS_SIZE": "192",
        # An emulated processor takes minutes to start, and nobody waits longer for a decision than that takes.
        "EVEREST_BOOT_LIMIT_SECONDS": "1800",
        "EVEREST_UPDATE_TRIAL": "8min",
    }


@dataclass(frozen=True, slots=True)
class _Programs:
    """What the UKIs of both slots have in common."""

    kernel: Path
    initrd: Path
    os_release: Path
    signer: SecureBootKey


def _efi(recipe: ImageRecipe, root: VerityImage, parts: _Programs, *, layout: Layout, work: Path, tools: ToolsRoot) -> Path:
    """Build the file system of the EFI partitions as the layer's everest-secure-disk.bbclass does."""
    made = {
        slot: build_uki(
            work / f"everest-{slot}.efi",
            kernel=parts.kernel,
            initrd=parts.initrd,
            os_release=parts.os_release,
            command=command_line(recipe.command_line, slot, root),
            signer=parts.signer,
            tools=tools,
        )
        for slot in ("a", "b")
    }
    programs = {recipe.fallback: made["a"], **{f"/EFI/Linux/everest-{slot}.efi": program for slot, program in made.items()}}
    return build_efi(work / "efi.img", programs=programs, layout=layout, tools=tools)


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
    firmware = work / "mcu.bin"
    firmware.write_bytes(MCU_FIRMWARE)
    files = {"rootfs": root.path, "efi": efi, "mcu": firmware}
    keyring = work / "keyring-of-the-image.pem"
    tree = next(artefact.tree for artefact in open_artefact(root.path).walk() if artefact.tree)
    keyring.write_bytes(tree.read(KEYRING))
    create(
        Description(
            compatible=recipe.update["compatible"],
            version=recipe.update["version"],
            images=tuple(Image(slot.name, files[slot.name], slot.filename, slot.hooks, slot.adaptive) for slot in recipe.slots),
            description=recipe.update["description"],
            hooks=Hooks(recipe.hook, recipe.install_check),
            meta=recipe.meta,
        ),
        Release(output, load_device(keyring), now, tools),
        Signer(keys.key(SIGNER), keys.certificate(SIGNER), (keys.chain(SIGNER),)),
    )
