"""Makes the root file system that the readers are measured on, in every format; `PYTHONPATH=scripts:tests python bench/images.py DIRECTORY`.

About 20,000 inodes, 1,300 programs and 500 MB, all copied from this machine's /usr, so that figures of two machines differ a little. As root, since
owners and modes belong to what is measured. What is there already is kept.
"""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from support.images import gpt_disk, rauc_bundle, tool

PROGRAMS, PROGRAM_BYTES = 1_300, 200_000_000
OTHERS, OTHER_BYTES = 16_500, 300_000_000
LARGEST = 8_000_000
"""Bytes of a file that is copied."""
PROGRAM_PLACES = ("/usr/bin", "/usr/sbin", "/usr/lib")
OTHER_PLACES = ("/usr/share", "/usr/lib", "/usr/include", "/usr/local")
SPARE = 64 * 1024 * 1024
"""Bytes of the ext4 that are not used."""
FORMATS = ("ext4", "wic", "squashfs-zstd", "squashfs-xz", "erofs", "erofs-lz4", "tar.zst", "tar.gz", "raucb")


def regular_files(places: tuple[str, ...]) -> Iterator[Path]:
    """Yield the regular files below directories of this machine, in the same order each time."""
    for place in places:
        for directory, names, files in os.walk(place):
            names.sort()
            for name in sorted(files):
                path = Path(directory, name)
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path


def is_program(path: Path) -> bool:
    """Whether a file is ELF; unreadable ones are not."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def copy_up_to(files: Iterator[Path], root: Path, *, count: int, size: int) -> None:
    """Copy files below `root` under their own names, up to a number, and leave out those that would take more than their share of `size` bytes."""
    copied = used = 0
    for path in files:
        length = path.lstat().st_size
        target = root / path.relative_to("/")
        if target.exists() or length > LARGEST or used + length > size * (copied + 500) / count:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        copied, used = copied + 1, used + length
        if copied == count:
            return


def make_root(root: Path) -> None:
    """Fill a directory with what is to be packed."""
    root.mkdir(mode=0o755)
    copy_up_to((path for path in regular_files(PROGRAM_PLACES) if is_program(path)), root, count=PROGRAMS, size=PROGRAM_BYTES)
    copy_up_to((path for path in regular_files(OTHER_PLACES) if not is_program(path)), root, count=OTHERS, size=OTHER_BYTES)
    for name in ("dev", "etc", "proc", "run", "sys", "tmp", "var"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "usr/lib").mkdir(parents=True, exist_ok=True)
    (root / "usr/lib/os-release").write_text('ID=bench\nVERSION_ID="1"\n')
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")


def pack(form: str, root: Path, directory: Path, target: Path) -> None:
    """Make one image; `directory` holds those that come before it in FORMATS."""
    match form:
        case "ext4":
            size = sum(-(-path.lstat().st_size // 4096) * 4096 + 1024 for path in root.rglob("*")) + SPARE
            tool("mke2fs", "-q", "-F", "-t", "ext4", "-i", "16384", "-E", "root_owner=0:0", "-d", root, target, f"{size // 1024}k")
        case "wic":
            gpt_disk(target, {"boot": None, "rootfs-a": directory / "root.ext4", "data": None})
        case "squashfs-zstd" | "squashfs-xz":
            tool("mksquashfs", root, target, "-noappend", "-no-progress", "-comp", form.partition("-")[2])
        case "erofs":
            tool("mkfs.erofs", "--quiet", target, root)
        case "erofs-lz4":
            tool("mkfs.erofs", "--quiet", "-zlz4hc", "-C65536", target, root)
        case "tar.zst" | "tar.gz":
            program = "zstd -q" if form == "tar.zst" else "gzip"
            tool("tar", "--numeric-owner", f"--use-compress-program={program}", "-C", root, "-cf", target, ".")
        case "raucb":
            with tempfile.TemporaryDirectory(dir=directory) as work:
                rauc_bundle(Path(work), target.name, {"rootfs": directory / "root.ext4"}, form="verity", compression="zstd").rename(target)


def make(directory: Path) -> dict[str, Path]:
    """Make all images in a directory, or return those that are there, by format."""
    directory.mkdir(parents=True, exist_ok=True)
    found = {form: directory / f"root.{form}" for form in FORMATS}
    root = directory / "root"
    if not root.exists():
        make_root(directory / "unfinished")
        (directory / "unfinished").rename(root)
    for form, target in found.items():
        if not target.exists():
            unfinished = target.with_name(f"unfinished.{form}")
            unfinished.unlink(missing_ok=True)
            pack(form, root, directory, unfinished)
            unfinished.rename(target)
    return found


def main() -> None:
    """Make the images and print their sizes."""
    for form, path in make(Path(sys.argv[1])).items():
        print(f"{form:14} {path.stat().st_size / 1e6:7.1f} MB  {path}")


if __name__ == "__main__":
    main()
