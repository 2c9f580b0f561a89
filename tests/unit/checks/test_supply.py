"""Bills of materials, vulnerabilities and pinned inputs: SUP-01 to SUP-03."""

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Build, Bundle, registered, run_check
from everest_secure.checks.stand_in import MARK
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.image.manifest import parse_manifest
from everest_secure.image.raucb import RaucBundle
from everest_secure.parse.versions import is_built_from
from everest_secure.policy.parameters import Parameters
from everest_secure.result import CheckResult, Outcome
from support.bills import VERSIONS, issue, report, spdx3
from support.bundle import incompressible
from support.images import throw_away_signer, tool
from support.mutation import Mutation, check_mutation, sentence
from support.reference import require
from support.rootfs import RootFs, failing, good_root, production

INFO, LICENCES = "/etc/buildinfo", "/usr/share/common-licenses/license.manifest"
MUTATIONS = [
    Mutation("there is no licence manifest", "SUP-01", lambda fs: fs.remove(LICENCES)),
    Mutation("the licence manifest is empty", "SUP-01", lambda fs: fs.file(LICENCES, "\n")),
    Mutation("nobody knows what it was built from", "SUP-03", lambda fs: fs.remove(INFO)),
    Mutation("no layer is named", "SUP-03", lambda fs: fs.replace(INFO, "^meta.* = .*$", "")),
    Mutation("a layer is a branch", "SUP-03", lambda fs: fs.replace(INFO, "main:a+$", "main:scarthgap")),
    Mutation("a layer is no repository", "SUP-03", lambda fs: fs.replace(INFO, "main:a+$", "<unknown>:<unknown> -- modified")),
    Mutation("a layer was changed", "SUP-03", lambda fs: fs.replace(INFO, "(main:a+)$", r"\1 -- modified")),
    Mutation("a layer's line says nothing", "SUP-03", lambda fs: fs.append(INFO, "meta-x\n")),
    Mutation("EVerest is a branch", "SUP-03", lambda fs: fs.replace(INFO, "2026.02.1", "main")),
    Mutation("EVerest was changed after its tag", "SUP-03", lambda fs: fs.replace(INFO, "2026.02.1", "2026.02.1-3-gabcdef0-dirty")),
    Mutation("EVerest is not named", "SUP-03", lambda fs: fs.replace(INFO, "^EVEREST_VERSION.*$", "")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_reference_image_is_no_build_of_oe_core_and_one_that_is_is_held_to_it() -> None:
    policy = replace(production(), stand_ins=True)
    assert failing(good_root().remove(INFO).remove(LICENCES).file(MARK, "{}"), policy) == {}
    assert set(failing(good_root().remove(INFO).remove(LICENCES), policy)) == {"SUP-01", "SUP-03"}
    assert set(failing(good_root().file(MARK, "{}").replace(INFO, "main:a+$", "main:x"), policy)) == {"SUP-03"}


def test_changes_in_layers_are_for_the_bench() -> None:
    fs = good_root().replace(INFO, "(main:a+)$", r"\1 -- modified")
    assert failing(fs, replace(production(), modified_layers=True)) == {}


def spdx2(directory: Path, *installed: str, also: tuple[str, ...] = ()) -> Path:
    """Make an archive as create-spdx-2.2 does: a document per package, one of the image, an index; `also` are packages outside the image."""
    require("tar", "zstd")
    folder = directory / "documents"
    folder.mkdir()
    for name in (*installed, *also):
        packages = [{"SPDXID": f"SPDXRef-Package-{name}", "name": name, "versionInfo": VERSIONS.get(name, "1")}]
        (folder / f"{name}.spdx.json").write_text(json.dumps({"name": name, "spdxVersion": "SPDX-2.2", "packages": packages}))
    contains = [
        {
            "relationshipType": "CONTAINS",
            "spdxElementId": "SPDXRef-Image-i",
            "relatedSpdxElement": f"DocumentRef-{name}:SPDXRef-Package-{name}",
        }
        for name in installed
    ]
    image = {
        "name": "i",
        "spdxVersion": "SPDX-2.2",
        "packages": [{"SPDXID": "SPDXRef-Image-i", "name": "image"}],
        "relationships": contains,
    }
    (folder / "i.spdx.json").write_text(json.dumps(image))
    index = {"documents": [{"filename": f"{name}.spdx.json", "sha1": "0"} for name in (*installed, *also, "i")]}
    (folder / "index.json").write_text(json.dumps(index))
    archive = directory / "i.spdx.tar.zst"
    names = sorted(path.name for path in folder.iterdir())
    subprocess.run(["tar", "-C", folder, "--zstd", "-cf", archive, *names], check=True)
    return archive


MANIFEST = "everest-core qemux86_64 2026.02.1-r0\nrauc core2_64 1.15.2-r0\n"


def build(directory: Path, *, root: RootFs | None = None, manifest: str = MANIFEST, **files: str | None) -> Build:
    """Make an image's neighbours: `spdx`, `cve` and `vex` are contents of files."""
    names = {"spdx": "i.spdx.json", "cve": "i.json", "vex": "i.vex.json"}
    kinds = {"spdx": CompanionKind.BILL_OF_MATERIALS}
    companions = []
    for key, text in files.items():
        if text is None:
            continue
        (directory / names[key]).write_text(text)
        companions.append(Companion(kinds.get(key, CompanionKind.VULNERABILITIES), directory / names[key]))
    if manifest:
        (directory / "i.manifest").write_text(manifest)
        companions.append(Companion(CompanionKind.MANIFEST, directory / "i.manifest"))
    roots = (root.root,) if root else ()
    return Build(Artefact("i.wic", "gpt"), roots, tuple(companions))


def judged(requirement: str, subject: Build, policy: Parameters | None = None) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == requirement and each.scope.name == "BUILD"]
    return run_check(entry, subject, "i", policy or production())


def said(requirement: str, subject: Build) -> list[str]:
    result = judged(requirement, subject)
    assert result.outcome is Outcome.FAIL, result
    return [finding.what for finding in result.findings]


def test_a_bill_of_spdx_3_covers_the_image(tmp_path: Path) -> None:
    result = judged("SUP-01", build(tmp_path, spdx=spdx3("everest-core", "rauc", "busybox")))
    assert (result.outcome, result.seen) == (Outcome.PASS, ("i.spdx.json: 3.0.1, 3 packages, 2 installed",))


def test_a_source_in_a_bill_is_no_package_of_the_image(tmp_path: Path) -> None:
    subject = build(tmp_path, spdx=spdx3("everest-core", "rauc"), manifest=f"{MANIFEST}source-only all 1\n")
    assert said("SUP-01", subject) == ["the package source-only is in the image and not in i.spdx.json"]


def test_a_bill_of_spdx_2_covers_the_image_and_not_what_is_built_beside_it(tmp_path: Path) -> None:
    archive = Companion(CompanionKind.BILL_OF_MATERIALS, spdx2(tmp_path, "everest-core", "rauc", also=("gcc",)))
    subject = build(tmp_path)
    whole = replace(subject, companions=(archive, *subject.companions))
    assert judged("SUP-01", whole).seen == ("i.spdx.tar.zst: SPDX-2.2, 2 packages, 2 installed",)
    more = build(tmp_path, manifest=f"{MANIFEST}gcc all 1\n")
    assert said("SUP-01", replace(more, companions=(archive, *more.companions))) == [
        "the package gcc is in the image and not in i.spdx.tar.zst"
    ]


def test_an_image_without_a_bill_is_found(tmp_path: Path) -> None:
    assert said("SUP-01", build(tmp_path)) == ["there is no bill of materials beside the image"]
    assert said("SUP-01", build(tmp_path, manifest="")) == ["there is no bill of materials beside the image"]
    bench = replace(production(), bill_of_materials_required=False)
    assert judged("SUP-01", build(tmp_path), bench).outcome is Outcome.NOT_APPLICABLE


def test_a_package_that_the_bill_does_not_name_is_found(tmp_path: Path) -> None:
    assert said("SUP-01", build(tmp_path, spdx=spdx3("rauc"))) == ["the package everest-core is in the image and not in i.spdx.json"]


def test_a_package_of_another_version_than_the_bill_says_is_found(tmp_path: Path) -> None:
    subject = build(tmp_path, spdx=spdx3("everest-core", "rauc", rauc="1.14"))
    assert said("SUP-01", subject) == ["the package rauc has the version 1.15.2-r0 in the image and 1.14 in i.spdx.json"]
    subject = build(tmp_path, spdx=spdx3("everest-core", "rauc", rauc=""))
    assert said("SUP-01", subject) == ["the package rauc has the version 1.15.2-r0 in the image and none in i.spdx.json"]


def test_a_package_of_another_version_than_that_of_an_archive_is_found(tmp_path: Path) -> None:
    archive = Companion(CompanionKind.BILL_OF_MATERIALS, spdx2(tmp_path, "everest-core", "rauc"))
    subject = build(tmp_path, manifest=MANIFEST.replace("1.15.2", "1.15.1"))
    assert said("SUP-01", replace(subject, companions=(archive, *subject.companions))) == [
        "the package rauc has the version 1.15.1-r0 in the image and 1.15.2 in i.spdx.tar.zst"
    ]


def test_a_package_of_another_version_than_its_licence_says_is_found(tmp_path: Path) -> None:
    root = good_root().replace(LICENCES, "1.15.2", "1.10").append(LICENCES, "PACKAGE NAME: everest-core\nPACKAGE VERSION: 2026.02.1\n")
    subject = build(tmp_path, root=root, spdx=spdx3("everest-core", "rauc"))
    assert said("SUP-01", subject) == [f"the package rauc has the version 1.15.2-r0 in the image and 1.10 in rootfs: {LICENCES}"]


STATUS = "Package: rauc\nStatus: install user installed\nVersion: 1.8-r0\n"


def test_the_package_manager_s_list_counts_beside_the_build_s(tmp_path: Path) -> None:
    fs = good_root().remove(LICENCES).file("/var/lib/opkg/status", STATUS)
    subject = build(tmp_path, root=fs, spdx=spdx3("everest-core", "rauc"))
    assert said("SUP-01", subject) == ["the package rauc has the version 1.8-r0 in the image and 1.15.2 in i.spdx.json"]
    allowed = replace(production(), stand_ins=True)
    assert judged("SUP-01", build(tmp_path, root=fs.file(MARK, "{}"), spdx=spdx3("everest-core", "rauc")), allowed).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("1:2.0-r0", "2.0"),
        ("2.0-rc1-r0.1", "2.0-rc1"),
        ("2.0+rc1-r0", "2.0-rc1"),
        ("1.0+git0+abcdef0123-r0", "1.0+git"),
        ("1.0+git0+abcdef0123-r0", "1.0+gitAUTOINC+abcdef0123"),
        ("1.0-r0", "1.0-r0"),
    ],
)
def test_oe_core_adds_to_a_source_s_version(version: str, source: str) -> None:
    assert is_built_from(version, source)


