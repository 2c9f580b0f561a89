"""A bundle judged as the device of an image would: its keyring and its system.conf decide."""

import subprocess
from pathlib import Path

import pytest

from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.in_image import device_in
from everest_secure.bundle.judge import Judgement, judge
from everest_secure.bundle.version import precedence
from everest_secure.checks.update import VERSION
from everest_secure.cli.main import main
from everest_secure.errors import ArtefactError, ExitCode, UserError
from everest_secure.run import HostTools
from support import pki as support
from support.authority import issue, revocation_list
from support.bundle import Workshop
from support.forgery import authorities, good_bundle, take_apart
from support.images import gpt_disk, tool
from support.raucs import version

CONFIGURATION = (
    "[system]\ncompatible={compatible}\nbootloader=noop\nbundle-formats=verity\n{more}\n[keyring]\npath={keyring}\ncheck-purpose=codesign\n"
)


def root(directory: Path, pem: str, *, compatible: str = "everest-secure-test", more: str = "", keyring: str = "keyring.pem") -> Path:
    """Make the root of a device; `more` are lines of [system] and of what follows."""
    for name in ("etc/rauc", "usr"):
        (directory / name).mkdir(parents=True)
    (directory / "etc/rauc/system.conf").write_text(CONFIGURATION.format(compatible=compatible, more=more, keyring=keyring))
    (directory / "etc/rauc/keyring.pem").write_text(pem)
    return directory


def judged(bundle: Path, image: Path) -> Judgement:
    with device_in(image) as device:
        return judge(bundle, device=device, now=support.now(), tools=HostTools())


def independently(bundle: Path, image: Path) -> Judgement:
    with device_in(image) as device:
        return judge(bundle, device=device, now=support.now(), tools=None)


def reasons(found: Judgement) -> list[str]:
    assert found.difference == ""
    return [str(reason.why) for reason in found.independent.reasons]


@pytest.fixture
def pem(workshop: Workshop) -> str:
    return workshop.pki.keyring.read_text()


@pytest.mark.parametrize("form", ["directory", "squashfs", "disk"])
def test_the_keyring_is_taken_from_any_image(bundle: Path, pem: str, tmp_path: Path, form: str) -> None:
    image = root(tmp_path / "root", pem)
    if form != "directory":
        tool("mksquashfs", image, tmp_path / "root.squashfs", "-quiet", "-no-progress")
        image = tmp_path / "root.squashfs"
    if form == "disk":
        gpt_disk(tmp_path / "disk.raw", {"rootfs-a": image, "rootfs-b": image})
        image = tmp_path / "disk.raw"
    assert judged(bundle, image).accepted


def test_a_device_of_another_authority_refuses_it(bundle: Path, tmp_path: Path) -> None:
    other = support.make(tmp_path / "other")
    assert reasons(judged(bundle, root(tmp_path / "root", other.keyring.read_text()))) == ["untrusted"]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"compatible": "other"}, ["compatible"]),
        ({"more": "min-bundle-version=1.2.4"}, ["downgrade"]),
        ({"more": "min-bundle-version=1.2.3"}, []),
        ({"more": "[keyring]\ncheck-crl=true"}, ["revocation-list", "revocation-list"]),
        ({"more": "[slot.rootfs.0]\ndevice=/dev/a\n[slot.rootfs.1]\ndevice=/dev/b\nreadonly=true"}, []),
        ({"more": "[slot.rootfs.0]\ndevice=/dev/a\nreadonly=true"}, ["component"]),
        ({"more": "[slot.system.0]\ndevice=/dev/a"}, ["component"]),
        ({"more": "[slot.system.0]\ndevice=/dev/a\n[artifacts.rootfs]\npath=/srv\ntype=files"}, []),
    ],
)
def test_what_its_system_conf_asks_for_counts(bundle: Path, pem: str, tmp_path: Path, setting: dict[str, str], why: list[str]) -> None:
    assert reasons(judged(bundle, root(tmp_path / "root", pem, **setting))) == why


