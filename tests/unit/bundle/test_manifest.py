from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.bundle import description, manifest
from everest_secure.bundle.description import Description, Hooks, Image
from everest_secure.bundle.errors import BundleError

TEXT = """\
compatible: everest-secure-test
version: 1.2.3
build: build 7
images:
  rootfs: {file: rootfs.squashfs, name: rootfs.img, hooks: [post-install], adaptive: [block-hash-index]}
  efi: {file: efi.vfat}
hooks: {file: check.sh, install_check: true}
meta:
  everest: {commit: "a b\\\\c=d;e"}
"""


@pytest.fixture
def good(tmp_path: Path) -> Description:
    for name in ("rootfs.squashfs", "efi.vfat", "check.sh"):
        (tmp_path / name).write_text(name)
    (tmp_path / "bundle.yml").write_text(TEXT)
    return description.load(tmp_path / "bundle.yml")


def test_a_description_becomes_the_manifest_that_rauc_documents(good: Description) -> None:
    manifest.require_sound(good)
    assert manifest.render(good) == (
        "[update]\ncompatible=everest-secure-test\nversion=1.2.3\nbuild=build 7\n\n"
        "[bundle]\nformat=verity\n\n"
        "[hooks]\nfilename=check.sh\nhooks=install-check\n\n"
        "[image.rootfs]\nfilename=rootfs.img\nhooks=post-install\nadaptive=block-hash-index\n\n"
        "[image.efi]\nfilename=efi.vfat\n\n"
        "[meta.everest]\ncommit=a b\\\\c=d;e\n"
    )


def test_paths_are_relative_to_the_description(good: Description, tmp_path: Path) -> None:
    assert [image.file for image in good.images] == [tmp_path / "rootfs.squashfs", tmp_path / "efi.vfat"]
    assert good.hooks == Hooks(tmp_path / "check.sh", install_check=True)


@pytest.mark.parametrize("version", ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3+build.7", "10.20.30-a.b.c+d-e"])
def test_semantic_versions_are_taken(good: Description, version: str) -> None:
    manifest.require_sound(replace(good, version=version))


@pytest.mark.parametrize("version", ["1", "1.2", "v1.2.3", "01.2.3", "1.2.3 ", "1.2.3-", "2026-11-22", "1.2.٣", "1.2.3-5-gabcdef0"])
def test_other_versions_are_refused(good: Description, version: str) -> None:
    with pytest.raises(BundleError, match="no semantic version"):
        manifest.require_sound(replace(good, version=version))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"compatible": " "}, "compatible is empty"),
        ({"version": ""}, "version is empty"),
        ({"images": ()}, "has no image"),
        ({"build": "a\nformat=plain"}, "cannot stand in a manifest"),
        ({"build": " a"}, "cannot stand in a manifest"),
        ({"compatible": "a\x1b[31m"}, "cannot stand in a manifest"),
        ({"meta": {"x]\n[bundle": {"a": "b"}}}, "cannot name a slot class or a meta entry"),
        ({"meta": {"x": {"a=b": "c"}}}, "cannot name a slot class or a meta entry"),
        ({"meta": {"x": {"a": "c\nd"}}}, "cannot stand in a manifest"),
        ({"hooks": None}, "has hooks and the bundle no hook file"),
    ],
)
def test_what_a_manifest_cannot_say_is_refused(good: Description, change: dict[str, object], words: str) -> None:
    with pytest.raises(BundleError, match=words):
        manifest.require_sound(replace(good, **change))  # type: ignore[arg-type]  # each key is a field


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": Path("/nowhere/x")}, "/nowhere/x is no file"),
        ({"name": "../x"}, "cannot be a file's name"),
        ({"name": "manifest.raucm"}, "file 'manifest.raucm' twice"),
        ({"name": "efi.vfat"}, "file 'efi.vfat' twice"),
        ({"slot_class": "efi"}, "slot class 'efi' twice"),
        ({"slot_class": "a.b"}, "cannot name a slot class"),
        ({"name": "rootfs.bin"}, "by which RAUC does not know how to write it"),
    ],
)
def test_an_image_that_cannot_be_packed_is_refused(good: Description, change: dict[str, object], words: str) -> None:
    first: Image = replace(good.images[0], **change)  # type: ignore[arg-type]  # each key is a field
    with pytest.raises(BundleError, match=words):
        manifest.require_sound(replace(good, images=(first, good.images[1])))


def test_an_image_that_a_hook_installs_may_have_any_name(good: Description) -> None:
    first = replace(good.images[0], name="firmware.bin", hooks=("install",))
    manifest.require_sound(replace(good, images=(first, good.images[1])))


def test_an_empty_image_is_refused(good: Description) -> None:
    good.images[1].file.write_bytes(b"")
    with pytest.raises(BundleError, match=r"efi\.vfat is empty"):
        manifest.require_sound(good)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 1.2.3", "version: 1.2", "bundle.yml:2: version: must be text, not 1.2"),
        ("version: 1.2.3\n", "", "bundle.yml:1: the key 'version' is missing"),
        ("name: rootfs.img", "name: ../x", "bundle.yml:5: images.rootfs.name"),
        ("install_check: true", "install_check: maybe", "bundle.yml:7: hooks.install_check"),
        ("build: build 7", "format: plain", 'bundle.yml:3: format: "plain" is not known; known are verity, crypt'),
    ],
)
def test_a_description_that_is_wrong_is_refused_by_line_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "bundle.yml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(BundleError) as refused:
        description.load(path)
    assert words in str(refused.value)
