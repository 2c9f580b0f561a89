from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.companions import Companion, CompanionKind, companions_of
from support.images import tool

BESIDE = {
    "charger-board.rootfs.spdx.json": CompanionKind.BILL_OF_MATERIALS,
    "charger-board.rootfs.manifest": CompanionKind.MANIFEST,
    "charger-board.rootfs.testdata.json": CompanionKind.TEST_DATA,
    "charger-board.rootfs.json": CompanionKind.VULNERABILITIES,
    "kernel-config-board": CompanionKind.KERNEL_CONFIG,
}


def deployed(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("suffix", [".rootfs.wic", ".rootfs.wic.gz", ".rootfs.squashfs-zst.verity", ".rootfs.tar.bz2"])
def test_an_image_s_companions_are_those_of_its_name(tmp_path: Path, suffix: str) -> None:
    deployed(tmp_path, *BESIDE, f"charger-board{suffix}", "other-board.rootfs.manifest", "kernel-config-another")
    found = companions_of(tmp_path / f"charger-board{suffix}")
    assert {companion.name: companion.kind for companion in found} == BESIDE


def test_names_of_older_releases_and_with_dots_are_understood(tmp_path: Path) -> None:
    deployed(tmp_path, "charger-1.2-board.wic", "charger-1.2-board.manifest", "charger-1.manifest")
    assert [companion.name for companion in companions_of(tmp_path / "charger-1.2-board.wic")] == ["charger-1.2-board.manifest"]


def test_an_image_alone_and_a_directory_have_none(tmp_path: Path) -> None:
    deployed(tmp_path, "charger.wic", "kernel-config-board")
    assert companions_of(tmp_path / "charger.wic") == ()
    assert companions_of(tmp_path) == ()


def test_a_name_to_which_no_suffix_can_be_added_has_none(tmp_path: Path) -> None:
    image = tmp_path / f"{'n' * 240}.squashfs"
    image.write_bytes(b"x")
    assert companions_of(image) == ()


def test_the_machine_s_name_may_have_hyphens(tmp_path: Path) -> None:
    deployed(
        tmp_path, "charger-qemux86-64.rootfs.wic", "charger-qemux86-64.rootfs.manifest", "kernel-config-qemux86-64", "kernel-config-x86-64"
    )
    assert [companion.name for companion in companions_of(tmp_path / "charger-qemux86-64.rootfs.wic")][1:] == ["kernel-config-qemux86-64"]


def test_an_opened_artefact_carries_its_companions(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    tool("mksquashfs", tmp_path / "files", tmp_path / "charger-board.rootfs.squashfs", "-no-progress")
    deployed(tmp_path, *BESIDE)
    assert len(open_artefact(tmp_path / "charger-board.rootfs.squashfs").companions) == len(BESIDE)


def test_a_companion_is_read_up_to_a_limit(tmp_path: Path) -> None:
    deployed(tmp_path, "charger.manifest")
    companion = Companion(CompanionKind.MANIFEST, tmp_path / "charger.manifest")
    assert companion.text() == "charger.manifest"
    with pytest.raises(ArtefactError, match="more than the 5 bytes"):
        companion.read(limit=5)
    (tmp_path / "charger.manifest").unlink()
    with pytest.raises(ArtefactError, match="cannot be read: No such file"):
        companion.text()
