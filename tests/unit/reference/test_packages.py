from pathlib import Path

import pytest

from everest_secure.paths import data
from everest_secure.reference.packages import _closure, _installable, base_packages, debian_version
from everest_secure.reference.recipes.harness import Offer
from everest_secure.run import HostTools, run
from support.reference import require


@pytest.mark.parametrize(("version", "debian"), [("1.0", "1.0"), ("git", "0+git"), ("2026.02.1+gitAUTOINC", "2026.02.1+gitAUTOINC")])
def test_dpkg_accepts_the_version_of_a_recipe(version: str, debian: str) -> None:
    require("dpkg")
    assert debian_version(version) == debian
    run(["dpkg", "--validate-version", debian])


def test_a_version_without_number_is_older_than_any_with_one() -> None:
    require("dpkg")
    run(["dpkg", "--compare-versions", debian_version("git"), "lt", debian_version("0.1")])


def test_what_is_depended_on_or_recommended_comes_along_however_far() -> None:
    needs = {
        "image": ("config", "of-another-layer", "policy"),
        "config": ("user",),
        "user": ("config",),
        "policy": (),
        "not-asked-for": (),
    }
    offers = {name: Offer(name, name, frozenset(wanted)) for name, wanted in needs.items()}
    assert _closure({"image"}, offers) == ["config", "image", "policy", "user"]


def test_images_and_bundles_are_no_packages() -> None:
    names = _installable(data("meta-everest-secure"))
    assert {"everest-user", "everest-config", "everest-core"} <= set(names)
    assert not {"everest-secure-image", "everest-secure-bundle"} & set(names)


def test_the_base_package_is_made_once_and_takes_the_place_of_initramfs_tools(tmp_path: Path) -> None:
    require("dpkg-deb")
    directory = base_packages(tmp_path, tools=HostTools())
    (made,) = directory.iterdir()
    assert run(["dpkg-deb", "--field", made, "Provides"]) == b"linux-initramfs-tool\n"
    before = made.stat()
    base_packages(tmp_path, tools=HostTools())
    assert made.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in tmp_path.iterdir()] == ["base-packages"]
