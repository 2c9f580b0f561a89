"""What addons of systemd-stub bring to signed UKIs."""

from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Scope, registered, run_check
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult
from support.images import ram_disk_with_init, signed_program, tool, unified_kernel
from support.rootfs import production

SECTIONS = {
    ".cmdline": (b"quiet", "adds words"),
    ".initrd": (b"", "adds an initial RAM disk"),
    ".ucode": (b"microcode", "other microcode"),
    ".dtb": (b"device tree", "another device tree"),
    ".dtbauto": (b"device tree", "another device tree"),
}
SCOPES = pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])


def judged(*artefacts: Artefact, policy: Parameters | None = None, scope: Scope = Scope.BOOT) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.scope is scope and each.function.__module__.endswith(".uki_addons")]
    container = Artefact("disk", "gpt", children=artefacts)
    return run_check(entry, Boot(container, ()) if scope is Scope.BOOT else Bundle(container, ()), "disk", policy or production())


@pytest.fixture
def uki(tmp_path: Path) -> Artefact:
    return open_artefact(unified_kernel(tmp_path / "a.efi", {".cmdline": b"ro --", ".initrd": b"initrd", ".linux": b"kernel"}))


def made(directory: Path, *names: str) -> tuple[Path, list[str]]:
    """Make an addon with sections, and return it with the SHA-256 of each as sha256sum says it."""
    contents = {name: SECTIONS[name][0] or ram_disk_with_init(directory / "initrd", b"#!/bin/sh\n") for name in names}
    digests = [tool("sha256sum", stdin=content).split()[0].decode() for content in contents.values()]
    return unified_kernel(directory / "x.addon.efi", contents), digests


@SCOPES
def test_ukis_without_an_addon_boot_what_was_signed(uki: Artefact, scope: Scope) -> None:
    result = judged(uki, scope=scope)
    assert result.outcome is Outcome.PASS
    assert result.seen == ("disk: 1 boot entries, no addon of systemd-stub",)


@SCOPES
@pytest.mark.parametrize("name", SECTIONS)
def test_what_an_addon_brings_is_found_be_it_signed_or_not(tmp_path: Path, uki: Artefact, name: str, scope: Scope) -> None:
    file, (digest,) = made(tmp_path, name)
    for addon, state in ((open_artefact(file), "nobody signed"), (open_artefact(signed_program(file)), "is signed")):
        (finding,) = judged(uki, addon, scope=scope).findings
        assert f"which {state}" in finding.what
        assert SECTIONS[name][1] in finding.what
        assert digest in finding.what
        assert finding.at.artefact == "x.addon.efi"
        assert "'addon_sections'" in finding.remedy


def test_each_thing_that_an_addon_brings_is_a_finding_of_its_own(tmp_path: Path, uki: Artefact) -> None:
    file, digests = made(tmp_path, *SECTIONS)
    assert [digest in finding.what for digest, finding in zip(digests, judged(uki, open_artefact(file)).findings, strict=True)] == [
        True
    ] * 5


@SCOPES
def test_what_the_policy_lists_may_be_brought_and_nothing_beside_it(tmp_path: Path, uki: Artefact, scope: Scope) -> None:
    file, (line, initrd) = made(tmp_path, ".cmdline", ".initrd")
    addon = open_artefact(file)
    assert judged(uki, addon, policy=replace(production(), addon_sections=(line, initrd)), scope=scope).outcome is Outcome.PASS
    result = judged(uki, addon, policy=replace(production(), addon_sections=(line,)), scope=scope)
    assert ["initial RAM disk" in finding.what for finding in result.findings] == [True]


def test_a_bundle_that_brings_an_addon_alone_is_judged(tmp_path: Path) -> None:
    file, _ = made(tmp_path, ".initrd")
    assert judged(open_artefact(file), scope=Scope.BUNDLE).outcome is Outcome.FAIL


def test_a_bundle_that_brings_nothing_to_boot_is_not_concerned() -> None:
    assert judged(Artefact("rootfs", "squashfs"), scope=Scope.BUNDLE).outcome is Outcome.NOT_APPLICABLE


def test_a_disk_of_which_nothing_is_understood_is_an_error() -> None:
    assert judged(Artefact("rootfs", "squashfs")).outcome is Outcome.ERROR


def test_an_efi_program_that_brings_nothing_is_no_addon(tmp_path: Path, uki: Artefact) -> None:
    loader = open_artefact(unified_kernel(tmp_path / "loader.efi", {".osrel": b"ID=x\n"}))
    assert judged(uki, loader).outcome is Outcome.PASS
