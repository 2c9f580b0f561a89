"""File systems that were made to hurt whoever reads them: loops, giants, bombs, crowds, names. Made by hand where no tool would make them."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from everest_secure.checks.session import check_artefacts
from everest_secure.errors import ArtefactError
from everest_secure.image import tree as trees
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import MAX_READ
from everest_secure.image.tree import Tree
from support.confined import BYTES, read_confined
from support.images import tool, tree_of
from support.rootfs import RootFs

GIANT = 16 * 1024**4
"""16 TiB, the most that ext4 lets a file have."""


def archive(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """A tar archive of members: name, type and link target."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as file:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            file.addfile(info, io.BytesIO())
    return path


def test_links_that_leave_the_tree_or_loop_lead_nowhere_outside(tmp_path: Path) -> None:
    link = tarfile.SYMTYPE
    tree = tree_of(
        archive(
            tmp_path / "a.tar",
            ("etc", tarfile.DIRTYPE, ""),
            ("etc/up", link, "../../../../../../etc/passwd"),
            ("etc/absolute", link, "/proc/self/environ"),
            ("etc/a", link, "b"),
            ("etc/b", link, "a"),
            ("etc/self", link, "self/self"),
            ("etc/deep", link, "x/" * 2000),
        )
    )
    for name in ("up", "absolute", "a", "self", "deep"):
        assert tree.resolve(f"/etc/{name}") is None
        with pytest.raises(ArtefactError, match="has no file"):
            tree.read(f"/etc/{name}")


def test_a_chain_of_links_is_followed_as_far_as_the_kernel_does() -> None:
    fs = RootFs().directory("/").file("/end", "x")
    for number in range(50):
        fs.link(f"/l{number}", f"l{number - 1}" if number else "end")
    assert fs.tree.text(f"/l{trees.MAX_LINKS - 1}") == "x"
    assert fs.tree.resolve(f"/l{trees.MAX_LINKS}") is None


def test_devices_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    tree = tree_of(
        archive(tmp_path / "a.tar", ("zero", tarfile.CHRTYPE, ""), ("disk", tarfile.BLKTYPE, ""), ("pipe", tarfile.FIFOTYPE, ""))
    )
    for name in ("zero", "disk", "pipe"):
        with pytest.raises(ArtefactError, match="put a file there"):
            tree.read(f"/{name}")


def test_a_pipe_in_a_directory_that_is_checked_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    tool("mkfifo", tmp_path / "etc/passwd")
    with pytest.raises(ArtefactError, match="is a fifo, not a file"):
        tree_of(tmp_path).read("/etc/passwd")


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "/../escape", "a//../../b"])
def test_a_name_that_leads_out_of_the_tree_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtefactError):
        tree_of(archive(tmp_path / "a.tar", (name, tarfile.REGTYPE, ""))).nodes()


def test_names_with_line_breaks_and_signs_for_a_terminal_stay_in_one_line(tmp_path: Path) -> None:
    tree = tree_of(archive(tmp_path / "a.tar", ("a\n\x1b[2Jeverything holds", tarfile.DIRTYPE, "")))
    (node,) = tree.under("/")
    with pytest.raises(ArtefactError) as refused:
        tree.blob(node)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("kind", ["ext4", "directory", "tar"])
def test_a_sparse_giant_costs_nothing_and_is_never_held(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    (source / "etc").mkdir(parents=True)
    with (source / "etc/giant").open("wb") as file:
        file.truncate(GIANT - 4096)
    image = source if kind == "directory" else tmp_path / "image"
    if kind == "ext4":
        tool("mke2fs", "-q", "-F", "-t", "ext4", image, "8M")
        tool("debugfs", "-w", "-R", "write /dev/null giant", image)
        tool("debugfs", "-w", "-R", f"set_inode_field giant size {GIANT - 4096}", image)
    elif kind == "tar":
        tool("tar", "--sparse", "--format=posix", "-C", source, "-cf", image, ".")
    tree = tree_of(image)
    (giant,) = [node for node in tree.nodes() if node.name == "giant"]
    blob = tree.blob(giant)
    assert blob.size == GIANT - 4096
    assert blob.read(blob.size - 4096, 4096) == bytes(4096)
    with pytest.raises(ArtefactError, match="taken for hostile"):
        blob.read(0, MAX_READ + 1)
    with pytest.raises(ArtefactError, match="make it smaller"):
        tree.read(giant.path)


def test_an_image_that_is_nothing_but_holes_is_refused_before_anybody_hashes_it(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"hsqs" + bytes(8192))
    with image.open("r+b") as file:
        file.truncate(8 * 1024**4)
    with pytest.raises(ArtefactError, match="the rest are holes; it is taken for hostile and not read"):
        check_artefacts([image])


def test_what_is_read_at_once_fits_the_memory_that_a_hostile_input_may_take() -> None:
    assert MAX_READ * 3 < BYTES


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_an_archive_bomb_is_read_in_bounded_memory(tmp_path: Path, method: str) -> None:
    """300 MB of zeros in a stream of some hundred kilobytes or less."""
    bomb = tmp_path / f"bomb.{method}"
    producer = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfor _ in range(300): sys.stdout.buffer.write(bytes(1 << 20))"], stdout=subprocess.PIPE
    )
    with bomb.open("wb") as file:
        subprocess.run([method, "-c", "-1"], stdin=producer.stdout, stdout=file, check=True)
    producer.wait()
    said = read_confined([bomb], scratch=1 << 30)
    assert "is of no known type" in said[bomb.name] or "taken for hostile" in said[bomb.name]


def _crowd(path: Path, entries: int) -> Path:
    header = bytearray(tarfile.TarInfo("d/0000000").tobuf(tarfile.USTAR_FORMAT))
    base = sum(header[:148]) + 8 * 32 + sum(header[156:512]) - sum(header[2:9])
    with path.open("wb") as file:
        for start in range(0, entries, 10_000):
            block = bytearray()
            for number in range(start, min(start + 10_000, entries)):
                name = b"%07d" % number
                header[2:9] = name
                header[148:156] = b"%06o\0 " % (base + sum(name))
                block += header
            file.write(block)
        file.write(bytes(1024))
    return path


def test_a_directory_of_a_hundred_thousand_entries_is_read_in_bounded_memory(tmp_path: Path) -> None:
    crowd = _crowd(tmp_path / "crowd.tar", 100_000)
    assert read_confined([crowd]) == {"crowd.tar": ""}


def test_more_entries_than_memory_is_there_for_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_NODES", 1000)
    with pytest.raises(ArtefactError, match="holds too many files"):
        tree_of(_crowd(tmp_path / "crowd.tar", 2000)).nodes()


def test_archives_in_archives_end_at_a_depth(tmp_path: Path) -> None:
    content = b"x" * 1000
    for _ in range(8):
        content = tool("gzip", "-c", stdin=content)
    (tmp_path / "nested").write_bytes(content)
    with pytest.raises(ArtefactError, match="levels deep"):
        open_artefact(tmp_path / "nested")


def test_a_directory_of_directories_a_thousand_deep_is_read(tmp_path: Path) -> None:
    deep = "/".join("d" for _ in range(1500))
    tree: Tree = tree_of(archive(tmp_path / "a.tar", (deep, tarfile.DIRTYPE, "")))
    assert len(list(tree.under("/"))) == 1500
