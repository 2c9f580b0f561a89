"""Disks and file systems as OE-Core's conversions leave them."""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.compressed import Compressed
from everest_secure.image.scratch import IN_MEMORY, gathered
from support.images import gpt_disk, tool, tree_of
from support.reference import require

METHODS = {
    "gzip": ("gzip",),
    "xz": ("xz",),
    "zstd": ("zstd",),
    "bzip2": ("bzip2",),
    "lz4": ("lz4", "-l"),
    "lz4-frame": ("lz4",),
    "lzma": ("xz", "--format=lzma"),
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("disk")
    (place / "files").mkdir()
    (place / "files/hello").write_text("hello\n")
    (place / "files/large").write_bytes(os.urandom(3_000_000))
    tool("mksquashfs", place / "files", place / "root.sqfs", "-no-progress")
    return gpt_disk(place / "disk.wic", {"rootfs-a": place / "root.sqfs", "rootfs-b": None}, spare=4 * 1024 * 1024)


def compressed(source: Path, method: str, target: Path) -> Path:
    target.write_bytes(tool(*METHODS[method], "-c", source))
    return target


@pytest.mark.parametrize("method", METHODS)
def test_a_compressed_disk_is_opened_by_content_down_to_its_files(disk: Path, tmp_path: Path, method: str) -> None:
    artefact = open_artefact(compressed(disk, method, tmp_path / "image.bin"))
    (inner,) = artefact.children
    assert (artefact.kind, artefact.name, inner.kind, inner.name) == (method, "image.bin", "gpt", "image.bin")
    assert artefact.facts == Compressed(method, disk.stat().st_size, None)
    tree = inner.children[0].tree
    assert tree is not None
    assert (tree.name, tree.text("/hello")) == ("image.bin:rootfs-a", "hello\n")
    assert tree.read("/large") == (disk.parent / "files/large").read_bytes()


def test_a_compressed_file_system_is_opened_too(disk: Path, tmp_path: Path) -> None:
    assert tree_of(compressed(disk.parent / "root.sqfs", "xz", tmp_path / "root.squashfs.xz")).text("/hello") == "hello\n"


def test_what_is_compressed_and_no_artefact_is_of_no_known_type(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("notes")
    with pytest.raises(ArtefactError, match="of no known type"):
        open_artefact(compressed(tmp_path / "notes", "gzip", tmp_path / "notes.gz"))


def test_what_is_compressed_and_not_read_is_named(tmp_path: Path) -> None:
    """An erase counter header (drivers/mtd/ubi/ubi-media.h) is enough; ubinize fills the rest of the block."""
    (tmp_path / "image.ubi").write_bytes(b"UBI#\x01".ljust(131072, b"\xff"))
    with pytest.raises(ArtefactError, match=r"image\.ubi\.xz is UBI, which is not read; give the same root as ext4"):
        open_artefact(compressed(tmp_path / "image.ubi", "xz", tmp_path / "image.ubi.xz"))


def test_compression_within_compression_ends(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"x")
    for number in range(8):
        compressed(tmp_path / str(number), "gzip", tmp_path / str(number + 1))
    with pytest.raises(ArtefactError, match="nested more than"):
        open_artefact(tmp_path / "8")


def test_the_scratch_file_has_no_name_takes_no_space_for_zeros_and_goes_with_the_last_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parts = [b"begin" + bytes(3 * IN_MEMORY), bytes(100 * IN_MEMORY), b"x" * 100_001, bytes(7)]
    before = _open_files()
    blob = gathered(iter(parts), "scratch")
    assert list(tmp_path.iterdir()) == []
    assert blob.read(0, blob.size) == b"".join(parts)
    (used,) = _open_files() - before
    assert used[1] < IN_MEMORY
    del blob
    assert _open_files() == before


def _open_files() -> set[tuple[int, int]]:
    """Return inode and bytes in use of every unlinked file that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            status = descriptor.stat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                found.add((status.st_ino, status.st_blocks * 512))
    return found


def test_no_room_for_what_is_decompressed_is_one_sentence(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", small], capture_output=True, check=False).returncode
    ):
        pytest.skip("no small file system can be mounted here")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        with pytest.raises(
            ArtefactError, match=r"disk\.wic\.gz cannot be decompressed in .*small, where 2 MB are free: No space left on device; free"
        ) as error:
            open_artefact(compressed(disk, "gzip", tmp_path / "disk.wic.gz"))
        assert "\n" not in str(error.value)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_block_map_that_fits_is_no_obstacle(disk: Path, tmp_path: Path) -> None:
    require("bmaptool")
    sparse = tmp_path / "disk.wic"
    tool("cp", "--sparse=always", disk, sparse)
    for name in ("disk.wic.bmap", "disk.wic.gz.bmap"):
        tool("bmaptool", "create", "-o", tmp_path / name, sparse)
        facts = open_artefact(compressed(sparse, "gzip", tmp_path / "disk.wic.gz")).facts
        assert isinstance(facts, Compressed)
        assert facts.block_map is not None
        assert facts.block_map.name == name
        (tmp_path / name).unlink()


def test_a_block_map_that_leaves_data_out_is_refused(disk: Path, tmp_path: Path) -> None:
    require("bmaptool")
    other = tmp_path / "other"
    with other.open("wb") as file:
        file.write(b"x" * 4096)
        file.truncate(disk.stat().st_size)
    tool("bmaptool", "create", "-o", tmp_path / "disk.wic.bmap", other)
    with pytest.raises(ArtefactError, match=r"disk\.wic\.gz holds data at \d+ that its block map disk\.wic\.bmap leaves out"):
        open_artefact(compressed(disk, "gzip", tmp_path / "disk.wic.gz"))


def test_a_block_map_of_another_size_is_refused(disk: Path, tmp_path: Path) -> None:
    require("bmaptool")
    longer = Path(shutil.copy(disk, tmp_path / "longer"))
    longer.write_bytes(longer.read_bytes() + bytes(4096))
    tool("bmaptool", "create", "-o", tmp_path / "disk.wic.bmap", longer)
    with pytest.raises(ArtefactError, match=r"its block map disk\.wic\.bmap is for"):
        open_artefact(compressed(disk, "gzip", tmp_path / "disk.wic.gz"))


def test_decompressing_takes_little_memory_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/noise").write_bytes(os.urandom(1024 * 1024) * 200)
    tool("mksquashfs", tmp_path / "files", tmp_path / "root", "-no-progress", "-noD", "-no-duplicates")
    image = compressed(tmp_path / "root", "zstd", tmp_path / "root.zst")
    code = (
        "import sys; from pathlib import Path\n"
        "from everest_secure.image.artefact import open_artefact\n"
        "(child,) = open_artefact(Path(sys.argv[1])).children\n"
        "assert child.blob.size > 200_000_000\n"
        "print(Path('/proc/self/status').read_text().split('RssAnon:')[1].split()[0])\n"
    )
    scripts = Path(__file__).resolve().parents[3] / "scripts"
    done = subprocess.run([sys.executable, "-c", code, str(image)], env={"PYTHONPATH": str(scripts)}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) < 60 * 1024


def test_a_partition_may_hold_a_compressed_file_system(disk: Path, tmp_path: Path) -> None:
    packed = compressed(disk.parent / "root.sqfs", "zstd", tmp_path / "root.zst")
    outer = gpt_disk(tmp_path / "outer.raw", {"rescue": packed})
    (part,) = open_artefact(outer).children
    assert [artefact.kind for artefact in part.walk()] == ["zstd", "squashfs"]


def test_little_is_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    blob = gathered(iter([b"a", b"b"]), "little")
    assert (blob.size, blob.read(0, 2)) == (2, b"ab")
