"""What an image is made of: SUP-01, SUP-03."""

import hashlib
import re
from collections.abc import Mapping

from everest_secure.checks.bundle import facts_of
from everest_secure.checks.common import at, findings_up_to, words
from everest_secure.checks.core import Build, Bundle, Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.stand_in import is_stand_in
from everest_secure.errors import ArtefactError
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.parse.build_lists import (
    Layer,
    parse_buildinfo,
    parse_package_manifest,
)
from everest_secure.parse.packages import LICENCES, parse_licences, read_packages
from everest_secure.parse.spdx import Bill, by_name, parse_spdx3, read_spdx2
from everest_secure.parse.versions import is_built_from
from everest_secure.policy.parameters import Parameters

BUILDINFO = "/etc/buildinfo"
_RELEASE = re.compile(r"v?\d{4}\.\d{1,2}\.\d{1,3}(-rc\.?\d+)?", re.ASCII)
"""A tag of EVerest: `2026.02.1`."""


@check("SUP-01", on=Scope.ROOT)
def image_says_under_which_licences_its_packages_are(root: Root, policy: Parameters, note: Notes) -> None:
    """The licence manifest is in the image."""
    if root.tree.resolve(LICENCES) is None:
        if is_stand_in(root, policy):
            raise NotApplicable("the image was not built by OE-Core, which makes the licence manifest")
        note.finding("the image has no licence manifest", at=at(root, LICENCES), remedy='Set COPY_LIC_MANIFEST = "1" in the distro.')
        return
    licences = {each.name for each in parse_licences(root.tree.text(LICENCES), LICENCES)}
    if not licences:
        note.finding("the licence manifest names no package", at=at(root, LICENCES), remedy="Build the image again.")
    note.saw(f"{LICENCES}: {len(licences)} packages")


@check("SUP-01", on=Scope.BUILD)
def bill_of_materials_covers_every_package(build: Build, policy: Parameters, note: Notes) -> None:
    """SPDX beside the image, and the licence manifest in it, name every package of the build's list and of the package manager's in its version."""
    companion = build.of(CompanionKind.BILL_OF_MATERIALS)
    if companion is None:
        if not policy.bill_of_materials_required:
            raise NotApplicable("there is no bill of materials beside the image, and the policy asks for none")
        what = "there is no bill of materials beside the image"
        remedy = "Inherit create-spdx in the distro and keep IMAGE.spdx.tar.zst or IMAGE.spdx.json beside the image."
        note.finding(what, at=Location(build.container.name), remedy=remedy)
        return
    bill = _bill(companion)
    installed = _installed(build, policy)
    _compare(installed, bill.packages, companion.name, note)
    for root in build.roots:
        if root.tree.resolve(LICENCES) is not None:
            licences = by_name((each.name, each.version) for each in parse_licences(root.tree.text(LICENCES), LICENCES))
            _compare(installed, licences, f"{root.artefact.name}: {LICENCES}", note)
    note.saw(f"{companion.name}: {bill.version}, {len(bill.packages)} packages, {len(installed)} installed")


