"""Bundles made by the real rauc, verified without it."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from everest_secure import checks
from everest_secure.checks.core import Bundle, Outcome, Root, registered, run_check
from everest_secure.image.artefact import open_artefact
from everest_secure.image.enveloped import load_decryption_key
from everest_secure.image.manifest import parse_manifest
from everest_secure.image.raucb import RaucBundle, with_key
from everest_secure.parse.cms import verify_signed_data
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult
from support.authority import Pair, issue
from support.forgery import Authorities, take_apart
from support.images import tool
from support.rootfs import KNOBS, good_root, production

pytestmark = pytest.mark.usefixtures("each_rauc")

NOISE = random.Random(1).randbytes(300_000)
"""A slot image that no compression touches, so that it can be found in the bundle."""


@dataclass(frozen=True)
class Pki:
    root: Pair
    intermediate: Pair
    signer: Pair


def make_pki() -> Pki:
    root = issue("Release root", authority=True)
    intermediate = issue("Intermediate", by=root, authority=True, path_length=0)
    return Pki(root, intermediate, issue("Signer", by=intermediate, key=rsa.generate_private_key(65537, 2048)))


@pytest.fixture(scope="module")
def pki() -> Pki:
    return make_pki()


def policy(bits: int = 2048) -> Parameters:
    return replace(production(), signature_key_bits=bits)


def make(
    directory: Path,
    signer: Pair,
    intermediate: Pair | None,
    *,
    form: str = "verity",
    compatible: str = KNOBS["EVEREST_COMPATIBLE"],
    image: Path | None = None,
    version: str = "version=1.2.3",
) -> Path:
    content = directory / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(image.read_bytes() if image else NOISE)
    (content / "manifest.raucm").write_text(
        f"[update]\ncompatible={compatible}\n{version}\n\n[bundle]\nformat={form}\n\n[image.rootfs]\nfilename=rootfs.img\n"
    )
    (directory / "cert.pem").write_text(signer.pem)
    (directory / "key.pem").write_text(signer.key_pem)
    arguments: list[str | Path] = ["rauc", "bundle", f"--cert={directory / 'cert.pem'}", f"--key={directory / 'key.pem'}"]
    if intermediate:
        (directory / "intermediate.pem").write_text(intermediate.pem)
        arguments.append(f"--intermediate={directory / 'intermediate.pem'}")
    tool(*arguments, content, directory / "update.raucb")
    return directory / "update.raucb"


def device(anchor: Pair) -> Root:
    return good_root().file("/etc/rauc/keyring.pem", anchor.pem).root


def judge(bundle: Path, *roots: Root, bits: int = 2048, key: Path | None = None) -> dict[str, CheckResult]:
    artefact = open_artefact(bundle)
    return outcomes(Bundle(with_key(artefact, load_decryption_key(key)) if key else artefact, roots), bits)


def outcomes(bundle: Bundle, bits: int = 2048) -> dict[str, CheckResult]:
    checks.load()
    return {
        entry.function.__name__: run_check(entry, bundle, "b", policy(bits)) for entry in registered() if entry.requirement == "RAUC-03"
    }


SIGNATURE = "signature_chain_and_payload_hold_with_the_keyring_of_the_image"


def findings(bundle: Path, *roots: Root, bits: int = 2048) -> str:
    result = judge(bundle, *roots, bits=bits)[SIGNATURE]
    assert result.outcome is Outcome.FAIL, result
    return " / ".join(finding.what for finding in result.findings)


def flipped(bundle: Path, offset: int) -> Path:
    raw = bytearray(bundle.read_bytes())
    raw[offset] ^= 1
    altered = bundle.with_name("altered.raucb")
    altered.write_bytes(raw)
    return altered


def test_a_bundle_of_the_release_authority_holds(pki: Pki, tmp_path: Path) -> None:
    results = judge(make(tmp_path, pki.signer, pki.intermediate), device(pki.root))
    assert {result.outcome for result in results.values()} == {Outcome.PASS}, results
    seen = " ".join(results[SIGNATURE].seen)
    assert "RSA 2048 with SHA256" in seen
    assert "CN=Signer < CN=Intermediate < CN=Release root" in seen


def encrypted(bundle: Path, recipient: Pair) -> tuple[Path, Path]:
    """Encrypt a crypt bundle for a recipient; return it and the recipient's key."""
    certificate, key = bundle.with_name("recipient.pem"), bundle.with_name("recipient.key")
    certificate.write_text(recipient.pem)
    key.write_text(recipient.key_pem)
    key.chmod(0o600)
    configuration, target = bundle.with_name("system.conf"), bundle.with_name("encrypted.raucb")
    configuration.write_text("[system]\ncompatible=x\nbootloader=noop\n\n[keyring]\npath=keyring.pem\ncheck-purpose=codesign\n")
    tool("rauc", f"--conf={configuration}", "encrypt", f"--to={certificate}", bundle, target)
    return target, key


