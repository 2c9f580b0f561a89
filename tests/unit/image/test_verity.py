"""Dm-verity trees made by veritysetup behind real file systems."""

from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.verity import Verity
from support.images import only_tree, tool, verity_image


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    (root / "large").write_bytes(bytes(range(256)) * 256 * 20)
    return root


def squashfs(source: Path, image: Path) -> Path:
    tool("mksquashfs", source, image, "-no-progress", "-noD", "-noF")
    return image


def facts_of(image: Path) -> Verity:
    facts = open_artefact(image).facts
    assert isinstance(facts, Verity)
    return facts


def flip(image: Path, offset: int) -> None:
    raw = bytearray(image.read_bytes())
    raw[offset] ^= 1
    image.write_bytes(raw)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--hash", "sha512"),
        ("--hash", "sha1"),
        ("--salt", "-"),
        ("--salt", "ab" * 256),
        ("--data-block-size", "1024", "--hash-block-size", "1024"),
        ("--data-block-size", "4096", "--hash-block-size", "512"),
    ],
    ids=" ".join,
)
def test_the_root_hash_is_that_of_veritysetup(source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    image = squashfs(source, tmp_path / "image")
    root_hash = verity_image(image, *options)
    result = facts_of(image).verify_tree()
    assert result.root_hash == root_hash
    assert result.holds(root_hash)
    assert not result.holds(bytes(len(root_hash)))


def test_the_file_system_inside_has_the_name_of_the_whole(source: Path, tmp_path: Path) -> None:
    image = squashfs(source, tmp_path / "root.verity")
    verity_image(image)
    artefact = open_artefact(image)
    assert [(found.name, found.kind) for found in artefact.walk()] == [("root.verity", "verity"), ("root.verity", "squashfs")]
    assert only_tree(artefact).read("/large") == (source / "large").read_bytes()


def test_an_ext4_with_a_tree_behind_it_is_known(source: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-d", source, image, "8M")
    root_hash = verity_image(image)
    artefact = open_artefact(image)
    assert [found.kind for found in artefact.walk()] == ["verity", "ext4"]
    assert facts_of(image).verify_tree().holds(root_hash)


@pytest.mark.parametrize("options", [(), ("-zlz4hc",)], ids=["plain", "lz4hc"])
def test_an_erofs_with_a_tree_behind_it_is_known(source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    image = tmp_path / "image"
    tool("mkfs.erofs", *options, image, source)
    root_hash = verity_image(image)
    artefact = open_artefact(image)
    assert [found.kind for found in artefact.walk()] == ["verity", "erofs"]
    assert facts_of(image).verify_tree().holds(root_hash)
    assert only_tree(artefact).read("/large") == (source / "large").read_bytes()


def test_one_data_block_needs_no_tree_level(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    image = squashfs(tmp_path / "none", tmp_path / "image")
    assert image.stat().st_size == 4096
    root_hash = verity_image(image)
    assert facts_of(image).verify_tree().root_hash == root_hash


def test_a_flipped_data_bit_is_found_in_its_block(source: Path, tmp_path: Path) -> None:
    image = squashfs(source, tmp_path / "image")
    root_hash = verity_image(image)
    flip(image, 123 * 4096 + 17)
    result = facts_of(image).verify_tree()
    assert result.corrupt_blocks == (123,)
    assert result.root_hash == root_hash
    assert not result.holds(root_hash)


def test_a_flipped_bit_in_the_tree_is_found(source: Path, tmp_path: Path) -> None:
    image = squashfs(source, tmp_path / "image")
    root_hash = verity_image(image)
    facts = facts_of(image)
    flip(image, facts.hash_offset + 4096 + 4096 + 5)
    result = facts_of(image).verify_tree()
    assert result.corrupt_hash_blocks == (1,)
    assert result.corrupt_blocks == (0,)
    assert not result.holds(root_hash)


def test_a_truncated_tree_is_refused(source: Path, tmp_path: Path) -> None:
    image = squashfs(source, tmp_path / "image")
    verity_image(image)
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size - 4096)
    with pytest.raises(ArtefactError, match="truncated"):
        open_artefact(image)
