"""SquashFS images made by mksquashfs, compared with the directory they were made from."""

import struct
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from support.images import assert_equal, sample_tree, set_attributes, tool, tree_of


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = sample_tree(tmp_path_factory.mktemp("source"))
    set_attributes(root, acl=False)
    return root


def squashfs(source: Path, image: Path, *options: str) -> Path:
    tool("mksquashfs", source, image, "-noappend", "-no-progress", *options)
    return image


@pytest.mark.parametrize("codec", ["gzip", "lzma", "lzo", "xz", "lz4", "zstd"])
def test_every_node_and_byte_is_read_with_each_codec(source: Path, tmp_path: Path, codec: str) -> None:
    assert_equal(tree_of(squashfs(source, tmp_path / "image", "-comp", codec)), source)


@pytest.mark.parametrize(
    "options",
    [
        ("-b", "4096"),
        ("-b", "1M"),
        ("-no-fragments",),
        ("-always-use-fragments",),
        ("-no-exports",),
        ("-noI", "-noD", "-noF", "-noX"),
        ("-no-duplicates", "-nopad"),
        ("-comp", "xz", "-Xbcj", "x86"),
        ("-comp", "xz", "-Xbcj", "x86,arm,armthumb,powerpc,ia64,sparc", "-b", "1M"),
        ("-comp", "lz4", "-Xhc"),
        ("-comp", "lzo", "-Xalgorithm", "lzo1x_1", "-b", "1M"),
        ("-comp", "zstd", "-Xcompression-level", "22"),
        ("-no-sparse",),
    ],
    ids=" ".join,
)
def test_every_node_and_byte_is_read_with_each_layout(source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert_equal(tree_of(squashfs(source, tmp_path / "image", *options)), source)


def test_an_image_without_attributes_is_read(source: Path, tmp_path: Path) -> None:
    nodes = tree_of(squashfs(source, tmp_path / "image", "-no-xattrs")).nodes()
    assert len(nodes) > 700
    assert not any(node.xattrs for node in nodes)


def test_an_empty_file_system_has_a_root_only(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert [node.path for node in tree_of(squashfs(tmp_path / "none", tmp_path / "image")).nodes()] == ["/"]


def test_a_compression_without_a_decompressor_is_refused_in_one_sentence(source: Path, tmp_path: Path) -> None:
    image = squashfs(source, tmp_path / "image")
    with image.open("r+b") as file:
        file.seek(20)
        file.write(b"\x07\0")
    with pytest.raises(ArtefactError, match=r"compressed with an unknown method \(7\), which cannot be read; build it with zstd"):
        open_artefact(image)


def test_content_at_any_offset_is_what_the_file_holds(source: Path, tmp_path: Path) -> None:
    tree = tree_of(squashfs(source, tmp_path / "image", "-b", "8192"))
    node = tree.get("/usr/bin/big")
    assert node is not None
    content = (source / "usr/bin/big").read_bytes()
    for offset, length in [(0, 0), (0, 1), (8191, 2), (8192, 8192), (5000, 30000), (len(content) - 5, 5), (len(content), 0)]:
        assert tree.blob(node).read(offset, length) == content[offset : offset + length]
    with pytest.raises(ArtefactError, match="lie outside"):
        tree.blob(node).read(len(content), 1)


def test_files_are_listed_in_the_order_in_which_they_lie_in_the_image(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b", "c"):
        (source / name).write_bytes(name.encode() * 200_000)
    (source / "empty").touch()
    (tmp_path / "order").write_text("a 1\nb 3\nc 2\n")
    tool("mksquashfs", source, tmp_path / "image", "-no-progress", "-quiet", "-no-fragments", "-sort", tmp_path / "order")
    tree = tree_of(tmp_path / "image")
    assert [node.name for node in tree.by_position(node for node in tree.nodes() if node.is_file)] == ["empty", "b", "c", "a"]


def test_a_file_of_impossible_size_is_refused(source: Path, tmp_path: Path) -> None:
    image = squashfs(source, tmp_path / "image", "-noI", "-no-fragments", "-b", "4096")
    raw = bytearray(image.read_bytes())
    size = (source / "usr/bin/big").stat().st_size
    at = raw.index(struct.pack("<I", size))
    struct.pack_into("<I", raw, at, 0xFFFF_FFFF)
    image.write_bytes(raw)
    with pytest.raises(ArtefactError, match="size of a file"):
        tree_of(image).nodes()


def test_a_directory_that_contains_the_root_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "source/etc/deep").mkdir(parents=True)
    image = squashfs(tmp_path / "source", tmp_path / "image", "-noI")
    raw = bytearray(image.read_bytes())
    (root,) = struct.unpack_from("<Q", raw, 32)
    entry = raw.index(struct.pack("<HH", 1, len("deep") - 1) + b"deep") - 4
    struct.pack_into("<H", raw, entry, root & 0xFFFF)
    image.write_bytes(raw)
    with pytest.raises(ArtefactError, match="its directory /etc/deep is linked twice"):
        tree_of(image).nodes()
