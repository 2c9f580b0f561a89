"""The whole command on a whole release: everything that a build leaves, held to the profile `production`."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from everest_secure.errors import ExitCode
from support.images import efi_stub, ram_disk_with_init, unified_kernel
from support.release import BILL, BOOT, REPORT, Authorities, Parts, everest_secure, lists, make_parts, policy_file

DECIDED = {"pass", "evidence present", "not applicable"}


@dataclass(frozen=True)
class Release:
    parts: Parts
    folder: Path
    """The deploy folder."""
    policy: Path
    workshop: Authorities
    """Authorities that no device of this product trusts."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    work = tmp_path_factory.mktemp("release")
    authorities = Authorities.made(work / "pki", "release")
    parts = make_parts(work, authorities)
    folder = work / "deploy"
    folder.mkdir()
    lists(folder)
    efi = parts.efi(work / "efi.img")
    parts.disk(folder, efi)
    parts.bundle(folder, efi)
    return Release(parts, folder, policy_file(work / "policy.yml", authorities), Authorities.made(work / "workshop", "development"))


def outcomes(folder: Path, policy: Path | None, report: Path, *options: str | Path) -> tuple[int, dict[str, str]]:
    """What the command ends with, and what it says of each requirement; without a policy file by the profile as it is."""
    held_to = ["--policy", policy] if policy else ["--profile", "production"]
    done = everest_secure("check", folder, *held_to, "--json", report, *options)
    assert done.stderr == ""
    found = json.loads(report.read_text())
    assert (found["profile"], found["exit_code"]) == ("production", done.returncode)
    return done.returncode, {each["id"]: each["outcome"] for each in found["results"]}


def test_a_release_holds_in_every_requirement(release: Release, tmp_path: Path) -> None:
    code, found = outcomes(release.folder, release.policy, tmp_path / "report.json")
    assert {name: outcome for name, outcome in found.items() if outcome not in DECIDED} == {}
    assert code == ExitCode.OK
    evidence = {name for name, outcome in found.items() if outcome == "evidence present"}
    assert evidence == {"BOOT-04", "FS-04", "RAUC-08"}


