"""Bills of materials and pinned inputs: SUP-01, SUP-03."""

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Bundle, registered, run_check
from everest_secure.checks.stand_in import MARK
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.image.manifest import parse_manifest
from everest_secure.image.raucb import RaucBundle
from everest_secure.result import CheckResult, Outcome
from support.bills import MANIFEST, VERSIONS, build, judged, said, spdx3
from support.bundle import incompressible
from support.images import throw_away_signer, tool
from support.mutation import Mutation, check_mutation, sentence
from support.reference import require
from support.rootfs import failing, good_root, production

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
