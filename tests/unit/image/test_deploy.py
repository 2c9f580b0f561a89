import os
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.deploy import MAX_FILES, files_of, is_deploy_folder


def deployed(folder: Path, *names: str, time: str = "20260101120000") -> None:
    """Put files with a time in their name there and link to them, as OE-Core does."""
    for name in names:
        stem, dot, suffix = name.partition(".rootfs")
        stamped = folder / f"{stem}{dot}-{time}{suffix}"
        stamped.write_text(name)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(stamped.name)


def names(folder: Path) -> list[str]:
    return [path.name for path in files_of(folder)]


def test_every_file_is_opened_once_under_the_name_of_its_link(tmp_path: Path) -> None:
    deployed(tmp_path, "charger-board.rootfs.wic", "charger-board.rootfs.squashfs")
    (tmp_path / "another-link").symlink_to("charger-board.rootfs.wic")
    (tmp_path / "Image").write_bytes(b"k")
    assert names(tmp_path) == ["Image", "another-link", "charger-board.rootfs.squashfs"]


def test_what_an_earlier_build_left_is_not_opened(tmp_path: Path) -> None:
    deployed(tmp_path, "charger-board.rootfs.wic", time="20250101120000")
    deployed(tmp_path, "charger-board.rootfs.wic")
    assert names(tmp_path) == ["charger-board.rootfs.wic"]
    (tmp_path / "charger-board.rootfs.wic").unlink()
    assert names(tmp_path) == ["charger-board.rootfs-20250101120000.wic", "charger-board.rootfs-20260101120000.wic"]


def test_lists_and_links_that_leave_the_folder_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "deploy"
    folder.mkdir()
    (tmp_path / "outside.wic").write_bytes(b"x")
    (folder / "leaves.wic").symlink_to("../outside.wic")
    (folder / "dangling.wic").symlink_to("nothing")
    (folder / "loop.wic").symlink_to("loop.wic")
    os.mkfifo(folder / "pipe.wic")
    for name in ("charger.manifest", "charger.spdx.json", "kernel-config-board", "charger.testdata.json", "charger.wic.bmap", ".hidden"):
        (folder / name).write_bytes(b"x")
    (folder / "directory.wic").mkdir()
    assert names(folder) == []


def test_a_directory_with_usr_and_etc_is_no_deploy_folder(tmp_path: Path) -> None:
    assert is_deploy_folder(tmp_path)
    (tmp_path / "usr").mkdir()
    (tmp_path / "etc").symlink_to("usr")
    assert not is_deploy_folder(tmp_path)
    assert not is_deploy_folder(tmp_path / "nothing")


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / str(number)).touch()
    with pytest.raises(ArtefactError, match="more than 10000 files; name the deploy folder of one machine"):
        files_of(tmp_path)