def test_an_encrypted_bundle_holds_with_the_key_of_a_recipient_and_is_an_error_without(pki: Pki, tmp_path: Path) -> None:
    made = make(tmp_path, pki.signer, pki.intermediate, form="crypt")
    (tmp_path / "keyring.pem").write_text(pki.root.pem)
    bundle, key = encrypted(made, issue("Charger", key=rsa.generate_private_key(65537, 2048)))
    results = judge(bundle, configured(pki.root, "system", "bundle-formats=verity crypt"), key=key)
    assert {result.outcome for result in results.values()} == {Outcome.PASS}, results
    for result in judge(bundle, device(pki.root)).values():
        assert result.outcome is Outcome.ERROR
        assert "--decryption-key" in result.reason
    assert "without reaching a trust anchor" in " ".join(
        finding.what for finding in judge(bundle, device(make_pki().root), key=key)[SIGNATURE].findings
    )


def test_another_authority_is_refused(pki: Pki, tmp_path: Path) -> None:
    bundle = make(tmp_path, pki.signer, pki.intermediate)
    assert "without reaching a trust anchor" in findings(bundle, device(make_pki().root))


def test_an_authority_of_the_same_name_is_refused(pki: Pki, tmp_path: Path) -> None:
    bundle = make(tmp_path, pki.signer, pki.intermediate)
    assert "without reaching a trust anchor" in findings(bundle, device(issue("Release root", authority=True)))


def test_a_missing_intermediate_is_found(pki: Pki, tmp_path: Path) -> None:
    assert "without reaching a trust anchor" in findings(make(tmp_path, pki.signer, None), device(pki.root))


def test_an_expired_signer_is_found(pki: Pki, tmp_path: Path) -> None:
    signer = issue("Old", by=pki.intermediate, days=1, age=5)
    assert "expired on" in findings(make(tmp_path, signer, pki.intermediate), device(pki.root))


def test_a_signer_for_something_else_is_found(pki: Pki, tmp_path: Path) -> None:
    signer = issue("Mail", by=pki.intermediate, code_signing=False)
    assert "lacks codeSigning" in findings(make(tmp_path, signer, pki.intermediate), device(pki.root))


def test_a_signer_that_is_no_authority_cannot_issue(pki: Pki, tmp_path: Path) -> None:
    below = issue("Below", by=pki.signer)
    root = device(pki.root)
    bundle = make(tmp_path, below, pki.signer)
    assert "without reaching a trust anchor" in findings(bundle, root)


def test_an_intermediate_below_its_path_length_is_found(pki: Pki, tmp_path: Path) -> None:
    second = issue("Second intermediate", by=pki.intermediate, authority=True)
    bundle = make(tmp_path, issue("Signer", by=second), second)
    assert "allows 0 authorities below it" in findings(bundle, device_with_intermediate(pki))


def device_with_intermediate(pki: Pki) -> Root:
    return good_root().file("/etc/rauc/keyring.pem", pki.intermediate.pem).root


def test_a_small_key_is_found(pki: Pki, tmp_path: Path) -> None:
    assert "'CN=Signer' has 2048 bits, at least 4096 are wanted" in findings(
        make(tmp_path, pki.signer, pki.intermediate), device(pki.root), bits=4096
    )


def test_an_altered_payload_is_found(pki: Pki, tmp_path: Path) -> None:
    bundle = make(tmp_path, pki.signer, pki.intermediate)
    noise = bundle.read_bytes().index(NOISE[:64])
    assert "payload was altered" in findings(flipped(bundle, noise + 10), device(pki.root))


def test_an_altered_signature_is_no_signature(pki: Pki, tmp_path: Path) -> None:
    bundle = make(tmp_path, pki.signer, pki.intermediate)
    altered = flipped(bundle, bundle.stat().st_size - 20)
    result = judge(altered, device(pki.root))[SIGNATURE]
    assert result.outcome is Outcome.ERROR
    assert "does not verify" in result.reason


