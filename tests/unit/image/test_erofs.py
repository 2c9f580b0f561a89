"""EROFS images made by mkfs.erofs, compared with the directory they were made from."""

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from support.images import assert_equal, sample_tree, set_attributes, tool, tree_of

FEATURES = 1024 + 80
BIG, CHUNKS, ZTAILPACKING, FRAGMENTS, PREFIXES = 0x2, 0x4, 0x10, 0x20, 0x40


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything a file system may hold, and programs that are alike, for what packs and deduplicates."""
    root = sample_tree(tmp_path_factory.mktemp("source"))
    set_attributes(root)
    program = Path(shutil.which("bash") or sys.executable).read_bytes()[:400_000]
    for name, content in {
        "program": program,
        "patched": program[:200_000] + b"xyz" + program[200_003:],
        "shorter": program[:-777],
        "moved": b"q" * 100 + program,
    }.items():
        (root / "usr/bin" / name).write_bytes(content)
    return root


def erofs(source: Path, image: Path, *options: str, feature: int = 0) -> Path:
    """Make an image; skips the test where mkfs.erofs is too old for the options or, without a word, for the feature."""
    done = subprocess.run(["mkfs.erofs", "--quiet", *options, image, source], capture_output=True, text=True, check=False)
    if done.returncode or struct.unpack_from("<I", image.read_bytes(), FEATURES)[0] & feature != feature:
        pytest.skip(f"this machine's mkfs.erofs makes no image with {' '.join(options)}")
    return image


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-x1",),
        ("-Enosbcrc",),
        ("-Eforce-inode-extended",),
        ("-zlz4",),
        ("-zlz4hc,9",),
        ("-zlz4", "-Elegacy-compress"),
        ("-zlz4hc", "-Elegacy-compress"),
        ("-zlz4", "--max-extent-bytes=65536"),
    ],
    ids=" ".join,
)
def test_every_node_and_byte_is_read_with_each_layout(source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert_equal(tree_of(erofs(source, tmp_path / "image", *options)), source)


FEATURED = {
    "-zlz4 -C65536": BIG,
    "-zlz4hc -C1048576": BIG,
    "-zlz4 -C65536 -Elegacy-compress": BIG,
    "--chunksize=4096": CHUNKS,
    "--chunksize=65536 -Eforce-chunk-indexes": CHUNKS,
    "-zlz4:lz4hc -C65536": BIG,
    "-zlz4:lzma -C65536": BIG,
    "-zlzma": BIG,
    "-zlzma,9 -C65536": BIG,
    "-zdeflate": BIG,
    "-zlibdeflate -C32768": BIG,
    "-zzstd": BIG,
    "-zzstd,15 -C131072": BIG,
    "-zlz4 -Eztailpacking": ZTAILPACKING,
    "-zlz4hc -Eztailpacking,legacy-compress": ZTAILPACKING,
    "-zlzma -Eztailpacking -C16384": ZTAILPACKING,
    "-zzstd -Eztailpacking": ZTAILPACKING,
    "-zlz4 -Efragments": FRAGMENTS,
    "-zlzma -Eall-fragments -C65536": FRAGMENTS,
    "-zzstd -Efragments,ztailpacking": FRAGMENTS,
    "-zlz4 -Ededupe": FRAGMENTS,
    "-zlzma -Ededupe -C32768": FRAGMENTS,
    "-zdeflate -Ededupe,fragments": FRAGMENTS,
    "-zlz4hc -Eall-fragments,dedupe,ztailpacking -C16384": FRAGMENTS,
    "-b512": 0,
    "-b512 -zlz4": 0,
    "-b1024 -zlz4hc -C8192": BIG,
    "-b2048 -zzstd -Eall-fragments": FRAGMENTS,
    "-Exattr-name-filter": 0,
    "--xattr-prefix=user.no --xattr-prefix=security.cap": PREFIXES,
    "--xattr-prefix=user.no -zlz4 -Efragments": PREFIXES | FRAGMENTS,
}


@pytest.mark.parametrize("options", FEATURED)
def test_every_node_and_byte_is_read_with_each_feature(source: Path, tmp_path: Path, options: str) -> None:
    image = erofs(source, tmp_path / "image", *options.split(), feature=FEATURED[options])
    assert_equal(tree_of(image), source)


def test_files_of_one_image_may_be_compressed_with_different_methods(source: Path, tmp_path: Path) -> None:
    (tmp_path / "hints").write_text("65536 1 .*/program$\n65536 0 .*\n")
    image = erofs(source, tmp_path / "image", "-zlz4:lzma", "-C65536", f"--compress-hints={tmp_path / 'hints'}", feature=BIG)
    assert_equal(tree_of(image), source)


def test_an_empty_file_system_has_a_root_only(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert [node.path for node in tree_of(erofs(tmp_path / "none", tmp_path / "image")).nodes()] == ["/"]


@pytest.mark.parametrize("options", ["", "--chunksize=8192", "-zlz4", "-zlz4hc -C65536"])
def test_content_at_any_offset_is_what_the_file_holds(source: Path, tmp_path: Path, options: str) -> None:
    tree = tree_of(erofs(source, tmp_path / "image", *options.split()))
    for name in ("usr/bin/program", "usr/bin/sparse", "usr/bin/holes", "usr/bin/big"):
        content = (source / name).read_bytes()
        node = tree.get(f"/{name}")
        assert node is not None
        end = len(content)
        for offset, length in [(0, 0), (0, 1), (4095, 2), (4096, 4096), (5000, 300_000), (end - 4100, 4099), (end - 5, 5), (end, 0)]:
            assert tree.blob(node).read(offset, length) == content[offset : offset + length], (name, offset, length)


@pytest.mark.parametrize(("bit", "name"), [(0x80, "48bit"), (0x100, "metabox"), (0x4000, "feature 0x4000")])
def test_a_feature_that_is_not_known_is_named_in_one_sentence(source: Path, tmp_path: Path, bit: int, name: str) -> None:
    image = erofs(source, tmp_path / "image", "-Enosbcrc")
    with image.open("r+b") as file:
        file.seek(FEATURES)
        file.write(struct.pack("<I", bit))
    with pytest.raises(ArtefactError, match=f"with {name}, which cannot be read; build it without"):
        open_artefact(image)


def test_content_on_another_device_is_refused_in_one_sentence(source: Path, tmp_path: Path) -> None:
    image = erofs(source, tmp_path / "image", "--chunksize=4096", f"--blobdev={tmp_path / 'blobs'}")
    with pytest.raises(ArtefactError, match="content on 1 other devices, which cannot be read"):
        open_artefact(image)


def test_a_superblock_that_does_not_fit_its_checksum_is_corrupt(source: Path, tmp_path: Path) -> None:
    image = erofs(source, tmp_path / "image")
    with image.open("r+b") as file:
        file.seek(1024 + 64)
        file.write(b"volume")
    with pytest.raises(ArtefactError, match="does not fit its checksum"):
        open_artefact(image)


def test_a_directory_that_contains_the_root_is_corrupt(source: Path, tmp_path: Path) -> None:
    image = erofs(source, tmp_path / "image", "-Enosbcrc")
    said = tool("dump.erofs", "--path=/etc/deep", image).decode()
    (number,) = re.findall(r"NID: (\d+)", said)
    raw = bytearray(image.read_bytes())
    (root,) = struct.unpack_from("<H", raw, 1024 + 14)
    image.write_bytes(raw.replace(struct.pack("<Q", int(number)), struct.pack("<Q", root)))
    with pytest.raises(ArtefactError, match="a second link to the directory /etc/deep"):
        tree_of(image).nodes()


def test_a_compressed_file_of_impossible_size_is_refused_when_read_and_costs_nothing(source: Path, tmp_path: Path) -> None:
    image = erofs(source, tmp_path / "image", "-zlz4", "-Eforce-inode-extended")
    (number,) = re.findall(r"NID: (\d+)", tool("dump.erofs", "--path=/usr/bin/program", image).decode())
    with image.open("r+b") as file:
        file.seek(int(number) * 32 + 8)
        file.write(struct.pack("<Q", 1 << 60))
    tree = tree_of(image)
    node = tree.get("/usr/bin/program")
    assert node is not None
    with pytest.raises(ArtefactError, match="taken for hostile"):
        tree.blob(node).read(0, 10)
