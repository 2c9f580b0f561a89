"""Bundles that only one device can read, with the real rauc and a TPM in software (RAUC-08)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.pki.keys import KeyType
from everest_secure.pki.store import Store
from support import pki
from support.bundle import incompressible
from support.layer import UNITS, Bench
from support.reference import require
from support.tpm import SoftwareTpm, software_tpm

pytestmark = [pytest.mark.layer, pytest.mark.usefixtures("each_rauc")]

MANIFEST = "[update]\ncompatible=charger-x\nversion=1.0.0\n\n[bundle]\nformat=crypt\n\n[image.rootfs]\nfilename=rootfs.img\n"


@pytest.fixture
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    with software_tpm(tmp_path_factory.mktemp("t")) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return pki.make(tmp_path_factory.mktemp("pki") / "keys", chosen=pki.small(key=KeyType.RSA_4096))


@pytest.fixture
def openssl_cnf(layer: Bench) -> Path:
    return layer.package("everest-update-decryption").files / "etc/rauc/openssl.cnf"


def make_device(tpm: SoftwareTpm, directory: Path, openssl_cnf: Path, keys: Store) -> Path:
    """Make a device's decryption key and certificate and return the system.conf that names them."""
    directory.mkdir()
    tpm.make_key(directory / "key.pem", "RSA", "-pkeyopt", "bits:2048")
    # The certificate says whom to encrypt for; nobody verifies it, and its signature is made by another key.
    subject = tpm.run("openssl", "pkey", "-in", directory / "key.pem", "-pubout", "-out", directory / "public.pem", openssl_cnf=openssl_cnf)
    assert subject.returncode == 0, subject.stderr
    issuer = ("-CA", keys.certificate("root"), "-CAkey", keys.key("root"))
    request = ("openssl", "x509", "-new", "-force_pubkey", directory / "public.pem", "-subj", "/CN=device", "-days", "30")
    subprocess.run([*request, *issuer, "-out", directory / "cert.pem"], check=True, capture_output=True)
    system_conf = directory / "system.conf"
    system_conf.write_text(
        f"[system]\ncompatible=charger-x\nbootloader=noop\nstatusfile={directory}/status\nbundle-formats=crypt\n"
        f"[keyring]\npath={keys.keyring}\ncheck-purpose=codesign\n[encryption]\nkey=key.pem\ncert=cert.pem\n"
        "[slot.rootfs.0]\ndevice=/dev/null\nbootname=A\n"
    )
    return system_conf


def make_bundle(directory: Path, keys: Store, system_conf: Path) -> Path:
    content = directory / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(incompressible(300_000))
    (content / "manifest.raucm").write_text(MANIFEST)
    signer: list[str | Path] = ["--cert", keys.certificate("signer"), "--key", keys.key("signer"), "--intermediate", keys.chain("signer")]
    made, encrypted = directory / "made.raucb", directory / "encrypted.raucb"
    commands: tuple[list[str | Path], ...] = (
        [*signer, "bundle", content, made],
        ["--conf", system_conf, "encrypt", "--to", system_conf.with_name("cert.pem"), made, encrypted],
    )
    for arguments in commands:
        done = subprocess.run(["rauc", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return encrypted


def test_a_bundle_is_read_with_the_key_in_the_tpm_and_with_nothing_else(
    tpm: SoftwareTpm, tmp_path: Path, keys: Store, openssl_cnf: Path
) -> None:
    require("rauc")
    device = make_device(tpm, tmp_path / "device", openssl_cnf, keys)
    other = make_device(tpm, tmp_path / "other", openssl_cnf, keys)
    bundle = make_bundle(tmp_path, keys, device)

    read = tpm.run("rauc", "--conf", device, "info", bundle, openssl_cnf=openssl_cnf)
    assert read.returncode == 0, read.stderr
    assert "charger-x" in read.stdout

    without_provider = tpm.run("rauc", "--conf", device, "info", bundle)
    assert (without_provider.returncode, "Failed to decrypt bundle" in without_provider.stderr) == (1, True)
    another = tpm.run("rauc", "--conf", other, "info", bundle, openssl_cnf=openssl_cnf)
    assert (another.returncode, "Failed to decrypt bundle" in another.stderr) == (1, True)


def test_rauc_is_told_where_its_key_lies(layer: Bench) -> None:
    files = layer.package("everest-update-decryption").files
    unit = (files / UNITS / "rauc.service.d/50-everest-decryption.conf").read_text().splitlines()
    assert "Environment=OPENSSL_CONF=/etc/rauc/openssl.cnf" in unit
    assert "everest-update-decryption" in layer.package("rauc-conf", EVEREST_CRYPT_BUNDLE="1").depends
    assert "everest-update-decryption" not in layer.package("rauc-conf").depends
