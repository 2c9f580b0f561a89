"""The signed FIT: what lies in it, and U-Boot, the real one in QEMU, which starts it or refuses (FS-02, BOOT-01)."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure.errors import UserError
from everest_secure.image.fit_signature import configuration_faults
from everest_secure.parse.cmdline import parse_cmdline
from everest_secure.run import run
from support.fit import ROOT, Parts, key, make, parts, start, trusting
from support.flat_image import fit_of
from support.layer import Bench
from support.signature import changes_with

pytestmark = pytest.mark.layer

SLOTS = ("a", "b")
STARTED = "Starting kernel ..."
OLDER = {"FIT_PAD_ALG": "pkcs-1.5"}
"""Debian's U-Boot is built without PSS; the layer's own is built with it (everest-secure.cfg)."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def fit(layer: Bench, image: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FIT as it comes."""
    return Path(shutil.copy(make(layer, image), tmp_path_factory.mktemp("fit")))


@pytest.fixture(scope="module")
def older(layer: Bench, image: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FIT in the form that Debian's U-Boot can verify."""
    return Path(shutil.copy(make(layer, image, **OLDER), tmp_path_factory.mktemp("older")))


@pytest.fixture(scope="module")
def tree(image: Parts, older: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """U-Boot's own device tree with the public key in it."""
    return trusting(image, older, tmp_path_factory.mktemp("trusting"))


def prop(fit: Path, node: str, name: str) -> str:
    return run(["fdtget", "-t", "s", fit, node, name]).decode().strip()


def command_line(fit: Path, number: int, place: Path) -> str:
    """What the device tree of a slot tells the kernel."""
    extracted = place / f"{number}.dtb"
    run(["dumpimage", "-T", "flat_dt", "-p", str(number), "-o", extracted, fit])
    return prop(extracted, "/chosen", "bootargs")


@pytest.mark.parametrize("slot", SLOTS)
def test_a_configuration_s_signature_covers_kernel_initramfs_and_device_tree(fit: Path, slot: str) -> None:
    signature = f"/configurations/conf-{slot}/signature-1"
    assert prop(fit, signature, "algo") == "sha256,rsa4096"
    assert prop(fit, signature, "padding") == "pss"
    covered = set(prop(fit, signature, "hashed-nodes").split())
    images = [f"/images/{name}" for name in ("kernel", "ramdisk", f"fdt-{slot}")]
    assert covered == {"/", f"/configurations/conf-{slot}", *images, *(f"{name}/hash-1" for name in images)}


@pytest.mark.parametrize(("slot", "number"), [("a", 2), ("b", 3)])
def test_the_signed_device_tree_carries_the_command_line_of_its_slot(fit: Path, tmp_path: Path, slot: str, number: int) -> None:
    found = parse_cmdline(command_line(fit, number, tmp_path))
    assert found.root_read_only
    assert found.values("roothash") == (ROOT["root_hash"],)
    assert found.values("systemd.verity_root_data") == (f"PARTLABEL=rootfs-{slot}",)
    assert found.values("rauc.slot") == (slot.upper(),)
    assert not found.has("console")


@pytest.mark.parametrize("slot", SLOTS)
def test_the_checker_finds_it_signed_as_u_boot_asks_for(fit: Path, image: Parts, slot: str) -> None:
    found = fit_of(fit)
    configuration = found.configurations[f"conf-{slot}"]
    key = x509.load_pem_x509_certificate(image.certificate.read_bytes()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert configuration_faults(found, configuration, key) == ()
    (line,) = found.command_lines(configuration)
    assert parse_cmdline(line).values("roothash") == (ROOT["root_hash"],)


@pytest.mark.parametrize("slot", SLOTS)
def test_u_boot_starts_either_slot(older: Path, tree: Path, slot: str) -> None:
    said = start(older, f"conf-{slot}", tree)
    assert "sha256,rsa4096:everest+ OK" in said
    assert STARTED in said


def test_u_boot_refuses_a_changed_kernel(older: Path, tree: Path, tmp_path: Path) -> None:
    content = bytearray(older.read_bytes())
    content[content.index(b"\x1f\x8b\x08") + 40] ^= 1
    (changed := tmp_path / "changed.fit").write_bytes(content)
    said = start(changed, "conf-a", tree)
    assert "Bad hash value for 'hash-1'" in said
    assert STARTED not in said


def test_u_boot_refuses_a_changed_command_line_even_with_its_hash_made_anew(older: Path, tree: Path, tmp_path: Path) -> None:
    content = older.read_bytes()
    assert content.count(b"lockdown=integrity") == 2
    changed = tmp_path / "changed.fit"
    changed.write_bytes(content.replace(b"lockdown=integrity", b"lockdown=nothing!!"))
    run(["mkimage", "-F", changed])
    said = start(changed, "conf-a", tree)
    assert re.search(r"everest-\s+error!", said)
    assert STARTED not in said


def test_u_boot_refuses_what_somebody_else_signed(layer: Bench, image: Parts, tree: Path, tmp_path: Path) -> None:
    key(tmp_path / "other.key", tmp_path / "other.crt")
    other = make(
        layer, image, EVEREST_SECURE_BOOT_KEY=str(tmp_path / "other.key"), EVEREST_SECURE_BOOT_CERT=str(tmp_path / "other.crt"), **OLDER
    )
    assert STARTED not in start(other, "conf-a", tree)


def test_u_boot_refuses_what_nobody_signed(layer: Bench, image: Parts, tree: Path) -> None:
    said = start(make(layer, image, EVEREST_SECURE_BOOT="0"), "conf-a", tree)
    assert "Failed to verify required signature" in said
    assert STARTED not in said


def test_no_private_key_is_copied(layer: Bench, image: Parts) -> None:
    make(layer, image)
    secret = image.key.read_text().splitlines()[1]
    files = [path for path in layer.work.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 5
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_another_key_or_certificate_in_the_same_files_signs_again(layer: Bench, image: Parts, tmp_path: Path) -> None:
    own = replace(image, key=Path(shutil.copy(image.key, tmp_path)), certificate=Path(shutil.copy(image.certificate, tmp_path)))
    built = layer.build("charger", own.settings(), variables=("do_fit[file-checksums]",), extra_layers=(own.layer,))
    for file in (own.key, own.certificate):
        assert changes_with(built.variables["do_fit[file-checksums]"], file, b"another")


def test_a_missing_key_stops_the_build_with_what_to_do(layer: Bench, image: Parts) -> None:
    with pytest.raises(UserError, match="EVEREST_SECURE_BOOT_KEY '/nowhere' is no readable file; set EVEREST_SECURE_BOOT_KEY and"):
        make(layer, image, EVEREST_SECURE_BOOT_KEY="/nowhere")


def test_a_key_of_another_length_stops_the_build_as_u_boot_would_refuse_its_signature(layer: Bench, image: Parts, tmp_path: Path) -> None:
    key(tmp_path / "short.key", tmp_path / "short.crt", bits=2048)
    with pytest.raises(UserError, match="is a key for rsa2048 and U-Boot expects rsa4096"):
        make(layer, image, EVEREST_SECURE_BOOT_KEY=str(tmp_path / "short.key"), EVEREST_SECURE_BOOT_CERT=str(tmp_path / "short.crt"))


def test_a_fit_larger_than_its_slot_stops_the_build(layer: Bench, image: Parts) -> None:
    with pytest.raises(UserError, match="its slot has 0 MiB; install less in the image or raise EVEREST_FIT_SIZE"):
        make(layer, image, EVEREST_FIT_SIZE="0")
