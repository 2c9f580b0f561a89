"""Truncated and altered images: each ends in one sentence or a result, soon, in bounded memory, and never in a traceback."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from support.flat_image import signed_fit
from support.images import gpt_disk, initial_ram_disk, rauc_bundle, sample_tree, set_attributes, tool, unified_kernel, verity_image
from support.reading import everything

FLIPS = 150
"""Damaged copies of each image."""
MEMORY = 1536 * 1024 * 1024
"""Bytes of address space that reading a hostile image may take, the interpreter and the mapped image included."""
FORMATS = [
    "ext4",
    "ext2",
    "inline",
    "gzip",
    "zstd",
    "xz",
    "lz4",
    "lzo",
    "erofs",
    "erofs-lz4",
    "vfat",
    "gpt",
    "mbr",
    "verity",
    "raucb",
    "uki",
    "tar",
    "tgz",
    "cpio",
    "fit",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("good")
    source = sample_tree(work / "source", sparse=False)
    (source / "usr/bin/big").write_bytes(b"")
    for file in sorted((source / "many").iterdir())[40:]:
        file.unlink()
    set_attributes(source)
    found = {name: work / name for name in FORMATS}
    for name, options in {"ext4": ("-t", "ext4"), "ext2": ("-t", "ext2"), "inline": ("-t", "ext4", "-O", "inline_data")}.items():
        tool("mke2fs", "-q", "-F", "-b", "1024", "-d", source, *options, found[name], "1536k")
    for codec in ("gzip", "zstd", "xz", "lz4", "lzo"):
        tool("mksquashfs", source, found[codec], "-comp", codec, "-no-progress")
    for name, options in {"erofs": ("-Eforce-inode-extended",), "erofs-lz4": ("-zlz4hc", "-C8192")}.items():
        tool("mkfs.erofs", "--quiet", "-Enosbcrc", *options, found[name], source)
    with found["vfat"].open("wb") as disk:
        disk.truncate(512 * 1024)
    tool("mkfs.vfat", found["vfat"])
    (work / "a long name on the disk.txt").write_text("text")
    unified_kernel(found["uki"], {".cmdline": b"ro", ".linux": b"linux" * 100})
    tool("mcopy", "-i", found["vfat"], found["uki"], work / "a long name on the disk.txt", "::")
    gpt_disk(found["gpt"], {"efi": found["vfat"], "root": found["zstd"], "none": None}, spare=64 * 1024)
    mbr_disk(found["mbr"], found["vfat"], found["zstd"])
    tool("tar", "--format=posix", "--xattrs", "-C", source, "-cf", found["tar"], ".")
    found["tgz"].write_bytes(tool("gzip", "-c", found["tar"]))
    found["cpio"].write_bytes(initial_ram_disk(source))
    found["fit"].write_bytes(signed_fit(work / "fit-parts", None).read_bytes())
    found["verity"].write_bytes(found["zstd"].read_bytes())
    verity_image(found["verity"])
    found["raucb"].unlink(missing_ok=True)
    bundle = rauc_bundle(work, "bundle.raucb", {"rootfs": found["ext4"]}, form="verity")
    return found | {"raucb": bundle}


def mbr_disk(disk: Path, *images: Path) -> None:
    """Make an MBR disk of a primary and a logical partition."""
    with disk.open("wb") as file:
        file.truncate(4 * 1024 * 1024)
    starts = (128, 2560)
    script = f"label: dos\nstart={starts[0]}, size=1900, type=c\nstart=2048, size=6144, type=5\nstart={starts[1]}, size=5000, type=83\n"
    tool("sfdisk", "--quiet", disk, stdin=script.encode())
    with disk.open("r+b") as file:
        for start, image in zip(starts, images, strict=True):
            file.seek(start * 512)
            file.write(image.read_bytes())


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_cut_anywhere_is_refused_or_whole(images: dict[str, Path], tmp_path: Path, name: str) -> None:
    whole = images[name].read_bytes()
    good = [everything(open_artefact(images[name]))]
    if name == "verity":
        good.append(everything(open_artefact(images["zstd"])))  # without its tree it is a whole SquashFS that nothing protects
    refused = 0
    cuts = {1 << bit for bit in range(len(whole).bit_length())} | {len(whole) - (1 << bit) for bit in range(len(whole).bit_length() - 1)}
    for size in sorted(cuts):
        cut = tmp_path / images[name].name
        cut.write_bytes(whole[:size])
        try:
            assert everything(open_artefact(cut)) in good, f"cut to {size} of {len(whole)} bytes"
        except ArtefactError:
            refused += 1
    assert refused > len(cuts) / 3


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_with_flipped_bytes_ends_in_a_sentence_or_a_result(images: dict[str, Path], tmp_path: Path, name: str) -> None:
    whole = images[name].read_bytes()
    chance = random.Random(name)
    # Most of an image is content and unused space; the bytes that are set near both ends are where formats keep their structure.
    interesting = [at for at in range(len(whole)) if whole[at] and (at < 65536 or at > len(whole) - 65536)]
    header = [at for at in interesting if at < 1200]
    sentences = 0
    for number in range(FLIPS):
        raw = bytearray(whole)
        for _ in range(chance.choice((1, 1, 4))):
            at = (chance.choice(header), chance.choice(interesting), chance.randrange(len(raw)))[number % 3]
            raw[at] = chance.choice((0, 0xFF, raw[at] ^ 1 << chance.randrange(8), chance.randrange(256)))
        damaged = tmp_path / images[name].name
        damaged.write_bytes(raw)
        try:
            everything(open_artefact(damaged))
        except ArtefactError:
            sentences += 1
    assert sentences, "no damage was ever noticed"


@pytest.mark.parametrize("name", ["zeros", "ones", "text"])
def test_bytes_of_no_format_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes({"zeros": bytes(100_000), "ones": b"\xff" * 100_000, "text": b"hello\n"}[name])
    with pytest.raises(ArtefactError, match="is of no known type"):
        open_artefact(path)


def test_an_empty_file_and_a_missing_one_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ArtefactError, match="is empty"):
        open_artefact(tmp_path / "empty")
    with pytest.raises(ArtefactError, match="is not a file that can be read"):
        open_artefact(tmp_path / "missing")
    with pytest.raises(ArtefactError, match="cannot be read: File name too long"):
        open_artefact(tmp_path / ("long" * 1000))


@pytest.mark.parametrize("codec", ["gzip", "xz", "zstd"])
def test_a_compressed_bomb_takes_little_memory(tmp_path: Path, codec: str) -> None:
    """A file of 64 MiB that compresses to nothing costs the reader one block at a time."""
    source = tmp_path / "source"
    source.mkdir()
    with (source / "bomb").open("wb") as file:
        file.write(b"\1" * 64 * 1024 * 1024)
    tool("mksquashfs", source, tmp_path / "image", "-comp", codec, "-b", "1M", "-no-progress")
    code = (
        "import resource, sys; from pathlib import Path\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n"
        "from everest_secure.image.artefact import open_artefact\n"
        "tree = open_artefact(Path(sys.argv[1])).tree\n"
        "blob = tree.blob(tree.get('/bomb'))\n"
        "assert all(blob.read(at, 4096) == b'\\1' * 4096 for at in range(0, blob.size, 1 << 19))\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    scripts = Path(__file__).resolve().parents[3] / "scripts"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "image")], env={"PYTHONPATH": str(scripts)}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) < 150 * 1024
