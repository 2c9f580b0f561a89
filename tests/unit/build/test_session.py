import json
import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from everest_secure.build.errors import BuildError
from everest_secure.build.session import build, finish
from everest_secure.errors import ArtefactError, ExitCode, PolicyError
from support.images import tool
from support.kas import Project

IMAGE = "image-qemux86-64.rootfs.squashfs"


def silent(_: str) -> AbstractContextManager[None]:
    return nullcontext()


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A deploy directory with a file system with a file that everybody may write."""
    if shutil.which("mksquashfs") is None:
        pytest.skip("needs the program mksquashfs")
    root = tmp_path / "root"
    for name in ("etc", "usr"):
        (root / name).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:*:0:0::/:/bin/false\n")
    (root / "etc/group").write_text("root:*:0:\n")
    (root / "etc/open").touch()
    (root / "etc/open").chmod(0o666)
    directory = tmp_path / "build/tmp-glibc/deploy/images/qemux86-64"
    directory.mkdir(parents=True)
    tool("mksquashfs", root, directory / IMAGE, "-all-root", "-quiet", "-no-progress")
    return directory


def test_what_a_build_left_is_collected_checked_and_reported_in_one_place(deploy: Path, tmp_path: Path) -> None:
    done = finish(deploy, targets=["image"], directory=tmp_path, profile="development", step=silent)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [IMAGE, "report.html", "report.json"]
    assert done.report.exit_code != ExitCode.OK
    outcomes = {result["id"]: result["outcome"] for result in json.loads((tmp_path / "images/report.json").read_text())["results"]}
    assert outcomes["FS-05"] == "fail"
    assert "FS-05" in done.page.read_text()


def test_an_image_that_cannot_be_read_leaves_no_report_of_an_earlier_build(deploy: Path, tmp_path: Path) -> None:
    finish(deploy, targets=["image"], directory=tmp_path, profile="development", step=silent)
    (deploy / IMAGE).unlink()
    (deploy / IMAGE).write_bytes(b"")
    with pytest.raises(ArtefactError):
        finish(deploy, targets=["image"], directory=tmp_path, profile="development", step=silent)
    assert [path.name for path in (tmp_path / "images").iterdir()] == [IMAGE]


def test_a_wrong_profile_is_said_before_the_build(project: Project) -> None:
    with pytest.raises(PolicyError, match="no-such-profile"):
        build([project.kas_file("top.yml", {})], directory=project.directory, profile="no-such-profile", step=silent)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the superuser, who is refused")
def test_a_build_by_the_superuser_ends_before_anything_is_made(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="ordinary user"):
        build([project.kas_file("top.yml", {})], directory=tmp_path / "work", step=silent)
    assert not (tmp_path / "work").exists()
