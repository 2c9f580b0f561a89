"""Downgrades, the trial of a slot, components and encryption: RAUC-05 to RAUC-08."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Bundle, Root, registered, run_check
from everest_secure.image.artefact import open_artefact
from everest_secure.image.manifest import parse_manifest
from everest_secure.image.raucb import RaucBundle
from everest_secure.policy.parameters import Parameters
from everest_secure.result import Outcome
from support.bundle import incompressible
from support.images import throw_away_signer, tool
from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root, layer, production

CONF = "/etc/rauc/system.conf"
PROGRAMS = "/usr/libexec/everest-secure"
GUARD, GATE, HEALTH = f"{PROGRAMS}/everest-update-guard", f"{PROGRAMS}/everest-update-gate", f"{PROGRAMS}/everest-health-check"
TIMER, SERVICE = f"{UNITS}/everest-update-gate.timer", f"{UNITS}/everest-update-gate.service"
MCU = "\n[slot.mcu.0]\ndevice=/dev/null\ntype=raw\n"
MUTATIONS = [
    Mutation("no least version is set", "RAUC-05", lambda fs: fs.replace(CONF, "^min-bundle-version=.*$", "")),
    Mutation("the least version is no version", "RAUC-05", lambda fs: fs.replace(CONF, "^(min-bundle-version)=.*$", r"\1=latest")),
    Mutation("every version is above the least one", "RAUC-05", lambda fs: fs.replace(CONF, "^(min-bundle-version)=.*$", r"\1=0.0.0")),
    Mutation("the handler is missing", "RAUC-05", lambda fs: fs.remove(GUARD)),
    Mutation("the handler cannot be run", "RAUC-05", lambda fs: fs.chmod(GUARD, 0o644)),
    Mutation("the handler is the service user's", "RAUC-05", lambda fs: fs.chown(GUARD, 1500, 1500)),
    Mutation("the handler can be changed by a group", "RAUC-05", lambda fs: fs.chmod(GUARD, 0o775)),
    Mutation("the handler lies on the data partition", "RAUC-05", lambda fs: move_behind(fs, GUARD)),
    Mutation("the gate does not start", "RAUC-06", lambda fs: fs.remove(f"{LOCAL}/timers.target.wants/everest-update-gate.timer")),
    Mutation("the gate is masked", "RAUC-06", lambda fs: fs.link(f"{LOCAL}/everest-update-gate.timer", "/dev/null")),
    Mutation("the gate's unit is missing", "RAUC-06", lambda fs: fs.remove(SERVICE)),
    Mutation("the gate's program is missing", "RAUC-06", lambda fs: fs.remove(GATE)),
    Mutation("the health check is missing", "RAUC-06", lambda fs: fs.remove(HEALTH)),
    Mutation("the health check cannot be run", "RAUC-06", lambda fs: fs.chmod(HEALTH, 0o644)),
    Mutation(
        "EVerest asks for no health check",
        "RAUC-06",
        lambda fs: fs.replace("/etc/everest/config.yaml", "^      VerifyUpdateScriptPath:.*$", ""),
    ),
    Mutation(
        "the gate marks the slot good without a question",
        "RAUC-06",
        lambda fs: (
            fs.replace(SERVICE, "^ExecStart=.*$", "ExecStart=/usr/bin/rauc status mark-good"),
            fs.file("/usr/bin/rauc", b"\x7fELF", mode=0o755),
        ),
    ),
    Mutation(
        "rauc-mark-good starts beside the gate",
        "RAUC-06",
        lambda fs: (
            fs.remove(f"{LOCAL}/rauc-mark-good.service"),
            fs.link(f"{LOCAL}/multi-user.target.wants/rauc-mark-good.service", f"{UNITS}/rauc-mark-good.service"),
        ),
        also=("NET-06",),
    ),
    Mutation(
        "a shell marks the slot good",
        "RAUC-06",
        lambda fs: (
            fs.file(f"{UNITS}/everest-boot-entries.service", "[Service]\nExecStart=/bin/sh -c 'sleep 5; exec rauc status mark-good'\n"),
            fs.link(f"{LOCAL}/multi-user.target.wants/everest-boot-entries.service", f"{UNITS}/everest-boot-entries.service"),
        ),
    ),
    *(
        Mutation(
            f"{command} runs at each start",
            "RAUC-06",
            lambda fs, command=command: (  # type: ignore[misc] # mypy takes no default of a lambda
                fs.file(f"{UNITS}/everest-boot-entries.service", f"[Service]\nExecStart={command}\n"),
                fs.file("/usr/bin/up", f"#!/bin/sh\n{command}\n", mode=0o755),
                fs.link(f"{LOCAL}/multi-user.target.wants/everest-boot-entries.service", f"{UNITS}/everest-boot-entries.service"),
            ),
        )
        for command in (
            "/usr/bin/timeout 60 /usr/bin/rauc status mark-good",
            "/usr/bin/chrt --idle 0 busctl call de.pengutronix.rauc / de.pengutronix.rauc.Installer Mark ss good booted",
            "/usr/bin/fw_setenv BOOT_A_LEFT 3",
            "/usr/bin/grub-editenv /boot/grub/grubenv set A_OK=1 A_TRY=0",
            "/usr/bin/barebox-state -s bootstate.system0.remaining_attempts=3",
        )
    ),
    Mutation(
        "a new slot is put in front at once", "RAUC-06", lambda fs: fs.replace(CONF, "^(bootloader=efi)$", r"\1\nefi-use-bootnext=false")
    ),
    Mutation("RAUC tells no boot loader of a new slot", "RAUC-06", lambda fs: fs.replace(CONF, "^bootloader=efi$", "bootloader=noop")),
    Mutation(
        "encrypted bundles are accepted without a key",
        "RAUC-08",
        lambda fs: fs.replace(CONF, "^bundle-formats=.*$", "bundle-formats=crypt"),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("version", ["1.0.0", "1", "2.3", "1.0.0-rc.1+build.5"])
def test_versions_that_rauc_compares_are_least_versions(version: str) -> None:
    assert failing(good_root().replace(CONF, "^(min-bundle-version)=.*$", rf"\1={version}")) == {}


@pytest.mark.parametrize("how", ["ExecCondition=/usr/bin/ask", "ExecStartPre=/usr/bin/ask", "after"])
def test_a_gate_that_marks_by_itself_asks_before(how: str) -> None:
    fs = good_root().file("/usr/bin/rauc", b"\x7fELF", mode=0o755).file("/usr/bin/ask", b"\x7fELF", mode=0o755)
    own = "" if how == "after" else how
    unit = "Requires=rauc.service ask.service\nAfter=ask.service\n" if how == "after" else ""
    fs.file(SERVICE, f"[Unit]\n{unit}[Service]\n{own}\nExecStart=/usr/bin/rauc status mark-good\n")
    fs.file(f"{UNITS}/ask.service", "[Service]\nExecStart=/usr/bin/ask\n")
    policy = replace(production(), enabled_units=(*production().enabled_units, "ask.service"))
    assert failing(fs, policy) == {}


@pytest.mark.parametrize(
    "boot_loader", ["bootloader=efi\nefi-use-bootnext=true", "bootloader=uboot", "bootloader=grub\ngrubenv=/boot/efi/grubenv"]
)
def test_a_boot_loader_that_goes_back_holds(boot_loader: str) -> None:
    assert failing(good_root().replace(CONF, "^bootloader=efi$", boot_loader)) == {}


def encrypted(fs: RootFs) -> RootFs:
    """Install what EVEREST_CRYPT_BUNDLE installs."""
    files = "recipes-security/everest-update-decryption/files"
    fs.replace(CONF, "^bundle-formats=.*$", "bundle-formats=verity crypt")
    fs.append(CONF, layer("recipes-core/rauc/rauc-conf/encryption.conf"))
    fs.file("/etc/rauc/openssl.cnf", layer(f"{files}/openssl.cnf"))
    return fs.file(f"{UNITS}/rauc.service.d/50-everest-decryption.conf", layer(f"{files}/50-everest-decryption.conf"))


ENCRYPTION: dict[str, Callable[[RootFs], object]] = {
    "the key is a file": lambda fs: fs.remove(f"{UNITS}/rauc.service.d"),
    "there is no key": lambda fs: fs.replace(CONF, "^key=.*$", ""),
    "there is no certificate": lambda fs: fs.replace(CONF, "^cert=.*$", ""),
    "encrypted bundles are refused": lambda fs: fs.replace(CONF, "^bundle-formats=.*$", "bundle-formats=verity"),
}


@pytest.mark.parametrize("fault", ENCRYPTION)
def test_the_decryption_does_not_hold_when(fault: str) -> None:
    fs = encrypted(good_root())
    ENCRYPTION[fault](fs)
    assert set(failing(fs)) == {"RAUC-08"}


def outcome(requirement: str, subject: Root | Bundle, policy: Parameters | None = None) -> tuple[Outcome, str]:
    """Run the checks of one requirement on one subject."""
    checks.load()
    scope = "ROOT" if isinstance(subject, Root) else "BUNDLE"
    entries = [each for each in registered() if each.requirement == requirement and each.scope.name == scope]
    results = [run_check(each, subject, "s", policy or production()) for each in entries]
    (worst,) = results
    return worst.outcome, " / ".join(finding.what for finding in worst.findings) or worst.reason


def test_encryption_of_the_layer_is_a_decision_and_its_absence_is_none() -> None:
    assert outcome("RAUC-08", encrypted(good_root()).root)[0] is Outcome.PASS
    assert outcome("RAUC-08", good_root().root) == (Outcome.NOT_APPLICABLE, "the device is not made for encrypted bundles")


def test_a_component_of_the_policy_needs_a_slot() -> None:
    policy = replace(production(), update_components=("mcu",))
    assert outcome("RAUC-07", good_root().root)[0] is Outcome.NOT_APPLICABLE
    assert "there is no slot for 'mcu'" in outcome("RAUC-07", good_root().root, policy)[1]
    assert outcome("RAUC-07", good_root().append(CONF, MCU).root, policy)[0] is Outcome.PASS


def bundle(
    directory: Path, *, version: str = "1.2.3", hooks: str = "", image: str = "", program: int = 0o755, form: str = "verity"
) -> Bundle:
    """Make a bundle with rauc: a root image, a hook program, and what the manifest says besides."""
    content = directory / "content"
    content.mkdir()
    for name in ("rootfs.img", "mcu.img"):
        (content / name).write_bytes(incompressible(20_000))
    (content / "guard").write_text("#!/bin/sh\n")
    (content / "guard").chmod(program)
    text = f"[update]\ncompatible=everest-secure-qemux86-64\nversion={version}\n\n[bundle]\nformat={form}\n\n[image.rootfs]\nfilename=rootfs.img\n"
    (content / "manifest.raucm").write_text(text + hooks + image)
    key, certificate = throw_away_signer(directory)
    signing = (f"--cert={certificate}", f"--key={key}", f"--keyring={certificate}")
    tool("rauc", "bundle", *signing, content, directory / "a.raucb")
    if form == "crypt":
        tool("rauc", "encrypt", f"--keyring={certificate}", f"--to={certificate}", directory / "a.raucb", directory / "b.raucb")
    made = directory / ("b.raucb" if form == "crypt" else "a.raucb")
    return Bundle(open_artefact(made), (good_root().root,))


MANIFEST_OF_AN_ARTIFACT = "[update]\ncompatible=a\n[bundle]\nformat=verity\n[image.apps/meter]\nfilename=meter.img\n"
"""RAUC knows of artifacts from 1.13 on."""
HOOKS = "\n[hooks]\nfilename=guard\nhooks=install-check\n"
IMAGE = "\n[image.mcu]\nfilename=mcu.img\n"


def test_a_bundle_with_an_install_check_holds(tmp_path: Path) -> None:
    assert outcome("RAUC-05", bundle(tmp_path, hooks=HOOKS)) == (Outcome.PASS, "")


def test_a_bundle_without_an_install_check_is_found(tmp_path: Path) -> None:
    assert outcome("RAUC-05", bundle(tmp_path)) == (Outcome.FAIL, "the bundle has no install check")


def test_an_install_check_that_is_no_program_is_found(tmp_path: Path) -> None:
    assert outcome("RAUC-05", bundle(tmp_path, hooks=HOOKS, program=0o644)) == (
        Outcome.FAIL, "the hook 'guard' is no program in the bundle"
    )  # fmt: skip


def test_a_bundle_whose_version_cannot_be_compared_is_found(tmp_path: Path) -> None:
    said = outcome("RAUC-05", bundle(tmp_path, hooks=HOOKS, version="nightly"))
    assert said == (Outcome.FAIL, "the bundle's version 'nightly' is no semantic version, so that a downgrade cannot be seen")


def with_mcu(subject: Bundle) -> Bundle:
    return replace(subject, roots=(good_root().append(CONF, MCU).root,))


def test_without_components_nothing_is_asked_of_a_bundle(tmp_path: Path) -> None:
    assert outcome("RAUC-07", bundle(tmp_path))[0] is Outcome.NOT_APPLICABLE


def test_a_component_of_the_device_is_missing_in_the_bundle(tmp_path: Path) -> None:
    assert outcome("RAUC-07", with_mcu(bundle(tmp_path))) == (Outcome.FAIL, "the bundle has no image for 'mcu'")


def test_a_slot_that_rauc_does_not_write_is_no_component(tmp_path: Path) -> None:
    rescue = MCU.replace("mcu", "rescue") + "readonly=true\n"
    subject = replace(bundle(tmp_path), roots=(good_root().append(CONF, rescue).root,))
    assert outcome("RAUC-07", subject)[0] is Outcome.NOT_APPLICABLE


def test_a_component_may_be_a_repository_of_artifacts(tmp_path: Path) -> None:
    fs = good_root().append(CONF, "\n[artifacts.apps]\npath=/var/lib/apps\ntype=files\n")
    policy = replace(production(), update_components=("apps",))
    assert outcome("RAUC-07", fs.root, policy)[0] is Outcome.PASS
    subject = bundle(tmp_path)
    assert isinstance(subject.artefact.facts, RaucBundle)
    text = MANIFEST_OF_AN_ARTIFACT
    facts = replace(subject.artefact.facts, manifest=parse_manifest(text.encode(), "b"))
    with_artifact = Bundle(replace(subject.artefact, facts=facts), (fs.root,))
    assert outcome("RAUC-07", with_artifact, policy) == (Outcome.PASS, "")


def test_a_component_of_the_policy_is_missing_in_the_bundle(tmp_path: Path) -> None:
    policy = replace(production(), update_components=("meter",))
    assert outcome("RAUC-07", bundle(tmp_path), policy) == (Outcome.FAIL, "the bundle has no image for 'meter'")


def test_an_image_that_nobody_installs_is_found(tmp_path: Path) -> None:
    said = outcome("RAUC-07", with_mcu(bundle(tmp_path, hooks=HOOKS, image=IMAGE)))
    assert said == (Outcome.FAIL, "nothing installs the image for 'mcu': its slot has no device and the image no hook 'install'")


def test_an_image_whose_handler_is_no_program_is_found(tmp_path: Path) -> None:
    said = outcome("RAUC-07", with_mcu(bundle(tmp_path, hooks=HOOKS, image=f"{IMAGE}hooks=install\n", program=0o600)))
    assert said == (Outcome.FAIL, "the hook 'guard' is no program in the bundle")


def test_an_image_with_a_handler_holds(tmp_path: Path) -> None:
    assert outcome("RAUC-07", with_mcu(bundle(tmp_path, hooks=HOOKS, image=f"{IMAGE}hooks=install\n"))) == (Outcome.PASS, "")


def test_an_encrypted_bundle_is_a_decision_and_a_readable_one_is_none(tmp_path: Path) -> None:
    for name in ("verity", "crypt"):
        (tmp_path / name).mkdir()
    assert outcome("RAUC-08", bundle(tmp_path / "crypt", form="crypt"))[0] is Outcome.PASS
    assert outcome("RAUC-08", bundle(tmp_path / "verity")) == (
        Outcome.NOT_APPLICABLE, "the bundle has the format verity and is not encrypted"
    )  # fmt: skip


def test_the_manifest_of_an_encrypted_bundle_is_read_by_its_device_alone(tmp_path: Path) -> None:
    subject = bundle(tmp_path, hooks=HOOKS, form="crypt")
    for requirement in ("RAUC-05", "RAUC-07"):
        assert outcome(requirement, subject)[0] is Outcome.ERROR
