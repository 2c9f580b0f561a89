"""Bundles, judged here with the keyring of a device and by `rauc info` with the same keyring."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Bundle, Outcome, registered, run_check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from support.authority import issue
from support.bundle import incompressible
from support.images import tool
from support.reference import require
from support.rootfs import good_root, production

ROOT = issue("Release root", authority=True)
SUB = issue("Signing", by=ROOT, authority=True, path_length=0)
OTHER = issue("Release root", authority=True)
SIGNERS = {
    "good": issue("Signer", by=ROOT),
    "for mail": issue("Signer", by=ROOT, for_clients=True),
    "other authority": issue("Signer", by=OTHER),
    "without its intermediate": issue("Signer", by=SUB),
    "authority itself": SUB,
}
ALTERED = {"signature": -300, "end": -1}
CONF = "[system]\ncompatible=x\nbootloader=noop\n[keyring]\npath={}/root.pem\ncheck-purpose=codesign\n"


def make(place: Path, signer: str) -> Path:
    """Make a bundle with rauc, which does not ask the keyring of whom it signs for."""
    (place / "content").mkdir()
    (place / "content/rootfs.img").write_bytes(incompressible(64 * 1024))
    (place / "content/manifest.raucm").write_text(
        "[update]\ncompatible=x\nversion=1.0.0\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    (place / "cert.pem").write_text(SIGNERS[signer].pem)
    (place / "key.pem").write_text(SIGNERS[signer].key_pem)
    tool("rauc", "bundle", f"--cert={place / 'cert.pem'}", f"--key={place / 'key.pem'}", place / "content", place / "x.raucb")
    return place / "x.raucb"


def ours(bundle: Path) -> bool:
    checks.load()
    try:
        subject = Bundle(open_artefact(bundle), (good_root().file("/etc/rauc/keyring.pem", ROOT.pem).root,))
    except ArtefactError:
        return False
    name = "signature_chain_and_payload_hold_with_the_keyring_of_the_image"
    (entry,) = [each for each in registered() if each.function.__name__ == name]
    return run_check(entry, subject, "b", replace(production(), signature_key_bits=2048)).outcome is Outcome.PASS


def theirs(bundle: Path, place: Path) -> bool:
    (place / "root.pem").write_text(ROOT.pem)
    (place / "system.conf").write_text(CONF.format(place))
    command = ["rauc", f"--conf={place / 'system.conf'}", "info", str(bundle)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("signer", SIGNERS)
def test_rauc_and_we_agree_on_a_signer(signer: str, tmp_path: Path) -> None:
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, signer)
    verdict = theirs(bundle, tmp_path)
    assert verdict is (signer == "good")
    assert ours(bundle) is verdict


@pytest.mark.parametrize("part", ["signature", "end", "cut"])
def test_rauc_and_we_agree_on_what_was_altered(part: str, tmp_path: Path) -> None:
    require("rauc", "mksquashfs")
    bundle = make(tmp_path, "good")
    raw = bytearray(bundle.read_bytes())
    if part == "cut":
        raw = raw[:-4096]
    else:
        raw[ALTERED[part]] ^= 1
    bundle.write_bytes(raw)
    assert (ours(bundle), theirs(bundle, tmp_path)) == (False, False)
