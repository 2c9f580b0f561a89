import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from everest_secure.build.configuration import Configuration
from everest_secure.build.kas import Kas
from support.kas import KAS_DIRECTORY, TOP_FILES

HOSTS = {"git.openembedded.org", "git.yoctoproject.org", "github.com"}


def configuration(file: Path, tmp_path: Path) -> Configuration:
    return Kas((file,), tmp_path).configuration()


def test_there_is_something_to_build() -> None:
    assert TOP_FILES


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_every_repository_is_pinned_to_a_full_commit(top: Path, tmp_path: Path) -> None:
    repositories = configuration(top, tmp_path).repositories
    assert repositories
    assert [repository for repository in repositories if not re.fullmatch("[0-9a-f]{40}", repository.revision)] == []


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_every_repository_comes_from_an_expected_host_over_https(top: Path, tmp_path: Path) -> None:
    urls = [urlsplit(repository.url) for repository in configuration(top, tmp_path).repositories]
    assert {url.scheme for url in urls} == {"https"}
    assert {url.hostname for url in urls} <= HOSTS


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_every_variant_builds_an_image_and_its_bundle(top: Path, tmp_path: Path) -> None:
    assert configuration(top, tmp_path).targets == ("everest-secure-image", "everest-secure-bundle")


def test_the_lock_file_pins_what_the_base_fetches_and_nothing_else() -> None:
    base = yaml.safe_load((KAS_DIRECTORY / "base.yml").read_text())
    lock = yaml.safe_load((KAS_DIRECTORY / "base.lock.yml").read_text())
    assert set(lock["overrides"]["repos"]) == {name for name, entry in base["repos"].items() if "url" in entry}


@pytest.mark.parametrize("file", sorted(KAS_DIRECTORY.rglob("*.yml")), ids=lambda file: file.name)
def test_every_kas_file_is_valid_by_itself(file: Path, tmp_path: Path) -> None:
    configuration(file, tmp_path)


def test_no_checkout_lies_in_the_checkout_of_everest_which_its_recipe_builds_as_a_whole(tmp_path: Path) -> None:
    for top in TOP_FILES:
        paths = {repository.name: Path(repository.path) for repository in configuration(top, tmp_path).repositories}
        everest = paths.pop("EVerest")
        assert not [path for path in paths.values() if path.is_relative_to(everest)]
        assert not Path("build").is_relative_to(everest)
