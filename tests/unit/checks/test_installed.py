"""Packages of an image that keeps no list of its own: the list that its build left beside it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import CheckResult, Root, Scope, registered, run_check
from everest_secure.checks.installed import installed
from everest_secure.errors import ArtefactError
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.parse.packages import LICENCES, LISTS
from everest_secure.result import Location, Outcome
from support.rootfs import RootFs, good_root, production

FORBIDDEN = {"NET-03": "node-red", "NET-06": "openssh-sshd", "BIN-02": "lib32-gdb"}


def without_lists(manifest: str | None, place: Path, fs: RootFs | None = None) -> Root:
    """Return a root without any list of packages, and with an IMAGE.manifest beside its image."""
    fs = fs or good_root()
    for path in (*LISTS, LICENCES):
        if path in fs.nodes:
            fs.remove(path)
    if manifest is None:
        return fs.root
    (place / "i.manifest").write_text(manifest)
    beside = (Companion(CompanionKind.MANIFEST, place / "i.manifest"),)
    return replace(fs.root, container=replace(fs.root.container, companions=beside))


def judged(root: Root) -> Mapping[str, tuple[CheckResult, ...]]:
    checks.load()
    entries = [each for each in registered() if each.scope is Scope.ROOT and each.requirement in FORBIDDEN]
    return {
        requirement: tuple(run_check(each, root, "rootfs", production()) for each in entries if each.requirement == requirement)
        for requirement in FORBIDDEN
    }


@pytest.mark.parametrize("requirement", FORBIDDEN)
def test_a_forbidden_package_of_the_list_beside_the_image_fails_exactly_its_requirement(tmp_path: Path, requirement: str) -> None:
    root = without_lists(f"base-files all 3.0-r0\n\n{FORBIDDEN[requirement]} core2_64 1.0-r0\n", tmp_path)
    found = {name: [each for result in results for each in result.findings] for name, results in judged(root).items()}
    assert {name for name, findings in found.items() if findings} == {requirement}
    (finding,) = found[requirement]
    assert finding.what == f"the package {FORBIDDEN[requirement]} 1.0-r0 is installed"
    assert finding.at == Location("i.manifest", line=3)


def test_a_good_list_beside_the_image_is_what_was_seen(tmp_path: Path) -> None:
    results = judged(without_lists("base-files all 3.0-r0\n", tmp_path))
    assert all(result.outcome is Outcome.PASS for each in results.values() for result in each)
    assert "1 installed packages, by i.manifest" in [seen for result in results["BIN-02"] for seen in result.seen]


@pytest.mark.parametrize("manifest", [None, ""])
def test_without_any_list_files_alone_are_looked_at(tmp_path: Path, manifest: str | None) -> None:
    root = without_lists(manifest, tmp_path)
    assert installed(root) is None
    seen = [seen for result in judged(root)["BIN-02"] for seen in result.seen]
    assert "no package list in the image or beside it, files looked at instead" in seen


def test_the_images_own_list_counts_before_the_one_beside_it(tmp_path: Path) -> None:
    root = without_lists("gdb core2_64 1.0-r0\n", tmp_path)
    own = good_root().file("/var/lib/dpkg/status", "Package: busybox\nStatus: install ok installed\nVersion: 1.36\n").root
    assert [each.name for each in installed(replace(own, container=root.container)) or ()] == ["busybox"]


def test_a_list_that_is_none_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    root = without_lists("gdb\n", tmp_path)
    with pytest.raises(ArtefactError, match=r"i\.manifest:1 is not the name"):
        installed(root)
    assert any(result.outcome is Outcome.ERROR for result in judged(root)["NET-06"])
