"""File systems that are named and not read, as their own tools make them where this machine has them."""

import shutil
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from support.images import tool

MAKERS = {
    "UBIFS": ("mkfs.ubifs", "-m", "2048", "-e", "126976", "-c", "64", "-r", "{source}", "{image}"),
    "JFFS2": ("mkfs.jffs2", "-r", "{source}", "-o", "{image}"),
    "cramfs": ("mkfs.cramfs", "{source}", "{image}"),
    "XFS": ("mkfs.xfs", "-q", "{image}"),
    "F2FS": ("mkfs.f2fs", "-q", "{image}"),
    "Btrfs": ("mkfs.btrfs", "-q", "{image}"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_file_system_that_is_not_read_is_named_in_one_sentence(tmp_path: Path, name: str) -> None:
    program, *options = MAKERS[name]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    source, image = tmp_path / "source", tmp_path / "image"
    source.mkdir()
    (source / "file").write_text("content")
    if "{source}" not in options:
        with image.open("wb") as file:
            file.truncate(400 * 1024 * 1024)
    tool(program, *(option.format(source=source, image=image) for option in options))
    with pytest.raises(ArtefactError, match=f"is {name}, which is not read; give the same root as ext4"):
        open_artefact(image)


def test_a_ubi_image_is_named_in_one_sentence(tmp_path: Path) -> None:
    """An erase counter header (drivers/mtd/ubi/ubi-media.h) is enough; ubinize fills the rest of the block."""
    (tmp_path / "image").write_bytes(b"UBI#\x01".ljust(131072, b"\xff"))
    with pytest.raises(ArtefactError, match="is UBI, which is not read"):
        open_artefact(tmp_path / "image")