@pytest.mark.parametrize(
    ("version", "source"),
    [("1.0-r0", ""), ("1.01-r0", "1.0"), ("1.0+b10-r0", "1.0+b1"), ("1.0+git0+a-r0", "1.1+git"), ("11.0-r0", "1.0"), ("1x0-r0", "1.0")],
)
def test_one_version_is_not_another(version: str, source: str) -> None:
    assert not is_built_from(version, source)


def test_a_version_of_nothing_but_counters_takes_no_time() -> None:
    assert not is_built_from("1" * 255 + "x", "AUTOINC" * 36)


def test_a_package_without_a_licence_is_found(tmp_path: Path) -> None:
    subject = build(tmp_path, root=good_root(), spdx=spdx3("everest-core", "rauc"))
    assert said("SUP-01", subject) == [f"the package everest-core is in the image and not in rootfs: {LICENCES}"]


def test_without_a_manifest_the_package_manager_s_list_counts(tmp_path: Path) -> None:
    fs = good_root().remove(LICENCES)
    fs.file("/var/lib/opkg/status", "Package: busybox\nStatus: install ok installed\nVersion: 1\n")
    subject = build(tmp_path, root=fs, manifest="", spdx=spdx3("rauc"))
    assert said("SUP-01", subject) == ["the package busybox is in the image and not in i.spdx.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"spdxVersion": "SPDX-2.3"}', '{"@graph": 3}', "[" * 100_000])
def test_a_bill_that_is_none_is_an_error_and_no_pass(tmp_path: Path, text: str) -> None:
    assert judged("SUP-01", build(tmp_path, spdx=text)).outcome is Outcome.ERROR


def test_an_image_whose_packages_nobody_lists_is_an_error_and_no_pass(tmp_path: Path) -> None:
    assert judged("SUP-01", build(tmp_path, manifest="", spdx=spdx3("rauc"))).outcome is Outcome.ERROR
    assert judged("SUP-01", build(tmp_path, manifest="a b\n", spdx=spdx3("rauc"))).outcome is Outcome.ERROR


def test_a_report_in_which_nothing_is_open_holds(tmp_path: Path) -> None:
    result = judged("SUP-02", build(tmp_path, cve=report(issue(1, "Patched"), issue(2, "Ignored"))))
    assert (result.outcome, result.seen) == (Outcome.PASS, ("i.json: 2 known vulnerabilities, 0 open",))


def test_what_is_open_is_found_one_by_one(tmp_path: Path) -> None:
    text = report(issue(1, v3="9.8"), issue(2), issue(3, "Unknown", v3="5.0", v4="6.1"), *(issue(number) for number in range(100, 200)))
    found = said("SUP-02", build(tmp_path, cve=text))
    assert found[:3] == [
        "CVE-2024-1 is open in openssl 3.2.1 (score 9.8)",
        "CVE-2024-2 is open in openssl 3.2.1 (no score yet)",
        "CVE-2024-3 is open in openssl 3.2.1 (score 6.1)",
    ]
    assert len(found) == 103


@pytest.mark.parametrize("score", ["nan", "inf", "-1", "11", "high"])
def test_a_score_that_is_none_does_not_hide_what_is_open(tmp_path: Path, score: str) -> None:
    assert said("SUP-02", build(tmp_path, cve=report(issue(1, v3=score)))) == ["CVE-2024-1 is open in openssl 3.2.1 (no score yet)"]


def test_a_policy_may_leave_low_scores_alone_but_nothing_that_has_none(tmp_path: Path) -> None:
    subject = build(tmp_path, cve=report(issue(1, v3="3.9"), issue(2), issue(3, v3="7")))
    result = judged("SUP-02", subject, replace(production(), vulnerability_score=7.0))
    assert [finding.what.split()[0] for finding in result.findings] == ["CVE-2024-2", "CVE-2024-3"]


@pytest.mark.parametrize(("vex", "cve"), [(None, None), (report(), None), (None, '{"something": "else"}')])
def test_no_report_is_a_finding_where_the_policy_asks_for_one(tmp_path: Path, vex: str | None, cve: str | None) -> None:
    subject = build(tmp_path, vex=vex, cve=cve)
    assert said("SUP-02", subject) == ["there is no report of known vulnerabilities beside the image"]
    bench = replace(production(), vulnerability_report_required=False)
    assert judged("SUP-02", subject, bench).outcome is Outcome.NOT_APPLICABLE


def test_a_report_that_was_made_without_a_database_is_none(tmp_path: Path) -> None:
    found = said("SUP-02", build(tmp_path, cve='{"version": "1", "package": []}'))
    assert found == ["the report compares no recipe with the database, as one that is made without a database"]


def test_every_report_beside_the_image_counts(tmp_path: Path) -> None:
    closed = tmp_path / "i.cve.json"
    closed.write_text(report(issue(1, "Patched")))
    subject = build(tmp_path, cve=report(issue(1)))
    both = replace(subject, companions=(Companion(CompanionKind.VULNERABILITIES, closed), *subject.companions))
    assert said("SUP-02", both) == ["CVE-2024-1 is open in openssl 3.2.1 (no score yet)"]


@pytest.mark.parametrize(
    ("recipe", "version", "found"),
    [
        ("openssl", "3.2.1", []),
        ("openssl", "3.2.3", ["the report is of openssl 3.2.1, in rootfs it is 3.2.3"]),
        ("busybox", "1.36", ["the report names no recipe of rootfs"]),
    ],
)
def test_a_report_is_of_the_image_that_it_lies_beside(tmp_path: Path, recipe: str, version: str, found: list[str]) -> None:
    root = good_root().file(LICENCES, f"PACKAGE NAME: x\nPACKAGE VERSION: {version}\nRECIPE NAME: {recipe}\nLICENSE: MIT\n")
    result = judged("SUP-02", build(tmp_path, root=root, cve=report(issue(1, "Patched"))))
    assert [finding.what for finding in result.findings] == found


def test_an_epoch_in_a_report_is_none_of_the_version(tmp_path: Path) -> None:
    root = good_root().file(LICENCES, "PACKAGE NAME: x\nPACKAGE VERSION: 3.2.1\nRECIPE NAME: openssl\nLICENSE: MIT\n")
    subject = build(tmp_path, root=root, cve=report().replace("3.2.1", "1_3.2.1"))
    assert judged("SUP-02", subject).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"package": [3]}',
        '{"package": [{"name": "a", "version": "1", "issues": []}]}',
        '{"package": [{"name": "a", "version": "1", "issue": [{}]}]}',
    ],
)
def test_a_damaged_report_is_an_error_and_no_pass(tmp_path: Path, text: str) -> None:
    assert judged("SUP-02", build(tmp_path, cve=text)).outcome is Outcome.ERROR


