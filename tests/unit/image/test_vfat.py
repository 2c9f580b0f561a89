"""FAT file systems made by mkfs.vfat and filled by mtools."""

import random
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image import blob
from everest_secure.image.artefact import open_artefact
from everest_secure.image.vfat import read_layout
from support.images import tool, tree_of

FILES = {
    "EFI/Linux/everest-a.conf": b"not a program\n",
    "EFI/BOOT/A-Name-That-Is-Longer-Than-Thirteen-Characters.text": b"long",
    "EFI/BOOT/überlang-ÄÖÜ-name.cfg": b"unicode",
    "loader/UPPER.TXT": b"upper",
    "loader/lower.txt": b"lower",
    "loader/empty": b"",
    "loader/large.bin": random.Random(1).randbytes(700_000),
    "loader/exact.bin": b"e" * 65536,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("esp")
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    for number in range(120):
        (root / "many").mkdir(exist_ok=True)
        (root / "many" / f"file number {number}").write_bytes(b"%d" % number)
    return root


def vfat(source: Path, image: Path, bits: int, *options: str) -> Path:
    size = {12: 4, 16: 20, 32: 40}[bits]
    with image.open("wb") as file:
        file.truncate(size * 1024 * 1024)
    tool("mkfs.vfat", "-F", str(bits), *options, image)
    tool("env", "LC_ALL=C.UTF-8", "mcopy", "-s", "-i", image, *sorted(source.iterdir()), "::")
    return image


@pytest.mark.parametrize(
    ("bits", "options"),
    [(12, ()), (16, ()), (32, ("-s", "1")), (12, ("-s", "8")), (12, ("-S", "4096", "-s", "1")), (32, ("-s", "1", "-f", "1", "-n", "ESP"))],
)
def test_every_name_and_byte_is_read(source: Path, tmp_path: Path, bits: int, options: tuple[str, ...]) -> None:
    image = vfat(source, tmp_path / "image", bits, *options)
    layout = read_layout(blob.from_file(image))
    assert layout is not None
    tree = tree_of(image)
    expected = {f"/{path.relative_to(source)}": path for path in source.rglob("*")}
    assert sorted(node.path for node in tree.nodes()) == sorted({"/", *expected})
    for name, path in expected.items():
        node = tree.get(name)
        assert node is not None
        assert node.is_directory == path.is_dir()
        if node.is_file:
            assert tree.blob(node).read(0, node.size) == path.read_bytes()


def test_the_width_of_the_table_is_found(source: Path, tmp_path: Path) -> None:
    for bits, options in [(12, ()), (16, ()), (32, ("-s", "1"))]:
        layout = read_layout(blob.from_file(vfat(source, tmp_path / f"fat{bits}", bits, *options)))
        assert layout is not None
        assert layout.bits == bits


def test_deleted_files_are_not_listed(source: Path, tmp_path: Path) -> None:
    image = vfat(source, tmp_path / "image", 16)
    tool("mdel", "-i", image, "::/loader/lower.txt")
    names = {node.path for node in tree_of(image).nodes()}
    assert "/loader/lower.txt" not in names
    assert "/loader/UPPER.TXT" in names


def test_a_directory_linked_to_itself_is_corrupt(source: Path, tmp_path: Path) -> None:
    image = vfat(source, tmp_path / "image", 16)
    raw = bytearray(image.read_bytes())
    layout = read_layout(blob.from_file(image))
    assert layout is not None
    at = raw.index(b"LOADER     ", layout.root)
    other = raw.index(b"EFI        ", layout.root)
    raw[at + 26 : at + 28] = raw[other + 26 : other + 28]
    image.write_bytes(raw)
    with pytest.raises(ArtefactError, match="linked twice"):
        tree_of(image).nodes()


def test_a_looping_chain_ends(source: Path, tmp_path: Path) -> None:
    image = vfat(source, tmp_path / "image", 16)
    raw = bytearray(image.read_bytes())
    layout = read_layout(blob.from_file(image))
    assert layout is not None
    at = raw.index(b"MANY       ", layout.root)
    cluster = int.from_bytes(raw[at + 26 : at + 28], "little")
    raw[layout.fat + cluster * 2 : layout.fat + cluster * 2 + 2] = raw[at + 26 : at + 28]
    image.write_bytes(raw)
    with pytest.raises(ArtefactError, match="image is corrupt"):
        tree_of(image).nodes()


def test_a_truncated_file_system_is_refused(source: Path, tmp_path: Path) -> None:
    image = vfat(source, tmp_path / "image", 16)
    with image.open("r+b") as file:
        file.truncate(10 * 1024 * 1024)
    with pytest.raises(ArtefactError, match="is truncated"):
        open_artefact(image)
