import os
from pathlib import Path

import pytest

from everest_secure.build.collect import Collection, collect, find
from everest_secure.build.errors import BuildError


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    directory = tmp_path / "tmp-glibc/deploy/images/qemux86-64"
    directory.mkdir(parents=True)
    return directory


def deployed(deploy: Path, *names: str) -> None:
    """Put files with a time in their name there and link to them, as OE-Core does."""
    for name in names:
        stem, dot, suffix = name.partition(".")
        stamped = deploy / f"{stem}-20260101120000{dot}{suffix}"
        stamped.write_text(name)
        (deploy / name).symlink_to(stamped.name)


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_an_image_and_its_bundle_are_found_by_their_links(deploy: Path) -> None:
    deployed(deploy, "image-qemux86-64.rootfs.squashfs", "bundle-qemux86-64.raucb", "image-qemux86-64.rootfs.manifest")
    found = find(deploy, targets=["image", "bundle"])
    assert names(found.artefacts) == ["image-qemux86-64.rootfs.squashfs", "bundle-qemux86-64.raucb"]
    assert names(found.companions) == ["image-qemux86-64.rootfs.manifest"]


def test_a_bundle_that_is_to_be_signed_again_is_the_target_s(deploy: Path) -> None:
    deployed(deploy, "bundle-to-be-signed-again-qemux86-64.raucb")
    assert names(find(deploy, targets=["bundle"]).artefacts) == ["bundle-to-be-signed-again-qemux86-64.raucb"]


def test_an_image_whose_name_begins_alike_is_another(deploy: Path) -> None:
    deployed(deploy, "image-qemux86-64.rootfs.squashfs", "image-dev-qemux86-64.rootfs.squashfs")
    assert names(find(deploy, targets=["image"]).artefacts) == ["image-qemux86-64.rootfs.squashfs"]


@pytest.mark.parametrize(
    ("present", "taken"),
    [
        ((".wic", ".squashfs", ".squashfs.verity"), ".wic"),
        ((".squashfs", ".squashfs.verity"), ".squashfs.verity"),
        ((".squashfs-zst", ".squashfs-zst.verity", ".efi"), ".squashfs-zst.verity"),
        ((".ext4", ".tar.zst"), ".ext4"),
        ((".wic.gz", ".wic.zst", ".ext4"), ".wic.zst"),
        ((".tar.bz2",), ".tar.bz2"),
    ],
)
def test_the_most_complete_form_of_an_image_is_taken(deploy: Path, present: tuple[str, ...], taken: str) -> None:
    deployed(deploy, *(f"image-qemux86-64.rootfs{suffix}" for suffix in present))
    assert names(find(deploy, targets=["image"]).artefacts) == [f"image-qemux86-64.rootfs{taken}"]


@pytest.mark.parametrize("left", [[], ["image-qemux86-64.rootfs.cpio.gz"], ["other-qemux86-64.rootfs.squashfs"]])
def test_a_target_that_left_nothing_to_check_is_an_error(deploy: Path, left: list[str]) -> None:
    deployed(deploy, *left)
    with pytest.raises(BuildError, match="the target image left nothing to check"):
        find(deploy, targets=["image"])


def test_a_link_to_nothing_is_no_artefact(deploy: Path) -> None:
    (deploy / "image-qemux86-64.rootfs.squashfs").symlink_to("removed.squashfs")
    with pytest.raises(BuildError, match="left nothing to check"):
        find(deploy, targets=["image"])


def test_a_deploy_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="the build left no"):
        find(tmp_path / "qemux86-64", targets=["image"])


def test_collecting_replaces_what_an_earlier_build_left(deploy: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "report.html").write_text("an old report")
    deployed(deploy, "image-qemux86-64.rootfs.squashfs", "image-qemux86-64.rootfs.manifest")
    collected = collect(find(deploy, targets=["image"]), into=images)
    assert sorted(path.name for path in images.iterdir()) == ["image-qemux86-64.rootfs.manifest", "image-qemux86-64.rootfs.squashfs"]
    assert collected.artefacts[0].read_text() == "image-qemux86-64.rootfs.squashfs"
    assert not collected.artefacts[0].is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "tmp-glibc"]


def test_on_one_file_system_collecting_costs_no_space(deploy: Path, tmp_path: Path) -> None:
    deployed(deploy, "image-qemux86-64.rootfs.squashfs")
    collected = collect(find(deploy, targets=["image"]), into=tmp_path / "images")
    assert collected.artefacts[0].samefile(deploy / "image-qemux86-64.rootfs.squashfs")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system in /dev/shm")
def test_from_another_file_system_artefacts_are_copied(tmp_path: Path) -> None:
    other = Path("/dev/shm") / f"everest-secure-{os.getpid()}"
    other.write_text("an image")
    try:
        collected = collect(Collection((other,), ()), into=tmp_path / "images")
    finally:
        other.unlink()
    assert collected.artefacts[0].read_text() == "an image"


def test_a_collection_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "image").write_text("earlier")
    with pytest.raises(FileNotFoundError):
        collect(Collection((tmp_path / "gone",), ()), into=images)
    assert (images / "image").read_text() == "earlier"