def test_an_altered_manifest_is_no_longer_what_was_signed(pki: Pki, tmp_path: Path) -> None:
    bundle = make(tmp_path, pki.signer, pki.intermediate)
    altered = flipped(bundle, bundle.read_bytes().rindex(b"version=1.2.3") + len(b"version=1.2."))
    result = judge(altered, device(pki.root))[SIGNATURE]
    assert result.outcome is Outcome.ERROR
    assert "altered after it was signed" in result.reason


def test_a_plain_bundle_is_never_a_pass(pki: Pki, tmp_path: Path) -> None:
    result = judge(make(tmp_path, pki.signer, pki.intermediate, form="plain"), device(pki.root))[SIGNATURE]
    assert result.outcome in (Outcome.FAIL, Outcome.ERROR)


def test_a_bundle_for_another_machine_is_found(pki: Pki, tmp_path: Path) -> None:
    result = judge(make(tmp_path, pki.signer, pki.intermediate, compatible="toaster"), device(pki.root))["manifest_fits_the_device"]
    assert "'toaster'" in result.findings[0].what


def test_a_bundle_without_a_version_is_found(pki: Pki, tmp_path: Path) -> None:
    result = judge(make(tmp_path, pki.signer, pki.intermediate, version=""), device(pki.root))["manifest_fits_the_device"]
    assert [finding.what for finding in result.findings] == ["the manifest has no version"]


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        (("filename=rootfs.img", "filename=rootfs.bin"), "by which RAUC does not know how to write it"),
        (
            ("filename=rootfs.img", "filename=rootfs.tar.gz"),
            "the type 'tar', which RAUC does not write into 'rootfs.0', 'rootfs.1' of the type 'raw'",
        ),
        (("filename=rootfs.img", "type=emptyfs"), "the type 'emptyfs', which RAUC does not write into"),
        (("[update]", "[surprise]\nkey=value\n\n[update]"), "the section 'surprise', which RAUC does not know"),
        (("version=1.2.3", "version=1.2.3\nmin-rauc-version=99.0"), "wants RAUC '99.0'"),
    ],
)
def test_a_manifest_that_rauc_refuses_is_found(altered: tuple[str, str], said: str, pki: Pki, tmp_path: Path) -> None:
    """What rauc itself would not put into a bundle takes the manifest's place."""
    artefact = open_artefact(make(tmp_path, pki.signer, pki.intermediate))
    assert isinstance(artefact.facts, RaucBundle)
    assert artefact.facts.manifest is not None
    manifest = parse_manifest(artefact.facts.manifest.text.replace(*altered).encode(), "b")
    bundle = Bundle(replace(artefact, facts=replace(artefact.facts, manifest=manifest)), (device(pki.root),))
    result = outcomes(bundle)["manifest_fits_the_device"]
    assert [said in finding.what for finding in result.findings] == [True]


SETTINGS = {
    "the signer is none of those that it names": ("keyring", "allowed-signer-cns=Another;", "'CN=Signer' has none of the common names"),
    "the bundle is older than all that it takes": ("system", "min-bundle-version=1.2.4", "the version 1.2.3 is below 1.2.4"),
    "it takes no bundles of this format": ("system", "bundle-formats=crypt", "the bundle has the format verity"),
    "its slots are of other classes": ("slots", "system", "no slot of the class 'rootfs'"),
    "its slots are for nobody to write": ("readonly", "readonly=true", "no slot of the class 'rootfs'"),
}


def configured(anchor: Pair, setting: str, value: str) -> Root:
    fs = good_root().file("/etc/rauc/keyring.pem", anchor.pem)
    if setting == "slots":
        return fs.replace("/etc/rauc/system.conf", r"^\[slot\.rootfs", f"[slot.{value}").root
    if setting == "readonly":
        return fs.replace("/etc/rauc/system.conf", r"^(\[slot\.rootfs.*)$", rf"\1\n{value}").root
    return fs.append("/etc/rauc/system.conf", f"\n[{setting}]\n{value}\n").root


@pytest.mark.parametrize("case", SETTINGS)
def test_a_bundle_does_not_fit_a_device_when(case: str, pki: Pki, tmp_path: Path) -> None:
    setting, value, said = SETTINGS[case]
    results = judge(make(tmp_path, pki.signer, pki.intermediate), configured(pki.root, setting, value))
    assert [said in finding.what for result in results.values() for finding in result.findings] == [True]


