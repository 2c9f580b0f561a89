"""The images that e2fsprogs keeps because they broke e2fsck once."""

from pathlib import Path

import pytest

from support.confined import read_confined
from support.e2fsprogs import damaged_images
from support.sources import source_archive


def test_every_damaged_image_of_e2fsprogs_is_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    archive = source_archive("e2fsprogs")
    if archive is None:
        pytest.skip("apt cannot download the source package of e2fsprogs quickly; run it once with network, which fills build/cache")
    images = list(damaged_images(archive, tmp_path))
    assert len(images) > 200
    said = read_confined(images)
    assert set(said) == {image.name for image in images}
    refused = [sentence for sentence in said.values() if sentence]
    assert len(refused) > 50
    assert all("\n" not in sentence for sentence in refused)
