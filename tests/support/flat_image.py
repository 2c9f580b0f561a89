"""FITs made and signed by mkimage, without BitBake."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.image.artefact import open_artefact
from everest_secure.image.fdt import DeviceTree
from everest_secure.image.fit import Fit
from everest_secure.image.fit_signature import required_keys
from support.images import tool
from support.reference import require

SLOTS = ("a", "b")
START = " load = <0x40400000>; entry = <0x40400000>;"
"""Where QEMU's board has memory that U-Boot and the FIT leave free."""


@dataclass(frozen=True)
class FitKey:
    """A key as mkimage takes it, and U-Boot's device tree that requires it."""

    directory: Path
    name: str
    tree: Path

    def public(self) -> rsa.RSAPublicKey:
        """Return the key that U-Boot's device tree requires."""
        facts = open_artefact(self.tree).facts
        assert isinstance(facts, DeviceTree)
        (key,) = required_keys(facts)
        return key.key


def fit_key(directory: Path, *, bits: int = 2048, name: str = "everest") -> FitKey:
    """Make a key pair with openssl and an empty device tree; `signed_fit` puts the key into it."""
    require("mkimage", "dtc", "openssl")
    directory.mkdir()
    options = ["-newkey", f"rsa:{bits}", "-nodes", "-subj", "/CN=db", "-days", "2"]
    tool("openssl", "req", "-x509", *options, "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt")
    device_tree(directory / "u-boot.dtb", "/ { };")
    return FitKey(directory, name, directory / "u-boot.dtb")


def device_tree(target: Path, source: str) -> Path:
    """Compile a device tree."""
    tool("dtc", "-q", "-O", "dtb", "-o", target, stdin=f"/dts-v1/;\n{source}".encode())
    return target


def fit_source(parts: dict[str, Path], *, algorithm: str, padding: str, name: str, covers: str) -> str:
    """Return the source of a FIT with a configuration for each slot."""
    types = {"kernel": "kernel", "ramdisk": "ramdisk"}
    images = "".join(
        f'{image} {{ data = /incbin/("{file}"); type = "{types.get(image, "flat_dt")}"; arch = "arm64"; os = "linux"; compression = "none";'
        f'{START if image == "kernel" else ""} hash-1 {{ algo = "sha256"; }}; }};'
        for image, file in parts.items()
    )
    signature = f'signature-1 {{ algo = "{algorithm}"; padding = "{padding}"; key-name-hint = "{name}"; sign-images = {covers}; }};'
    configurations = "".join(
        f'conf-{slot} {{ kernel = "kernel"; ramdisk = "ramdisk"; fdt = "fdt-{slot}"; {signature if name else ""} }};' for slot in SLOTS
    )
    return (
        '/dts-v1/; / { description = "test"; #address-cells = <1>;'
        f'images {{ {images} }}; configurations {{ default = "conf-a"; {configurations} }}; }};'
    )


def signed_fit(
    directory: Path,
    key: FitKey | None,
    *options: str,
    bits: int = 2048,
    digest: str = "sha256",
    padding: str = "pkcs-1.5",
    covers: str = '"kernel", "ramdisk", "fdt"',
    slots: Path | None = None,
) -> Path:
    """Make a FIT of a kernel, an initial RAM disk and two device trees, and sign both configurations; without a key it is unsigned.

    `slots` is a device tree for both in the place of one for each.
    """
    directory.mkdir(exist_ok=True)
    parts = {"kernel": directory / "kernel", "ramdisk": directory / "ramdisk"}
    parts["kernel"].write_bytes(bytes(range(256)) * 40)
    parts["ramdisk"].write_bytes(b"initramfs" * 1000)
    for slot in SLOTS:
        parts[f"fdt-{slot}"] = slots or device_tree(
            directory / f"{slot}.dtb", f'/ {{ chosen {{ bootargs = "ro lockdown=integrity rauc.slot={slot}"; }}; }};'
        )
    source = fit_source(parts, algorithm=f"{digest},rsa{bits}", padding=padding, name=key.name if key else "", covers=covers)
    (directory / "test.its").write_text(source)
    signing: list[str | Path] = ["-k", key.directory, "-K", key.tree, "-r"] if key else []
    tool("mkimage", *options, "-f", directory / "test.its", *signing, directory / "test.fit")
    return directory / "test.fit"


def signed_again(fit: Path, key: FitKey, target: Path) -> Path:
    """Return a copy whose digests and signatures are made anew over what is there."""
    shutil.copyfile(fit, target)
    tool("mkimage", "-F", "-k", key.directory, target)
    return target


def fit_of(path: Path) -> Fit:
    """Open a FIT."""
    facts = open_artefact(path).facts
    assert isinstance(facts, Fit)
    return facts