@pytest.mark.parametrize("setting", [("keyring", "allowed-signer-cns=Another;Signer"), ("system", "min-bundle-version=1.2.3")])
def test_a_bundle_fits_a_device_that_asks_for_what_it_is(setting: tuple[str, str], pki: Pki, tmp_path: Path) -> None:
    results = judge(make(tmp_path, pki.signer, pki.intermediate), configured(pki.root, *setting))
    assert {result.outcome for result in results.values()} == {Outcome.PASS}


def test_a_signature_is_as_large_as_the_device_reads(pki: Pki, tmp_path: Path) -> None:
    made = make(tmp_path, pki.signer, pki.intermediate)
    parts = take_apart(made)
    many = [pki.intermediate, *(issue(f"Authority {number}", authority=True) for number in range(300))]
    signed = Authorities(tmp_path, pki.root, pki.intermediate, pki.signer).sign(parts.manifest, pki.signer, above=many)
    assert 65536 < len(signed) < 200_000
    made.write_bytes(parts.with_cms(signed).join())
    assert "bytes, devices accept 65536" in findings(made, device(pki.root))
    results = judge(made, configured(pki.root, "system", "max-bundle-signature-size=200000"))
    assert {result.outcome for result in results.values()} == {Outcome.PASS}


def test_a_bundle_of_two_signers_is_found(pki: Pki, tmp_path: Path) -> None:
    """RAUC takes one signature; openssl writes as many as it is told to."""
    other = issue("Second", by=pki.intermediate)
    made = make(tmp_path, pki.signer, pki.intermediate)
    parts = take_apart(made)
    signed = Authorities(tmp_path, pki.root, pki.intermediate, pki.signer).sign(parts.manifest, pki.signer, other)
    made.write_bytes(parts.with_cms(signed).join())
    assert "the bundle has 2 signatures where RAUC wants one" in findings(made, device(pki.root))


def test_without_another_image_the_keyring_inside_the_bundle_counts_and_that_is_said(pki: Pki, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "etc/rauc").mkdir(parents=True)
    (root / "usr/noise").write_bytes(NOISE)
    (root / "etc/rauc/system.conf").write_text(f"[system]\ncompatible={KNOBS['EVEREST_COMPATIBLE']}\n[keyring]\npath=keyring.pem\n")
    (root / "etc/rauc/keyring.pem").write_text(pki.root.pem)
    tool("mksquashfs", root, tmp_path / "root.img", "-quiet", "-no-progress")
    result = judge(make(tmp_path, pki.signer, pki.intermediate, image=tmp_path / "root.img"))[SIGNATURE]
    assert result.outcome is Outcome.PASS, result
    assert "the bundle's own, no other image was given" in " ".join(result.seen)


def test_without_any_keyring_nothing_is_verified_and_that_is_an_error(pki: Pki, tmp_path: Path) -> None:
    result = judge(make(tmp_path, pki.signer, pki.intermediate))[SIGNATURE]
    assert result.outcome is Outcome.ERROR
    assert "holds no root file system with a keyring" in result.reason


def test_openssl_agrees_on_every_signature_that_holds(pki: Pki, tmp_path: Path) -> None:
    """The oracle: `openssl cms -verify` gives the same content for a detached-free DER SignedData of each key kind."""
    (tmp_path / "root.pem").write_text(pki.root.pem + pki.intermediate.pem)
    for signer in (pki.signer, issue("EC", by=pki.intermediate)):
        (tmp_path / "cert.pem").write_text(signer.pem)
        (tmp_path / "key.pem").write_text(signer.key_pem)
        (tmp_path / "in").write_bytes(b"[update]\nversion=1\n")
        files: list[str | Path] = [
            "-signer",
            tmp_path / "cert.pem",
            "-inkey",
            tmp_path / "key.pem",
            "-in",
            tmp_path / "in",
            "-out",
            tmp_path / "cms",
        ]
        tool("openssl", "cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-md", "sha256", "-outform", "DER", *files)
        verify: list[str | Path] = ["-inform", "DER", "-in", tmp_path / "cms", "-CAfile", tmp_path / "root.pem", "-purpose", "any"]
        signed = verify_signed_data((tmp_path / "cms").read_bytes(), "cms")
        assert signed.content == tool("openssl", "cms", "-verify", "-binary", *verify)
        assert signed.signatures[0].signer == signer.certificate
