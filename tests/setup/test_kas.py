"""The kas files, merged by kas itself without a network: every combination that is offered is pinned, complete and of one mind."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from everest_secure.build.configuration import Configuration, Repository
from everest_secure.build.kas import Kas
from support.kas import KAS_DIRECTORY, TOP_FILES
from support.menu import answered, choices, options

HOSTS = {"git.openembedded.org", "git.yoctoproject.org", "github.com"}
OPTIONS = sorted((KAS_DIRECTORY / "opt").glob("*.yml"))
MACHINES = sorted(path for path in (KAS_DIRECTORY / "machine").glob("*.yml") if not path.name.endswith(".lock.yml"))
FILES = sorted(path for path in KAS_DIRECTORY.rglob("*.yml") if not path.name.endswith(".lock.yml"))
VARIANTS = {
    "development": ("everest-secure-image-development", "everest-secure-bundle-development"),
    "production": ("everest-secure-image", "everest-secure-bundle"),
}


def configuration(files: Iterable[Path], work: Path) -> Configuration:
    return Kas(tuple(files), work).configuration()


def require_pinned(repositories: Iterable[Repository]) -> None:
    """Fail for a repository that is not pinned to a commit, or comes from elsewhere than expected."""
    seen = list(repositories)
    assert len(seen) >= 6
    assert [repository for repository in seen if not re.fullmatch("[0-9a-f]{40}", repository.revision)] == []
    urls = [urlsplit(repository.url) for repository in seen]
    assert {url.scheme for url in urls} == {"https"}
    assert {url.hostname for url in urls} <= HOSTS


def content(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())
    return loaded


def test_there_is_a_top_file_for_each_machine() -> None:
    assert {top.name for top in TOP_FILES} == {machine.name for machine in MACHINES}
    assert len(TOP_FILES) == 4


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_a_machine_s_file_builds_the_workshop_s_image_and_bundle_from_pinned_layers(top: Path, tmp_path: Path) -> None:
    found = configuration([top], tmp_path)
    require_pinned(found.repositories)
    assert found.targets == VARIANTS["development"]
    assert "EVEREST_RAUC_KEYRING_DEVELOPMENT" in found.required
    assert "EVEREST_RAUC_KEYRING" not in found.required


def test_qemu_on_x86_has_secure_boot_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    assert {"EVEREST_SECURE_BOOT_KEY", "EVEREST_SECURE_BOOT_CERT"} <= configuration([KAS_DIRECTORY / "qemux86-64.yml"], tmp_path).required
    assert KAS_DIRECTORY / "opt/secure-boot.yml" in answered("MACHINE_QEMUX86_64", "VARIANT_DEVELOPMENT")


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_production_takes_the_place_of_development(top: Path, tmp_path: Path) -> None:
    found = configuration([top, KAS_DIRECTORY / "opt/production.yml"], tmp_path)
    require_pinned(found.repositories)
    assert found.targets == VARIANTS["production"]
    assert {"EVEREST_RAUC_KEYRING", "EVEREST_SECURE_BOOT_KEY", "EVEREST_SECURE_BOOT_CERT"} <= found.required
    assert "EVEREST_RAUC_KEYRING_DEVELOPMENT" not in found.required


@pytest.mark.parametrize(("first", "last"), [("development", "production"), ("production", "development")])
def test_of_two_variants_the_last_one_is_built_and_nothing_of_the_other(first: str, last: str) -> None:
    written = [content(KAS_DIRECTORY / f"opt/{name}.yml") for name in (first, last)]
    assert written[1]["local_conf_header"].keys() >= {"30-variant"}
    assert written[0]["local_conf_header"].keys() == written[1]["local_conf_header"].keys()
    assert {"EVEREST_RAUC_KEYRING", "EVEREST_RAUC_KEYRING_DEVELOPMENT"} <= written[1]["env"].keys() & written[0]["env"].keys()


@pytest.mark.parametrize("chosen", list(choices()), ids="-".join)
def test_all_that_the_menu_offers_for_a_choice_exists_and_resolves_together(chosen: tuple[str, ...], tmp_path: Path) -> None:
    files = answered(*chosen, *options())
    assert [file for file in files if not file.is_file()] == []
    found = configuration(files, tmp_path)
    require_pinned(found.repositories)
    variant = "production" if "VARIANT_PRODUCTION" in chosen else "development"
    assert found.targets == VARIANTS[variant] or KAS_DIRECTORY / "opt/prebuilt.yml" in files


def test_the_menu_offers_every_machine_and_every_option() -> None:
    offered = {file for chosen in choices() for file in answered(*chosen, *options())}
    # The root is verified unless a product's own file says otherwise: nothing to choose.
    assert offered == {KAS_DIRECTORY / "base.yml", *MACHINES, *OPTIONS} - {KAS_DIRECTORY / "opt/verity.yml"}


def test_the_menu_offers_nothing_prebuilt_for_a_product_or_a_board() -> None:
    offering = [chosen for chosen in choices() if KAS_DIRECTORY / "opt/prebuilt.yml" in answered(*chosen, "PREBUILT")]
    assert offering == [("MACHINE_QEMUX86_64", "VARIANT_DEVELOPMENT")]


def test_options_do_not_touch_each_other() -> None:
    blocks: dict[str, list[str]] = {}
    for file in OPTIONS:
        for block in content(file).get("local_conf_header", {}):
            blocks.setdefault(block, []).append(file.stem)
    assert {block: files for block, files in blocks.items() if len(files) > 1} == {"30-variant": ["development", "production"]}
    assert all(re.match(r"\d\d-", block) for block in blocks)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_kas_file_says_what_it_is_for_and_is_valid_by_itself(file: Path, tmp_path: Path) -> None:
    assert file.read_text().startswith("# ")
    assert content(file)["header"]["version"] == 20
    configuration([file], tmp_path)


def test_every_file_that_names_repositories_has_a_lock_for_them_and_for_nothing_else() -> None:
    naming = {
        file: {name for name, entry in content(file).get("repos", {}).items() if isinstance(entry, dict) and "url" in entry}
        for file in FILES
    }
    locked = {file: content(file.with_suffix(".lock.yml"))["overrides"]["repos"] for file, names in naming.items() if names}
    assert {file.name for file in locked} >= {"base.yml", "raspberrypi4-64.yml", "imx8mp.yml"}
    assert {file: set(repos) for file, repos in locked.items()} == {file: names for file, names in naming.items() if names}
    assert len(list(KAS_DIRECTORY.rglob("*.lock.yml"))) == len(locked)


def test_no_checkout_lies_in_the_checkout_of_everest_which_its_recipe_builds_as_a_whole(tmp_path: Path) -> None:
    for top in TOP_FILES:
        paths = {repository.name: Path(repository.path) for repository in configuration([top], tmp_path).repositories}
        everest = paths.pop("EVerest")
        assert not [path for path in paths.values() if path.is_relative_to(everest)]
        assert not Path("build").is_relative_to(everest)
