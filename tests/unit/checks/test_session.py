import hashlib
from pathlib import Path

import pytest

from everest_secure.checks.session import check_artefacts
from everest_secure.errors import ArtefactError, PolicyError
from everest_secure.run import HostTools, is_installed
from support.reports import root


@pytest.mark.skipif(not is_installed("mksquashfs"), reason="mksquashfs is not installed")
def test_a_file_is_reported_with_its_digest_and_a_directory_without(tmp_path: Path) -> None:
    image = tmp_path / "rootfs.squashfs"
    HostTools().run(["mksquashfs", root(tmp_path / "tree"), image, "-quiet", "-no-progress"])
    first, second = check_artefacts([image, tmp_path / "tree"], profile="reference").subjects
    assert (first.name, first.kind, first.size) == ("rootfs.squashfs", "squashfs", image.stat().st_size)
    assert first.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert (second.kind, second.size, second.sha256) == ("directory", None, "")


@pytest.mark.skipif(not is_installed("mksquashfs"), reason="mksquashfs is not installed")
def test_everything_in_a_deploy_folder_that_can_be_checked_is_and_the_same_root_once(tmp_path: Path) -> None:
    deploy = tmp_path / "qemux86-64"
    deploy.mkdir()
    image = deploy / "charger-qemux86-64.rootfs-20260101120000.squashfs"
    HostTools().run(["mksquashfs", root(tmp_path / "tree"), image, "-quiet", "-no-progress"])
    (deploy / "charger-qemux86-64.rootfs.squashfs").symlink_to(image.name)
    (deploy / "copy.squashfs").write_bytes(image.read_bytes())
    (deploy / "Image").write_bytes(b"a kernel")
    (deploy / "charger-qemux86-64.rootfs.manifest").write_text("systemd qemux86_64 255\n")
    (tmp_path / "kernel").mkdir()
    HostTools().run(["mksquashfs", tmp_path / "kernel", deploy / "modules.squashfs", "-quiet", "-no-progress"])
    report = check_artefacts([deploy], profile="reference")
    assert [subject.name for subject in report.subjects] == ["charger-qemux86-64.rootfs.squashfs", "copy.squashfs"]
    assert report.subjects[0].sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    looked_at = {part.subject for result in report.results for part in result.parts if part.subject}
    assert looked_at == {"charger-qemux86-64.rootfs.squashfs", "catalogue"}
    assert "copy.squashfs is, byte by byte, a root file system that was checked under another name" in report.notices


def test_a_directory_that_is_neither_root_nor_deploy_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/notes").write_text("nothing")
    with pytest.raises(
        ArtefactError, match="folder is neither a root file system, with /usr and /etc, nor a deploy folder with an image in it"
    ):
        check_artefacts([tmp_path / "folder"])


def test_a_damaged_image_in_a_deploy_folder_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.squashfs").write_bytes(b"hsqs" + b"\xff" * 200)
    with pytest.raises(ArtefactError, match=r"broken\.squashfs"):
        check_artefacts([tmp_path])


@pytest.mark.skipif(not (is_installed("mksquashfs") and is_installed("qemu-img")), reason="mksquashfs or qemu-img is not installed")
def test_an_image_that_is_not_read_is_not_passed_over_in_a_deploy_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deploy"
    folder.mkdir()
    HostTools().run(["mksquashfs", root(tmp_path / "tree"), folder / "charger.squashfs", "-quiet", "-no-progress"])
    assert check_artefacts([folder], profile="reference").subjects
    HostTools().run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "other.wic.qcow2", "4M"])
    with pytest.raises(ArtefactError, match=r"other\.wic\.qcow2 is qcow2, which is not read"):
        check_artefacts([folder], profile="reference")


def test_the_strictest_profile_is_the_default(tmp_path: Path) -> None:
    report = check_artefacts([root(tmp_path / "tree")])
    assert report.profile == "production"
    assert report.evidence_required


def test_a_policy_error_comes_before_the_artefact_is_read(tmp_path: Path) -> None:
    (tmp_path / "my.yml").write_text("extend: production\n")
    with pytest.raises(PolicyError, match=r"my\.yml:1: extend"):
        check_artefacts([tmp_path / "absent.raw"], policy_file=tmp_path / "my.yml")


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"no image at all", b"hsqs" + b"\xff" * 200])
def test_an_artefact_that_cannot_be_opened_is_an_error_of_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(content)
    with pytest.raises(ArtefactError) as error:
        check_artefacts([path])
    assert "disk.raw" in str(error.value)
    assert "\n" not in str(error.value)
