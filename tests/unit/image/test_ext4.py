"""Ext2, ext3 and ext4 images made by mke2fs, compared with the directory they were made from."""

import os
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from support.images import assert_equal, sample_tree, set_attributes, tool, tree_of

LOST = ("/lost+found",)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = sample_tree(tmp_path_factory.mktemp("source"))
    set_attributes(root)
    return root


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without sparse files, whose size mke2fs 1.47.0 itself writes wrongly with inline_data."""
    root = sample_tree(tmp_path_factory.mktemp("dense"), sparse=False)
    set_attributes(root)
    return root


def ext4(source: Path, image: Path, *options: str, size: str = "32M") -> Path:
    tool("mke2fs", "-q", "-F", "-E", "root_owner=0:0", "-d", source, *options, image, size)
    return image


FEATURES = {
    "default ext4": ("-t", "ext4"),
    "as OE-Core makes it": ("-t", "ext4", "-i", "4096"),
    "ext2, 1k blocks": ("-t", "ext2", "-b", "1024"),
    "ext3": ("-t", "ext3"),
    "2k blocks": ("-t", "ext4", "-b", "2048"),
    "128-byte inodes": ("-t", "ext4", "-I", "128", "-b", "1024"),
    "1024-byte inodes": ("-t", "ext4", "-I", "1024"),
    "ea_inode": ("-t", "ext4", "-O", "ea_inode"),
    "csum_seed and orphan_file": ("-t", "ext4", "-O", "metadata_csum,metadata_csum_seed,orphan_file"),
    "no 64bit": ("-t", "ext4", "-O", "^64bit"),
    "no flex_bg": ("-t", "ext4", "-O", "^flex_bg"),
    "no file types": ("-t", "ext4", "-O", "^filetype"),
    "no extents": ("-t", "ext4", "-O", "^extents,^64bit", "-b", "1024"),
    "small groups": ("-t", "ext4", "-b", "1024", "-g", "1024"),
    "meta_bg": ("-t", "ext4", "-O", "meta_bg,^resize_inode"),
    "meta_bg, many small groups": ("-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024", "-g", "256", "-N", "4096"),
    "meta_bg, every superblock copied": (
        "-t",
        "ext2",
        "-O",
        "meta_bg,^sparse_super,^resize_inode",
        "-b",
        "1024",
        "-g",
        "256",
        "-N",
        "4096",
    ),
    "meta_bg and sparse_super2": ("-t", "ext4", "-O", "meta_bg,sparse_super2,^resize_inode", "-b", "1024", "-g", "256", "-N", "4096"),
    "sparse_super2": ("-t", "ext4", "-O", "sparse_super2", "-b", "1024", "-g", "1024"),
    "bigalloc": ("-t", "ext4", "-O", "bigalloc"),
    "bigalloc, 1k blocks": ("-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "16384"),
    "bigalloc and meta_bg, 1k blocks": ("-t", "ext4", "-O", "bigalloc,meta_bg,^resize_inode", "-b", "1024", "-C", "4096"),
    "everything at once": (
        "-t",
        "ext4",
        "-O",
        "64bit,flex_bg,ea_inode,large_dir,mmp,project,quota,verity,metadata_csum,orphan_file,uninit_bg,stable_inodes",
    ),
}


@pytest.mark.parametrize("options", FEATURES.values(), ids=FEATURES)
def test_every_node_and_byte_is_read_with_each_feature(source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert_equal(tree_of(ext4(source, tmp_path / "image", *options)), source, ignoring=LOST)


@pytest.mark.parametrize("size", ["256", "1024"])
def test_every_node_and_byte_is_read_with_inline_data(dense: Path, tmp_path: Path, size: str) -> None:
    image = ext4(dense, tmp_path / "image", "-t", "ext4", "-O", "inline_data", "-I", size)
    assert_equal(tree_of(image), dense, ignoring=LOST)


def test_every_node_and_byte_is_read_with_blocks_of_64_kib(source: Path, tmp_path: Path) -> None:
    image = ext4(source, tmp_path / "image", "-t", "ext4", "-b", "65536", "-O", "^has_journal", size="160M")
    assert_equal(tree_of(image), source, ignoring=LOST)


def test_large_attributes_in_inodes_of_their_own_are_read(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir(mode=0o755)
    (tmp_path / "source/file").write_bytes(b"content")
    try:
        os.setxattr(tmp_path / "source/file", "user.huge", bytes(range(256)) * 11)
    except OSError:
        pytest.skip("the file system of this machine keeps no attribute of 2816 bytes")
    image = ext4(tmp_path / "source", tmp_path / "image", "-t", "ext4", "-b", "1024", "-O", "ea_inode")
    assert_equal(tree_of(image), tmp_path / "source", ignoring=LOST)


def test_a_file_system_of_revision_0_is_read(dense: Path, tmp_path: Path) -> None:
    # Not by mke2fs, of which 1.47.2 makes none.
    image = ext4(dense, tmp_path / "image", "-b", "1024", "-I", "128", "-O", "none")
    tool("debugfs", "-w", "-R", "set_super_value rev_level 0", image)
    assert b"0 (original)" in tool("dumpe2fs", "-h", image)
    tool("e2fsck", "-fn", image)
    assert_equal(tree_of(image), dense, ignoring=LOST, attributes=False)


def test_hashed_directories_are_listed_whole(dense: Path, tmp_path: Path) -> None:
    image = ext4(dense, tmp_path / "image", "-t", "ext4", "-b", "1024")
    tool("e2fsck", "-fyD", image)
    assert b"HTREE" in tool("debugfs", "-R", "htree_dump /many", image) or b"Root node dump" in tool(
        "debugfs", "-R", "htree_dump /many", image
    )
    assert_equal(tree_of(image), dense, ignoring=LOST)


def test_allocated_blocks_that_were_never_written_read_as_zeros(dense: Path, tmp_path: Path) -> None:
    image = ext4(dense, tmp_path / "image", "-t", "ext4", "-b", "1024")
    tool("debugfs", "-w", "-R", "fallocate /etc/tiny 1 20", image)
    tool("debugfs", "-w", "-R", "set_inode_field /etc/tiny size 20480", image)
    assert tree_of(image).read("/etc/tiny") == (b"x" * 59).ljust(20480, b"\0")


@pytest.mark.parametrize(
    ("feature", "options"),
    [
        ("encrypt", ("-t", "ext4", "-O", "encrypt")),
        ("casefold", ("-t", "ext4", "-O", "casefold")),
    ],
)
def test_a_feature_that_cannot_be_read_is_named_in_one_sentence(tmp_path: Path, feature: str, options: tuple[str, ...]) -> None:
    image = tmp_path / "image"
    tool("mke2fs", "-q", "-F", *options, image, "32M")
    with pytest.raises(ArtefactError, match=f"with {feature}, which cannot be read; build it without"):
        open_artefact(image)


def test_a_file_system_that_needs_its_journal_is_refused(dense: Path, tmp_path: Path) -> None:
    image = ext4(dense, tmp_path / "image", "-t", "ext4")
    tool("debugfs", "-w", "-R", "feature needs_recovery", image)
    with pytest.raises(ArtefactError, match="not unmounted cleanly"):
        open_artefact(image)


def test_a_directory_that_contains_itself_is_corrupt(dense: Path, tmp_path: Path) -> None:
    image = ext4(dense, tmp_path / "image", "-t", "ext4")
    tool("debugfs", "-w", "-R", "ln /etc /etc/deep/again", image)
    tool("debugfs", "-w", "-R", "set_inode_field /etc links_count 9", image)
    with pytest.raises(ArtefactError, match="second link to a directory"):
        tree_of(image).nodes()


def test_a_file_of_impossible_size_is_refused_when_read_and_costs_nothing(dense: Path, tmp_path: Path) -> None:
    image = ext4(dense, tmp_path / "image", "-t", "ext4")
    tool("debugfs", "-w", "-R", "set_inode_field /etc/tiny size 0x7fffffffffff", image)
    tree = tree_of(image)
    with pytest.raises(ArtefactError, match="more than the"):
        tree.read("/etc/tiny")


def test_content_at_any_offset_is_what_the_file_holds(source: Path, tmp_path: Path) -> None:
    tree = tree_of(ext4(source, tmp_path / "image", "-t", "ext4"))
    node = tree.get("/usr/bin/holes")
    assert node is not None
    content = (source / "usr/bin/holes").read_bytes()
    for offset, length in [(0, 1), (4095, 2), (4096, 4096), (5000, 300_000), (len(content) - 5, 5), (len(content), 0)]:
        assert tree.blob(node).read(offset, length) == content[offset : offset + length]


def test_files_are_read_in_the_order_of_the_image(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("b", "d"):
        (source / name).write_bytes(name.encode() * 100_000)
    image = ext4(source, tmp_path / "image.ext4", "-t", "ext4")
    for name in ("c", "a"):
        (tmp_path / name).write_bytes(name.encode() * 100_000)
        tool("debugfs", "-w", "-R", f"write {tmp_path / name} {name}", image)
    tree = tree_of(image)
    files = [node for node in tree.nodes() if node.is_file]
    assert [node.name for node in tree.by_position(files)] == ["b", "d", "c", "a"]
    assert all(tree.read(node.path) == node.name.encode() * 100_000 for node in files)
