from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.reference.recipes.packages import split


def installed(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def test_a_file_goes_to_the_first_package_that_claims_it(tmp_path: Path) -> None:
    image = installed(tmp_path / "image", "usr/bin/tool", "usr/share/doc/tool/readme")
    owners = split(image, {"tool-doc": ["/usr/share/doc"], "tool": ["/usr"]}, tmp_path / "packages")
    assert (owners["tool-doc"] / "usr/share/doc/tool/readme").is_file()
    assert (owners["tool"] / "usr/bin/tool").is_file()
    assert not (owners["tool"] / "usr/share").exists()


def test_a_star_stays_within_one_directory(tmp_path: Path) -> None:
    image = installed(tmp_path / "image", "etc/a.d/one.conf")
    with pytest.raises(UserError, match=r"/etc/a\.d/one\.conf is installed by a recipe but in none"):
        split(image, {"tool": ["/etc/*.conf"]}, tmp_path / "packages")


def test_modes_links_and_empty_directories_survive(tmp_path: Path) -> None:
    image = installed(tmp_path / "image", "etc/secret")
    (image / "etc/secret").chmod(0o640)
    (image / "etc").chmod(0o750)
    (image / "etc/link").symlink_to("/dev/null")
    (image / "etc/empty").mkdir(mode=0o700)
    owned = split(image, {"tool": ["/etc"]}, tmp_path / "packages")["tool"]
    assert (owned / "etc/secret").stat().st_mode & 0o7777 == 0o640
    assert (owned / "etc").stat().st_mode & 0o7777 == 0o750
    assert (owned / "etc/empty").stat().st_mode & 0o7777 == 0o700
    assert str((owned / "etc/link").readlink()) == "/dev/null"


def test_what_an_earlier_run_left_is_gone(tmp_path: Path) -> None:
    destination = tmp_path / "packages"
    split(installed(tmp_path / "one", "etc/old"), {"tool": ["/etc"]}, destination)
    owned = split(installed(tmp_path / "two", "etc/new"), {"tool": ["/etc"]}, destination)["tool"]
    assert [path.name for path in (owned / "etc").iterdir()] == ["new"]
