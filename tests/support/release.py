"""A release as its build leaves it: a whole deploy folder of a product that ships, made by the real tools and signed by a release PKI."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath

from everest_secure.paths import data
from everest_secure.reference.packages import IMAGE as DEVELOPMENT_IMAGE
from everest_secure.reference.recipes.image import image_recipe
from everest_secure.reference.rootfs import VerityImage
from everest_secure.reference.uki import command_line
from support.archive import packed
from support.bills import VERSIONS, issue, report, spdx3
from support.images import LAYER_INIT, gpt_disk, ram_disk_with_init, tool, unified_kernel, verity_image
from support.kernel import configuration
from support.reference import require
from support.rootfs import KNOBS, good_root

PASSPHRASE = "correct horse battery staple"
MACHINE = "qemux86-64"
IMAGE = f"everest-secure-image-{MACHINE}.rootfs"
DISK = f"{IMAGE}.wic"
BUNDLE = f"everest-secure-bundle-{MACHINE}.raucb"
BILL, REPORT = f"{IMAGE}.spdx.json", f"{IMAGE}.json"
BOOT = "secure-boot-db"
HOOK = "recipes-core/everest-update-guard/files/everest-update-guard"
_EVIDENCE = {
    "BOOT-04": "JTAG fuses are blown at the end of the line and read back on every unit.",
    "FS-04": "The data partition holds nothing confidential; the assessment is on record.",
    "RAUC-08": "Bundles hold nothing confidential; the assessment is on record.",
}


def everest_secure(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as it is installed."""
    program = Path(sys.executable).parent / "everest-secure"
    environment = {**os.environ, "PASSPHRASE": PASSPHRASE}
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=environment)


def _done(*arguments: str | Path) -> None:
    done = everest_secure(*arguments)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, slots=True)
class Authorities:
    """A PKI that `everest-secure pki init` made."""

    directory: Path

    @classmethod
    def made(cls, directory: Path, profile: str) -> "Authorities":
        """Make one; keys of the profile `release` are encrypted."""
        _done("pki", "init", directory, "--profile", profile, "--passphrase-env", "PASSPHRASE")
        return cls(directory)

    @property
    def keyring(self) -> Path:
        return self.directory / "keyring.pem"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key.pem"

    def certificate(self, name: str) -> Path:
        return self.directory / f"{name}.cert.pem"

    def signing_options(self) -> tuple[str, ...]:
        """Return the options of `bundle create` for a signer that devices with this keyring trust."""
        files = {"key": self.key("signer"), "cert": self.certificate("signer"), "intermediate": self.certificate("intermediate")}
        return tuple(f"--{name}={file}" for name, file in {**files, "keyring": self.keyring}.items())

    def sign_program(self, program: Path) -> None:
        """Sign an EFI program in place, as the layer's everest-secure-uki.bbclass does."""
        signed = program.with_suffix(".signed")
        with_key: list[str | Path] = ["-key", self.key(BOOT), "-pass", PASSPHRASE, "-certs", self.certificate(BOOT)]
        tool("osslsigncode", "sign", "-h", "sha256", *with_key, "-in", program, "-out", signed)
        signed.replace(program)