@pytest.mark.parametrize(("checks", "why"), [("true", ["revoked"]), ("false", [])])
def test_lists_in_its_keyring_count_when_its_rauc_looks_at_them(tmp_path: Path, checks: str, why: list[str]) -> None:
    pki = authorities(tmp_path)
    bundle = good_bundle(pki, "update")
    lists = revocation_list(pki.root) + revocation_list(pki.intermediate, pki.signer)
    image = root(tmp_path / "root", pki.root.pem + lists, compatible="charger", more=f"[keyring]\ncheck-crl={checks}")
    found = judged(bundle, image)
    assert [each for each in reasons(found) if each != "weak-key"] == why
    assert found.rauc is not None
    assert found.rauc.accepted is (checks == "false")


def hashed(pem: str, directory: Path) -> str:
    """Return the name by which openssl looks for an authority in a directory."""
    (directory / "hashed.pem").write_text(pem)
    return f"{tool('openssl', 'x509', '-in', directory / 'hashed.pem', '-noout', '-subject_hash').decode().strip()}.0"


KEYRINGS = {
    "a file in PEM": (("path", "a.pem"), True),
    "a file in DER": (("path", "a.der"), False),
    "a directory that openssl rehashed": (("directory", "rehashed"), True),
    "a directory that nobody rehashed": (("directory", "plain"), False),
}


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize("case", KEYRINGS)
def test_a_keyring_is_what_rauc_reads_of_it(bundle: Path, pem: str, tmp_path: Path, case: str) -> None:
    (setting, name), trusted = KEYRINGS[case]
    etc = root(tmp_path / "root", pem) / "etc/rauc"
    (etc / "a.pem").write_text(pem)
    tool("openssl", "x509", "-in", etc / "a.pem", "-outform", "DER", "-out", etc / "a.der")
    for directory in ("plain", "rehashed"):
        (etc / directory).mkdir()
        (etc / directory / "a.pem").write_text(pem)
    (etc / "rehashed" / hashed(pem, tmp_path)).symlink_to("a.pem")
    text = (etc / "system.conf").read_text()
    (etc / "system.conf").write_text(text.replace("path=keyring.pem", f"{setting}={name}"))
    asked = ["rauc", f"--conf={etc}/system.conf", "info", str(bundle)]
    assert (subprocess.run(asked, capture_output=True, check=False).returncode == 0) is trusted
    if trusted:
        assert judged(bundle, tmp_path / "root").accepted
        return
    with pytest.raises(UserError):
        judged(bundle, tmp_path / "root")


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize(("setting", "why"), [("", ["layout"]), ("max-bundle-signature-size=200000", [])])
def test_a_device_may_read_larger_signatures(tmp_path: Path, setting: str, why: list[str]) -> None:
    """So it has to for an encrypted bundle with many recipients."""
    pki = authorities(tmp_path)
    bundle = good_bundle(pki, "update")
    parts = take_apart(bundle)
    many = [pki.intermediate, *(issue(f"Authority {number}", authority=True) for number in range(300))]
    bundle.write_bytes(parts.with_cms(pki.sign(parts.manifest, pki.signer, above=many)).join())
    image = root(tmp_path / "root", pki.root.pem, compatible="charger", more=setting)
    found = judged(bundle, image) if version(HostTools()) >= (1, 13) else independently(bundle, image)
    assert [each for each in reasons(found) if each != "weak-key"] == why


VERSIONS = {
    "1.2.3": True,
    "1": True,
    "1.2": True,
    "1.2.3-rc.1": True,
    "1.2.3-rc.1+build-7": True,
    "1.2.3-rc-1": False,
    "1.2.3-5-gabcdef0": False,  # git describe
    "1.2.3.4": False,
    "v1.2.3": False,
}


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize("least", VERSIONS)
def test_a_least_version_is_one_that_rauc_can_read(bundle: Path, pem: str, tmp_path: Path, least: str) -> None:
    """RAUC takes what stands behind the last hyphen for the pre-release (src/utils.c, r_semver_parse), and before 1.13 knows no least version."""
    assert (precedence(least) is not None) is VERSIONS[least]
    assert (VERSION.fullmatch(least) is not None) is VERSIONS[least]
    etc = root(tmp_path / "root", pem, more=f"min-bundle-version={least}") / "etc/rauc"
    if version(HostTools()) >= (1, 13):
        asked = ["rauc", f"--conf={etc}/system.conf", "info", str(bundle)]
        assert (subprocess.run(asked, capture_output=True, check=False).returncode == 0) is VERSIONS[least]


