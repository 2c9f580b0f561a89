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
