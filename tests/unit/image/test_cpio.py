"""Initial RAM disks made by cpio, and how boot loaders hand them over."""

import random
from pathlib import Path

import pytest

from everest_secure.checks.subjects import is_root
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.cpio import CpioTree, open_cpio
from everest_secure.image.tree import Tree
from support.flat_image import device_tree, fit_source
from support.images import assert_equal, initial_ram_disk, sample_tree, tool, unified_kernel

COMPRESSORS = {"gzip": ["gzip"], "xz": ["xz", "-0"], "zstd": ["zstd", "-q"], "bzip2": ["bzip2"], "lz4": ["lz4", "-q", "-l"]}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_tree(tmp_path_factory.mktemp("sample") / "root")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small")
    for name in ("usr", "etc"):
        (root / name).mkdir()
    (root / "init").write_text("#!/bin/sh\n")
    return root


def packed(method: str, content: bytes) -> bytes:
    return tool(*COMPRESSORS[method], "-c", stdin=content)


def tree_of(raw: bytes) -> Tree:
    artefact = open_cpio(from_bytes(raw, "initrd"), 0)
    assert artefact is not None
    assert artefact.tree is not None
    return artefact.tree


@pytest.mark.parametrize("form", ["newc", "crc"])
def test_an_archive_holds_what_was_put_in(sample: Path, form: str) -> None:
    assert_equal(tree_of(initial_ram_disk(sample, form)), sample, attributes=False)


@pytest.mark.parametrize("method", COMPRESSORS)
def test_a_compressed_one_is_opened_and_is_no_root_file_system(small: Path, tmp_path: Path, method: str) -> None:
    (tmp_path / "initrd").write_bytes(packed(method, initial_ram_disk(small)))
    artefact = open_artefact(tmp_path / "initrd")
    assert (artefact.kind, artefact.children) == ("cpio", ())
    assert artefact.tree is not None
    assert artefact.tree.text("/init") == "#!/bin/sh\n"
    assert not is_root(artefact.tree)


def test_archives_one_behind_the_other_are_unpacked_over_each_other(small: Path, tmp_path: Path) -> None:
    early = tmp_path / "early"
    (early / "kernel").mkdir(parents=True)
    (early / "kernel/microcode").write_bytes(b"code")
    (early / "init").write_text("replaced")
    raw = initial_ram_disk(early) + bytes(1024) + packed("zstd", initial_ram_disk(small) + bytes(512)) + bytes(100)
    tree = tree_of(raw)
    assert [node.path for node in tree.nodes()] == ["/", "/etc", "/init", "/kernel", "/kernel/microcode", "/usr"]
    assert tree.text("/init") == "#!/bin/sh\n"


def test_nothing_is_decompressed_before_a_file_is_asked_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = packed("gzip", initial_ram_disk(small))
    monkeypatch.setattr("everest_secure.image.cpio.gathered", lambda *_: pytest.fail("it was decompressed"))
    tree_of(raw)


def test_that_of_a_unified_kernel_image_is_its_child(small: Path, tmp_path: Path) -> None:
    sections = {".linux": b"kernel", ".cmdline": b"ro", ".initrd": packed("zstd", initial_ram_disk(small))}
    artefact = open_artefact(unified_kernel(tmp_path / "uki.efi", sections))
    (child,) = artefact.children
    assert (artefact.kind, child.kind, child.name) == ("uki", "cpio", "uki.efi:.initrd")
    assert child.tree is not None
    assert child.tree.text("/init") == "#!/bin/sh\n"


def test_that_of_a_fit_is_its_child(small: Path, tmp_path: Path) -> None:
    (tmp_path / "ramdisk").write_bytes(packed("zstd", initial_ram_disk(small)))
    (tmp_path / "kernel").write_bytes(b"kernel")
    parts = {"kernel": tmp_path / "kernel", "ramdisk": tmp_path / "ramdisk"}
    parts |= {f"fdt-{slot}": device_tree(tmp_path / "board.dtb", "/ { };") for slot in ("a", "b")}
    (tmp_path / "test.its").write_text(fit_source(parts, algorithm="", padding="", name="", covers=""))
    tool("mkimage", "-f", tmp_path / "test.its", tmp_path / "test.fit")
    assert [child.kind for child in open_artefact(tmp_path / "test.fit").children] == ["kernel", "cpio", "device-tree", "device-tree"]


def header(
    name: bytes, content: bytes = b"", *, mode: int = 0o100644, links: int = 1, length: int | None = None, size: int | None = None
) -> bytes:
    fields = (7, mode, 0, 0, links, 0, len(content) if size is None else size, 0, 0, 0, 0, len(name) + 1 if length is None else length, 0)
    raw = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    return raw + bytes(-len(raw) % 4) + content + bytes(-len(content) % 4)


END = header(b"TRAILER!!!")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (header(b"../etc", b"x") + END, "has a member with '..' in its name"),
        (header(b"etc/passwd", b"x") + END, "lies in no directory"),
        (header(b"etc", b"/", mode=0o120777) + header(b"etc/passwd", b"x") + END, "lies in no directory"),
        (header(b"odd", mode=0o170000) + END, "is of no type"),
        (header(b"long", b"x" * 5000, mode=0o120777) + END, "is of no type"),
        (header(b"a", length=0) + END, "a name of its cpio archive has 0 bytes"),
        (header(b"a", length=70_000) + END, "a name of its cpio archive has 70000 bytes"),
        (header(b"a", size=0xFFFFFFFF) + END, "beyond the end"),
        (header(b"a", b"x"), "truncated or corrupt"),
        (header(b"a", b"x") + END + b"garbage" * 100, "no header of a cpio archive"),
        ((header(b"a", b"x") + END) * 20, "holds more than 16 cpio archives"),
    ],
)
def test_what_the_kernel_would_not_unpack_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(ArtefactError, match=message):
        CpioTree(from_bytes(raw, "initrd")).nodes()


def test_names_of_one_inode_share_the_content_that_lies_with_one_of_them() -> None:
    entries = header(b"a", links=3) + header(b"b", b"content", links=3) + header(b"c", links=3)
    tree = CpioTree(from_bytes(entries + END, "initrd"))
    assert {path: tree.text(path) for path in ("/a", "/b", "/c")} == dict.fromkeys(("/a", "/b", "/c"), "content")


def test_truncations_and_flipped_bits_are_errors_or_read_and_never_break_the_reader(small: Path) -> None:
    raw = initial_ram_disk(small)
    end = raw.index(b"TRAILER") + 12
    for length in range(6, end, 13):
        with pytest.raises(ArtefactError):
            CpioTree(from_bytes(raw[:length], "initrd")).nodes()
    rng = random.Random(8)
    for _ in range(400):
        changed = bytearray(raw)
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
        try:
            tree = CpioTree(from_bytes(bytes(changed), "initrd"))
            for node in tree.nodes():
                if node.is_file:
                    tree.blob(node).read(0, node.size)
        except ArtefactError:
            continue