def bundle(directory: Path, *, digest: str = "", beside: str = "") -> Bundle:
    """Make a bundle, and an image beside which a bill of materials lies. What the manifest says of it is put in: RAUC before 1.9 leaves it out."""
    content = directory / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(incompressible(20_000))
    text = "[update]\ncompatible=x\nversion=1\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n"
    (content / "manifest.raucm").write_text(text)
    key, certificate = throw_away_signer(directory)
    tool("rauc", "bundle", f"--cert={certificate}", f"--key={key}", f"--keyring={certificate}", content, directory / "a.raucb")
    (directory / "i.spdx.json").write_text(beside)
    companions = (Companion(CompanionKind.BILL_OF_MATERIALS, directory / "i.spdx.json"),) if beside else ()
    given, made = good_root().root, open_artefact(directory / "a.raucb")
    assert isinstance(made.facts, RaucBundle)
    meta = f"\n[meta.everest-secure]\nsbom-sha256={digest}\n" if digest else ""
    made = replace(made, facts=replace(made.facts, manifest=parse_manifest((text + meta).encode(), "a.raucb")))
    return Bundle(made, (replace(given, container=Artefact("i.wic", "gpt", companions=companions)),))


def named(subject: Bundle) -> CheckResult:
    checks.load()
    (entry,) = [each for each in registered() if each.requirement == "SUP-01" and each.scope.name == "BUNDLE"]
    return run_check(entry, subject, "b", production())


def test_a_bundle_names_the_bill_beside_the_image(tmp_path: Path) -> None:
    result = named(bundle(tmp_path, digest=hashlib.sha256(b"{}").hexdigest(), beside="{}"))
    assert (result.outcome, result.seen[0]) == (Outcome.PASS, "i.spdx.json is the bill of materials that the bundle names")


def test_a_bundle_that_names_another_bill_is_found(tmp_path: Path) -> None:
    (finding,) = named(bundle(tmp_path, digest="ab" * 32, beside="{}")).findings
    assert finding.what == "the bundle names another bill of materials than i.spdx.json"


def test_a_bundle_that_names_no_bill_says_nothing_of_it(tmp_path: Path) -> None:
    assert named(bundle(tmp_path, beside="{}")).outcome is Outcome.NOT_APPLICABLE