def test_without_a_policy_file_a_release_lacks_nothing_but_statements(release: Release, tmp_path: Path) -> None:
    code, found = outcomes(release.folder, None, tmp_path / "report.json")
    owed = dict.fromkeys(("BOOT-04", "FS-04", "RAUC-08"), "evidence missing")
    assert {name: outcome for name, outcome in found.items() if outcome not in DECIDED} == owed
    assert code == ExitCode.FINDINGS


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a release."""

    name: str
    spoil: Callable[[Release, Path, Path], Path | None]
    """Given the release, a copy of its folder, and a place to work in; returns another policy file, or None."""
    code: ExitCode
    outcomes: dict[str, str]
    """Of the requirements that do not hold."""


def _evidence_expired(release: Release, _: Path, work: Path) -> Path:
    return policy_file(work / "policy.yml", release.parts.authorities, expired="BOOT-04")


def _bundle_of_the_workshop(release: Release, folder: Path, work: Path) -> None:
    release.parts.bundle(folder, release.parts.efi(work / "efi.img"), signers=release.workshop)


def _unsigned_program(release: Release, folder: Path, work: Path) -> None:
    release.parts.disk(folder, release.parts.efi(work / "efi.img", others={"tools/shell.efi": efi_stub()}))


def _program_of_the_workshop(release: Release, folder: Path, work: Path) -> None:
    program = Path(shutil.copy(efi_stub(), work / "shell.efi"))
    release.workshop.sign_program(program)
    release.parts.disk(folder, release.parts.efi(work / "efi.img", others={"tools/shell.efi": program}))


def _addon(release: Release, folder: Path, work: Path) -> None:
    addon = unified_kernel(work / "x.addon.efi", {".initrd": ram_disk_with_init(work / "initrd.d", b"#!/bin/sh\n")})
    release.parts.authorities.sign_program(addon)
    release.parts.disk(folder, release.parts.efi(work / "efi.img", others={"Linux/everest-a.efi.extra.d/x.addon.efi": addon}))


def _altered_root(release: Release, folder: Path, work: Path) -> None:
    image, raw = work / "rootfs.img", bytearray(release.parts.root.read_bytes())
    raw[-4096] ^= 1
    image.write_bytes(raw)
    replace(release.parts, root=image).disk(folder, release.parts.efi(work / "efi.img"))


FAULTS = [
    Fault("a statement has expired", _evidence_expired, ExitCode.FINDINGS, {"BOOT-04": "evidence expired"}),
    Fault("the bundle is signed by the workshop", _bundle_of_the_workshop, ExitCode.FINDINGS, {"RAUC-03": "fail"}),
    Fault("an EFI program is not signed", _unsigned_program, ExitCode.FINDINGS, {"BOOT-01": "fail"}),
    Fault("an EFI program is signed by the workshop", _program_of_the_workshop, ExitCode.FINDINGS, {"BOOT-01": "fail"}),
    Fault("a signed addon brings an initial RAM disk", _addon, ExitCode.FINDINGS, {"BOOT-03": "fail"}),
    Fault("a hash tree was altered", _altered_root, ExitCode.FINDINGS, {"FS-02": "fail"}),
    Fault("there is no bill of materials", lambda _, folder, __: (folder / BILL).unlink(), ExitCode.FINDINGS, {"SUP-01": "fail"}),
    Fault("there is no report of vulnerabilities", lambda _, folder, __: (folder / REPORT).unlink(), ExitCode.FINDINGS, {"SUP-02": "fail"}),
    Fault("the report of vulnerabilities is cut off", lambda _, folder, __: _cut(folder / REPORT), ExitCode.FAILED, {"SUP-02": "error"}),
]


def _cut(file: Path) -> None:
    text = file.read_text()
    file.unlink()
    file.write_text(text[:-2])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_release_with_one_fault_fails_by_its_id(release: Release, tmp_path: Path, fault: Fault) -> None:
    folder = Path(shutil.copytree(release.folder, tmp_path / "deploy", copy_function=os.link))
    (tmp_path / "work").mkdir()
    policy = fault.spoil(release, folder, tmp_path / "work") or release.policy
    code, found = outcomes(folder, policy, tmp_path / "report.json")
    assert {name: outcome for name, outcome in found.items() if outcome not in DECIDED} == fault.outcomes
    assert code == fault.code


def test_certificates_on_the_command_line_take_the_place_of_those_of_the_policy(release: Release, tmp_path: Path) -> None:
    own, other = (f"--secure-boot-cert={each.certificate(BOOT)}" for each in (release.parts.authorities, release.workshop))
    for options, expected in {(other,): {"BOOT-01"}, (own,): set(), (other, own): set()}.items():
        code, found = outcomes(release.folder, release.policy, tmp_path / "report.json", *options)
        assert {name for name, outcome in found.items() if outcome not in DECIDED} == expected
        assert code == (ExitCode.FINDINGS if expected else ExitCode.OK)
    named = json.loads((tmp_path / "report.json").read_text())["parameters"]["secure_boot_certificates"]
    assert [f"--secure-boot-cert={path}" for path in named] == [other, own]


def test_a_second_run_with_a_cache_says_the_same_and_sees_that_another_certificate_is_named(release: Release, tmp_path: Path) -> None:
    own, other, named = release.parts.authorities.certificate(BOOT), release.workshop.certificate(BOOT), tmp_path / "db.pem"
    policy = Path(shutil.copy(release.policy, tmp_path / "policy.yml"))
    policy.write_text(policy.read_text().replace(str(own), str(named)))
    said = []
    for certificate in (own, own, other):
        shutil.copy(certificate, named)
        code, found = outcomes(release.folder, policy, tmp_path / "report.json", "--cache", tmp_path / "cache")
        said.append((code, {name for name, outcome in found.items() if outcome not in DECIDED}))
    assert said == [(ExitCode.OK, set()), (ExitCode.OK, set()), (ExitCode.FINDINGS, {"BOOT-01"})]
