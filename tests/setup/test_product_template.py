import shutil
from pathlib import Path

import pytest

from everest_secure.build.configuration import Configuration
from everest_secure.build.kas import Kas
from everest_secure.paths import data
from support.kas import KAS_DIRECTORY, git

TEMPLATE = data("meta-everest-secure").parent / "templates/product"
PLACEHOLDERS = ("https://git.example.com/everest-secure.git", "0" * 40)


def repository(directory: Path) -> str:
    """Commit everything in `directory` and return the commit."""
    git("init", "--quiet", "--initial-branch", "main", ".", cwd=directory)
    git("add", "--all", cwd=directory)
    git("commit", "--quiet", "--message", "first", cwd=directory)
    return git("rev-parse", "HEAD", cwd=directory)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product's repository, made as its README says, with everest-secure's kas files in a repository of their own."""
    ours = tmp_path / "everest-secure"
    shutil.copytree(KAS_DIRECTORY, ours / "kas")
    (ours / "meta-everest-secure").mkdir()
    (ours / "meta-everest-secure/layer").touch()
    real = (ours.as_uri(), repository(ours))
    made = tmp_path / "product"
    shutil.copytree(TEMPLATE, made)
    top = made / "kas/ac22.yml"
    text = top.read_text()
    for placeholder, value in zip(PLACEHOLDERS, real, strict=True):
        assert text.count(placeholder) == 1
        text = text.replace(placeholder, value)
    top.write_text(text)
    repository(made)
    return made


def merged(product: Path, name: str, tmp_path: Path) -> Configuration:
    work = tmp_path / "work"
    work.mkdir()
    return Kas((product / "kas" / name,), work).configuration()


def test_a_product_layer_takes_fewer_than_ten_files() -> None:
    files = git("ls-files", "--cached", "--others", "--exclude-standard", "--", ".", cwd=TEMPLATE).split()
    assert 0 < len(files) < 10
    readme = (TEMPLATE / "README.md").read_text()
    assert [file for file in files if file != "README.md" and f"`{file}`" not in readme] == []


def test_a_product_builds_its_own_image_for_the_workshop(product: Path, tmp_path: Path) -> None:
    found = merged(product, "ac22.yml", tmp_path)
    assert found.targets == ("acme-image", "acme-bundle")
    assert "EVEREST_RAUC_KEYRING_DEVELOPMENT" in found.required
    assert "EVEREST_RAUC_KEYRING" not in found.required


def test_a_product_for_the_field_asks_for_the_release_keyring_and_the_secure_boot_key(product: Path, tmp_path: Path) -> None:
    found = merged(product, "ac22-production.yml", tmp_path)
    assert found.targets == ("acme-image", "acme-bundle")
    assert {"EVEREST_RAUC_KEYRING", "EVEREST_SECURE_BOOT_KEY", "EVEREST_SECURE_BOOT_CERT"} <= found.required
    assert "EVEREST_RAUC_KEYRING_DEVELOPMENT" not in found.required


def test_every_layer_of_a_product_is_pinned_to_a_commit(product: Path, tmp_path: Path) -> None:
    found = merged(product, "ac22.yml", tmp_path)
    assert {"everest-secure", "openembedded-core", "EVerest", "meta-freescale"} <= {each.name for each in found.repositories}
    assert [each.name for each in found.repositories if len(each.revision) != 40] == []


def test_reading_a_product_s_files_fetches_nothing_but_what_they_include(product: Path, tmp_path: Path) -> None:
    merged(product, "ac22.yml", tmp_path)
    assert [path.name for path in (tmp_path / "work/layers").iterdir()] == ["everest-secure"]