@dataclass(frozen=True, slots=True)
class Parts:
    """What disk and bundle are made of."""

    authorities: Authorities
    root: Path
    """A squashfs with its hash tree behind it."""
    command_lines: Mapping[str, str]
    """By slot, `a` and `b`."""

    def efi(self, image: Path, *, others: Mapping[str, Path] | None = None) -> Path:
        """Make the file system of an EFI partition: the signed kernel images of both slots, and other programs below /EFI as they are."""
        programs = dict(others or {})
        initrd = ram_disk_with_init(image.with_name("initrd"), LAYER_INIT.read_bytes())
        for slot, line in self.command_lines.items():
            sections = {".cmdline": line.encode(), ".osrel": b"ID=everest-secure\n", ".initrd": initrd, ".linux": b"kernel" * 1000}
            uki = unified_kernel(image.with_name(f"everest-{slot}.efi"), sections)
            self.authorities.sign_program(uki)
            programs[f"Linux/everest-{slot}.efi"] = uki
        programs["BOOT/BOOTX64.EFI"] = programs["Linux/everest-a.efi"]
        tool("mkfs.vfat", "-C", image, "8192")
        directories = {str(parent) for name in programs for parent in PurePosixPath("/EFI", name).parents if parent.name}
        tool("mmd", "-i", image, *(f"::{name}" for name in sorted(directories)))
        for name, program in programs.items():
            tool("mcopy", "-i", image, program, f"::/EFI/{name}")
        return image

    def disk(self, folder: Path, efi: Path) -> None:
        """Make the disk of a charger as it leaves the factory, both slots the same, in the place of one that is there."""
        data_partition = efi.with_name("data.img")
        tool("mke2fs", "-q", "-t", "ext4", "-L", "data", data_partition, "64M")
        (folder / DISK).unlink(missing_ok=True)
        slots = {"efi-a": efi, "efi-b": efi, "rootfs-a": self.root, "rootfs-b": self.root, "data": data_partition}
        gpt_disk(folder / DISK, slots)

    def bundle(self, folder: Path, efi: Path, *, signers: Authorities | None = None) -> None:
        """Make the bundle with `everest-secure bundle create`, in the place of one that is there; it names the folder's bill of materials."""
        by = signers or self.authorities
        description = {
            "compatible": KNOBS["EVEREST_COMPATIBLE"],
            "version": KNOBS["EVEREST_IMAGE_VERSION"],
            "images": {name: {"file": str(file), "name": f"{name}.img"} for name, file in (("rootfs", self.root), ("efi", efi))},
            "hooks": {"file": str(data("meta-everest-secure") / HOOK), "install_check": True},
            "meta": {"everest-secure": {"sbom-sha256": hashlib.sha256((folder / BILL).read_bytes()).hexdigest()}},
        }
        described = efi.with_name("bundle.yml")
        described.write_text(json.dumps(description))
        (folder / BUNDLE).unlink(missing_ok=True)
        _done("bundle", "create", described, folder / BUNDLE, *by.signing_options(), "--passphrase-env", "PASSPHRASE")


def make_parts(work: Path, authorities: Authorities) -> Parts:
    """Make the good root with the keyring of the authorities, and its hash tree; skips the test where a tool is missing."""
    require("sqfstar", "veritysetup", "objcopy", "osslsigncode", "mkfs.vfat", "mcopy", "mke2fs", "sfdisk", "rauc")
    image = work / "rootfs.img"
    root = good_root().file("/etc/rauc/keyring.pem", authorities.keyring.read_text())
    tool("sqfstar", "-quiet", "-no-progress", "-root-mode", "755", image, stdin=packed(root))
    offset = image.stat().st_size
    verified = VerityImage(image, root_hash=verity_image(image).hex(), hash_offset=offset)
    template = image_recipe(DEVELOPMENT_IMAGE, layer=data("meta-everest-secure"), work=work / "recipe", settings={}).command_line
    return Parts(authorities, image, {slot: command_line(template, slot, verified) for slot in ("a", "b")})


def lists(folder: Path) -> None:
    """Write what a build leaves beside an image: its packages, their bill of materials and known vulnerabilities, variables, the kernel's configuration."""
    (folder / f"{IMAGE}.manifest").write_text(f"rauc core2_64 {VERSIONS['rauc']}-r0\n")
    (folder / BILL).write_text(spdx3("rauc"))
    (folder / REPORT).write_text(report(issue(1, "Patched"), name="rauc", version=VERSIONS["rauc"]))
    (folder / f"{IMAGE}.testdata.json").write_text(json.dumps({"MACHINE": MACHINE, "DISTRO": "everest-secure"}))
    (folder / f"kernel-config-{MACHINE}").write_text(configuration())


def policy_file(file: Path, authorities: Authorities, *, expired: str = "") -> Path:
    """Write a product's policy file: the certificate of its db, and statements that hold for a year; that of the requirement `expired` held until yesterday."""
    today = datetime.now(UTC).date()
    evidence = "".join(_statement(name, text, today - timedelta(days=1 if name == expired else -365)) for name, text in _EVIDENCE.items())
    db = authorities.certificate(BOOT)
    file.write_text(f"extends: production\nparameters:\n  secure_boot_certificates: [{json.dumps(str(db))}]\nevidence:\n{evidence}")
    return file


def _statement(requirement: str, statement: str, expires: date) -> str:
    signed = expires - timedelta(days=366)
    return f"  - id: {requirement}\n    statement: {statement}\n    owner: Jane Doe, product security\n    date: {signed}\n    expires: {expires}\n"