SIGNERS = {"Another;Signer A": [], "Signer A;": [], "Another": ["newer-rauc"], "signer a": ["newer-rauc"], "": ["newer-rauc"]}


@pytest.mark.usefixtures("each_rauc")
@pytest.mark.parametrize("names", SIGNERS)
def test_a_signer_of_another_name_is_refused_by_a_device_that_names_its_own(tmp_path: Path, names: str) -> None:
    """RAUC before 1.15 does not know the setting."""
    pki = authorities(tmp_path)
    bundle = good_bundle(pki, "update")
    image = root(tmp_path / "root", pki.root.pem, compatible="charger", more=f"[keyring]\nallowed-signer-cns={names}")
    assert [each for each in reasons(judged(bundle, image)) if each != "weak-key"] == SIGNERS[names]
    if version(HostTools()) >= (1, 15):
        asked = ["rauc", f"--conf={image}/etc/rauc/system.conf", "info", str(bundle)]
        assert (subprocess.run(asked, capture_output=True, check=False).returncode == 0) is (SIGNERS[names] == [])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"more": "[keyring]\nallow-partial-chain=true"}, "accepts a chain that does not reach a root"),
        ({"more": "[keyring]\nuse-bundle-signing-time=true"}, "accepts a signer that has ended"),
        ({"more": "min-bundle-version=yesterday"}, "min-bundle-version 'yesterday'"),
        ({"more": "bundle-formats=plain"}, "the format plain alone"),
    ],
)
def test_a_device_that_judges_otherwise_is_not_played(pem: str, tmp_path: Path, setting: dict[str, str], words: str) -> None:
    with pytest.raises(BundleError, match=words), device_in(root(tmp_path / "root", pem, **setting)):
        pass


def test_a_device_that_takes_signers_for_mail_is_not_played(pem: str, tmp_path: Path) -> None:
    image = root(tmp_path / "root", pem)
    conf = image / "etc/rauc/system.conf"
    conf.write_text(conf.read_text().replace("check-purpose=codesign\n", ""))
    with pytest.raises(BundleError, match="for the purpose 'smimesign'"), device_in(image):
        pass


def test_an_image_without_a_keyring_is_no_device(pem: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="names no keyring"), device_in(root(tmp_path / "root", pem, keyring="")):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="holds no root file system"), device_in(tmp_path / "empty"):
        pass


def test_a_disk_whose_slots_are_of_different_devices_is_none(pem: str, tmp_path: Path) -> None:
    slots = {}
    for name, compatible in (("rootfs-a", "one"), ("rootfs-b", "other")):
        tool("mksquashfs", root(tmp_path / name, pem, compatible=compatible), tmp_path / f"{name}.img", "-quiet", "-no-progress")
        slots[name] = tmp_path / f"{name}.img"
    gpt_disk(tmp_path / "disk.raw", slots)
    with pytest.raises(BundleError, match="different keyrings or configurations"), device_in(tmp_path / "disk.raw"):
        pass


def test_the_command_names_the_device_and_leaves_no_keyring_behind(
    bundle: Path, pem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    image = root(tmp_path / "root", pem, compatible="other")
    assert main(["bundle", "extract", str(bundle), str(tmp_path / "out"), "--device", str(image)]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert f"is refused with the device of {image}: the bundle is for 'everest-secure-test'" in " ".join(said.split())
    assert main(["bundle", "verify", str(bundle), "--device", str(image), "--compatible", "everest-secure-test"]) == ExitCode.OK
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("trust", [(), ("--keyring", "keyring.pem", "--device", "/")])
def test_a_keyring_or_a_device_is_given(bundle: Path, trust: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bundle", "verify", str(bundle), *trust])
    assert ended.value.code == ExitCode.USAGE