@check("SUP-01", on=Scope.BUNDLE)
def bundle_names_the_bill_that_lies_beside_the_image(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The digest in the signed manifest, where there is one, is that of each bill of materials beside an image that was given with the bundle."""
    manifest = facts_of(bundle).manifest
    named = manifest.sections.get("meta.everest-secure", {}).get("sbom-sha256", "") if manifest else ""
    if not named:
        raise NotApplicable("the bundle names no bill of materials")
    lying = (each for root in bundle.roots for each in root.container.companions if each.kind is CompanionKind.BILL_OF_MATERIALS)
    for bill in dict.fromkeys(lying):
        if hashlib.sha256(bill.read()).hexdigest() == named:
            note.saw(f"{bill.name} is the bill of materials that the bundle names")
        else:
            what = f"the bundle names another bill of materials than {bill.name}"
            note.finding(what, at=Location(bundle.artefact.name), remedy="Keep together what one build left.")
    note.saw(f"manifest: bill of materials {named}")


def _bill(companion: Companion) -> Bill:
    if companion.name.endswith(".json"):
        return parse_spdx3(companion.text(), companion.name)
    tree = next((each.tree for each in companion.opened().walk() if each.tree is not None), None)
    if tree is None:
        raise ArtefactError(f"{companion.name} is no archive that can be read; build it again")
    return read_spdx2(tree)


def _installed(build: Build, policy: Parameters) -> Mapping[str, frozenset[str]]:
    """Return the versions of all packages by name, of the build's list and of the package managers'; raises ArtefactError when nothing lists them.

    The list that stand-ins for EVerest came with is not OE-Core's, and no bill covers it.
    """
    manifest = build.of(CompanionKind.MANIFEST)
    listed = parse_package_manifest(manifest.text(), manifest.name) if manifest else ()
    found = [(package.name, package.version) for package in listed]
    lists = [read_packages(root.tree) for root in build.roots if not (manifest and is_stand_in(root, policy))]
    found += [
        (package.name, package.version) for packages in lists for package in packages or () if package.path != LICENCES or not manifest
    ]
    if not found:
        raise ArtefactError(f"nothing lists the packages of {build.container.name}; keep IMAGE.manifest beside it")
    return by_name(found)


def _compare(installed: Mapping[str, frozenset[str]], named: Mapping[str, frozenset[str]], where: str, note: Notes) -> None:
    missing = [
        (f"the package {name} is in the image and not in {where}", Location(where)) for name in sorted(installed.keys() - named.keys())
    ]
    other = [
        (f"the package {name} has the version {version} in the image and {words(named[name] - {''})} in {where}", Location(where))
        for name in sorted(installed.keys() & named.keys())
        for version in sorted(installed[name])
        if not any(is_built_from(version, source) for source in named[name])
    ]
    findings_up_to(note, missing + other, remedy="Keep what one build left together: image, list of packages and bill of materials.")


@check("SUP-03", on=Scope.ROOT)
def every_layer_is_a_commit_and_everest_a_release(root: Root, policy: Parameters, note: Notes) -> None:
    """/etc/buildinfo names each layer's commit, none with changes besides, and a release of EVerest."""
    if root.tree.resolve(BUILDINFO) is None:
        if is_stand_in(root, policy):
            raise NotApplicable("the image was not built by OE-Core, which writes the build information")
        what = "the image does not say what it was built from"
        note.finding(what, at=at(root, BUILDINFO), remedy='Add IMAGE_CLASSES += "image-buildinfo" to the distro.')
        return
    info = parse_buildinfo(root.tree.text(BUILDINFO))
    if not info.layers:
        note.finding(f"{BUILDINFO} names no layer", at=at(root, BUILDINFO), remedy="Build the image again.")
    for layer in info.layers:
        for what in _unpinned(layer, policy):
            remedy = "Build with the kas lock file from a clean checkout."
            note.finding(f"the layer {layer.name} {what}", at=at(root, BUILDINFO, layer.line), remedy=remedy)
    version = info.variables.get("EVEREST_VERSION", "")
    if not _RELEASE.fullmatch(version):
        what = f"EVerest is no release: EVEREST_VERSION is '{version}'"
        note.finding(
            what, at=at(root, BUILDINFO), remedy="Build EVerest from a release tag, and list EVEREST_VERSION in IMAGE_BUILDINFO_VARS."
        )
    note.saw(f"{BUILDINFO}: {len(info.layers)} layers, EVerest {version or '-'}")


def _unpinned(layer: Layer, policy: Parameters) -> list[str]:
    if not layer.pinned:
        return [f"has no commit: '{layer.revision}'"]
    return ["holds changes that are in no commit"] if layer.modified and not policy.modified_layers else []
