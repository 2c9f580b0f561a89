"""File systems, virtual disks and archives that are named and not read, as their own tools make them where this machine has them."""

import shutil
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.unread import unread_format
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


@pytest.mark.parametrize("begin", [b"\x85\x19", b"\x85\x19\x03\x20\x0c\0\0\0\0\0\0\0"])
def test_a_firmware_that_begins_like_jffs2_is_not_taken_for_it(begin: bytes) -> None:
    assert unread_format(from_bytes(begin, "firmware")) is None


DISKS = {
    "qcow2": ("qcow2",),
    "VMDK": ("vmdk",),
    "VMDK, in two files": ("vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
    "VDI": ("vdi",),
    "VHDX": ("vhdx",),
    "VHD": ("vpc",),
}


@pytest.mark.parametrize("name", DISKS)
def test_a_disk_of_a_virtual_machine_is_named_with_how_to_convert_it(tmp_path: Path, name: str) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    (tmp_path / "disk.raw").write_bytes(b"content".ljust(4 * 1024 * 1024, b"\0"))
    form, *options = DISKS[name]
    tool("qemu-img", "convert", "-f", "raw", "-O", form, *options, tmp_path / "disk.raw", tmp_path / "image")
    with pytest.raises(
        ArtefactError, match=rf"image is {name.partition(',')[0]}, which is not read; give the disk as it is written .*qemu-img"
    ):
        open_artefact(tmp_path / "image")


ARCHIVES = {
    "lzop": ("image.lzo", "lzop", "-q", "-o", "{image}", "{source}"),
    "ZIP": ("image.zip", "zip", "-q", "{image}", "{source}"),
    "7z": ("image.7z", "7z", "a", "{image}", "{source}"),
    "a casync index": ("image.caibx", "casync", "make", "--store={image}.castr", "{image}", "{source}"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_not_read_is_named(tmp_path: Path, name: str) -> None:
    made, program, *options = ARCHIVES[name]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / "disk.wic").write_bytes(b"content")
    image = tmp_path / made
    tool(program, *(option.format(image=image, source=tmp_path / "disk.wic") for option in options))
    with pytest.raises(ArtefactError, match=f"is {name}, which is not read; give what "):
        open_artefact(image)
