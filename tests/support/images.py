"""File systems, disks and bundles built with the real tools, and the comparison of what a reader sees with what was put in."""

import json
import os
import random
import shutil
import stat
import struct
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.tree import Node, NodeType, Tree
from everest_secure.parse.uki_stub import FIRMWARE_WORDS
from everest_secure.paths import data

LAYER_INIT = data("meta-everest-secure") / "recipes-core/everest-initramfs/files/init"
ROOT = os.geteuid() == 0
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 12, 0, 0, 0)
"""`security.capability` of cap_net_admin=ep (linux/capability.h)."""
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, perm, who)
    for tag, perm, who in [(1, 6, 0xFFFFFFFF), (2, 4, 1500), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
)
"""`system.posix_acl_access` that lets user 1500 read (linux/posix_acl_xattr.h)."""


def tool(*argv: str | Path, stdin: bytes = b"") -> bytes:
    """Run a program and return its output; fails the test with the program's own words."""
    done = subprocess.run([str(part) for part in argv], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"{argv}: {(done.stderr or done.stdout).decode(errors='replace')}"
    return done.stdout


def sample_tree(root: Path, *, sparse: bool = True) -> Path:
    """Fill `root` with one of everything that a root file system may hold; owners, devices and capabilities only as root."""
    for name in ("etc/deep/er/still", "usr/bin", "dev", "empty", "many", "names"):
        (root / name).mkdir(parents=True)
    root.chmod(0o755)
    contents = {
        "etc/passwd": b"root:*:0:0::/root:/bin/false\n",
        "etc/zero": b"",
        "etc/tiny": b"x" * 59,
        "etc/inline": b"y" * 61,
        "etc/inline-more": b"z" * 150,
        "etc/deep/er/still/here": b"deep\n",
        "usr/bin/big": bytes(range(256)) * 4096 + b"tail",
        "usr/bin/block": random.Random(1).randbytes(1024) * 128,
        "names/with space": b"1",
        "names/new\nline": b"2",
        "names/überlänge-" + "ä" * 100: b"3",
    }
    for name, content in contents.items():
        (root / name).write_bytes(content)
    Path(os.fsdecode(os.fsencode(root / "names") + b"/not-utf8-\xff\xfe")).write_bytes(b"4")
    for number in range(700):
        (root / "many" / f"a-rather-long-file-name-to-fill-directory-blocks-{number:04}").write_bytes(b"%d" % number)
    if sparse:
        _sparse_files(root)
    (root / "etc/short-link").symlink_to("passwd")
    (root / "etc/link-of-59").symlink_to("/" + "a" * 58)
    (root / "etc/link-of-60").symlink_to("/" + "b" * 59)
    (root / "etc/long-link").symlink_to("/" + "c/" * 400)
    os.link(root / "etc/passwd", root / "etc/passwd-hard")
    os.mkfifo(root / "dev/fifo", 0o640)
    (root / "usr/bin/setuid").write_bytes(b"#!/bin/sh\n")
    (root / "usr/bin/setuid").chmod(0o4755)
    (root / "empty").chmod(0o1777)
    (root / "etc/passwd").chmod(0o600)
    if ROOT:
        os.mknod(root / "dev/console", stat.S_IFCHR | 0o600, os.makedev(5, 1))
        os.mknod(root / "dev/disk", stat.S_IFBLK | 0o660, os.makedev(8, 300))
        os.chown(root / "etc/tiny", 1500, 1501)
        os.chown(root / "etc/inline", 3_000_000_000, 70_000)
        os.chown(root / "etc/short-link", 1500, 1500, follow_symlinks=False)
        os.setxattr(root / "usr/bin/block", "security.capability", CAPABILITY)
    return root


def _sparse_files(root: Path) -> None:
    with (root / "usr/bin/sparse").open("wb") as file:
        file.seek(3 * 1024 * 1024)
        file.write(b"end of a hole")
        file.truncate(5 * 1024 * 1024)
    with (root / "usr/bin/holes").open("wb") as file:
        for number in range(500):
            file.seek(number * 16384)
            file.write(bytes([number % 255 + 1]) * 8192)


def set_attributes(root: Path, *, acl: bool = True) -> bool:
    """Add user attributes, small and large, to a sample tree; False when the file system of this machine keeps none."""
    try:
        os.setxattr(root / "etc/tiny", "user.note", b"small")
        os.setxattr(root / "etc/deep", "user.note", b"on a directory")
        os.setxattr(root / "usr/bin/big", "user.large", b"L" * 900)
        os.setxattr(root / "usr/bin/big", "user.empty", b"")
        os.setxattr(root / "etc/inline-more", "user.note", b"shares the inode with content")
        if acl:
            os.setxattr(root / "etc/passwd", "system.posix_acl_access", ACL)
    except OSError:
        return False
    return True


def tree_of(path: Path) -> Tree:
    """Open an image that is a file system, or a disk or bundle that holds exactly one."""
    return only_tree(open_artefact(path))


def only_tree(artefact: Artefact) -> Tree:
    """Return the one file system in an artefact."""
    (tree,) = [found.tree for found in artefact.walk() if found.tree is not None]
    return tree


def assert_equal(tree: Tree, root: Path, *, ignoring: Sequence[str] = (), owners: bool = ROOT, attributes: bool = True) -> None:
    """Compare every node and every byte of content with the directory `root`."""
    expected = {"/": root} | {f"/{path.relative_to(root)}": path for path in sorted(root.rglob("*"))}
    found = {node.path: node for node in tree.nodes() if node.path not in ignoring}
    assert sorted(found) == sorted(expected)
    assert sorted(node.path for node in tree.under("/") if node.path not in ignoring) == sorted(set(expected) - {"/"})
    for name, path in expected.items():
        assert_node(found[name], path, owners=owners and name != "/", attributes=attributes)
        if found[name].is_file:
            assert tree.blob(found[name]).read(0, found[name].size) == path.read_bytes(), name


def assert_node(node: Node, path: Path, *, owners: bool, attributes: bool) -> None:
    """Compare a node with the file it was made from."""
    status = path.lstat()
    assert node.type is _TYPES[stat.S_IFMT(status.st_mode)], path
    assert node.mode == stat.S_IMODE(status.st_mode), path
    assert node.target == (os.readlink(path) if path.is_symlink() else ""), path  # noqa: PTH115 - Path would normalise the target
    assert node.size == (status.st_size if node.is_file else 0), path
    if attributes:
        assert dict(node.xattrs) == {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }, path
    if owners:
        assert (node.uid, node.gid) == (status.st_uid, status.st_gid), path


_TYPES = {
    stat.S_IFREG: NodeType.FILE,
    stat.S_IFDIR: NodeType.DIRECTORY,
    stat.S_IFLNK: NodeType.SYMLINK,
    stat.S_IFCHR: NodeType.CHARACTER,
    stat.S_IFBLK: NodeType.BLOCK,
    stat.S_IFIFO: NodeType.FIFO,
}


def gpt_disk(disk: Path, partitions: Mapping[str, Path | None], *, spare: int = 1024 * 1024) -> Path:
    """Make a GPT disk with a partition per label that holds the file, or zeros for None, and `spare` bytes behind it; `efi-a` is an ESP."""
    sizes = {label: (-(-(image.stat().st_size if image else 0) // 512) * 512 + spare) for label, image in partitions.items()}
    with disk.open("wb") as file:
        file.truncate(sum(sizes.values()) + (len(sizes) + 4) * 1024 * 1024)
    types = {label: "uefi" if label.startswith("efi") else "linux" for label in sizes}
    script = "label: gpt\n" + "".join(f'size={size // 512}, type={types[label]}, name="{label}"\n' for label, size in sizes.items())
    tool("sfdisk", "--quiet", disk, stdin=script.encode())
    table = json.loads(tool("sfdisk", "-J", disk))["partitiontable"]["partitions"]
    with disk.open("r+b") as file:
        for entry, image in zip(table, partitions.values(), strict=True):
            if image:
                file.seek(entry["start"] * 512)
                file.write(image.read_bytes())
    return disk


def rewrite_gpt_entry(disk: Path, *, number: int, first: int) -> None:
    """Give a partition another first sector in both copies of the table, with right checksums (sectors of 512 bytes)."""
    raw = bytearray(disk.read_bytes())
    (backup,) = struct.unpack_from("<Q", raw, 512 + 32)
    for lba in (1, backup):
        at = lba * 512
        entries, count, length = struct.unpack_from("<QII", raw, at + 72)
        begin = entries * 512
        struct.pack_into("<Q", raw, begin + (number - 1) * length + 32, first)
        struct.pack_into("<I", raw, at + 88, zlib.crc32(raw[begin : begin + count * length]))
        raw[at + 16 : at + 20] = bytes(4)
        struct.pack_into("<I", raw, at + 16, zlib.crc32(raw[at : at + 92]))
    disk.write_bytes(raw)


def with_large_sectors(disk: Path, target: Path) -> None:
    """Stretch a disk of 512-byte sectors to the same sector numbers of 4096 bytes each (Debian's sfdisk cannot make one in a file)."""
    raw = disk.read_bytes()
    (backup,) = struct.unpack_from("<Q", raw, 512 + 32)
    with target.open("wb") as file:
        file.truncate(len(raw) * 8)
        file.write(raw[:512])
        for lba in (1, backup):
            (entries, count, length) = struct.unpack_from("<QII", raw, lba * 512 + 72)
            file.seek(lba * 4096)
            file.write(raw[lba * 512 : lba * 512 + 512])
            file.seek(entries * 4096)
            file.write(raw[entries * 512 : entries * 512 + count * length])


def verity_image(image: Path, *options: str) -> bytes:
    """Append a dm-verity superblock and tree to a file system with veritysetup; return the root hash."""
    size = image.stat().st_size
    said = tool("veritysetup", "format", image, image, f"--hash-offset={size}", *options, *_data_blocks(size, options))
    (line,) = [line for line in said.decode().splitlines() if line.startswith("Root hash:")]
    return bytes.fromhex(line.split()[-1])


def _data_blocks(size: int, options: Sequence[str]) -> list[str]:
    block = int(options[options.index("--data-block-size") + 1]) if "--data-block-size" in options else 4096
    return [f"--data-blocks={size // block}"]


def rauc_bundle(directory: Path, name: str, images: Mapping[str, Path], *, form: str, compression: str = "gzip") -> Path:
    """Make a RAUC bundle with rauc: `images` are slot class to image file; `form` is plain, verity or crypt; signed by a throw-away key."""
    content = directory / "content"
    content.mkdir()
    manifest = f"[update]\ncompatible=test charger\nversion=1.2.3\n\n[bundle]\nformat={form}\n"
    for slot, image in images.items():
        shutil.copyfile(image, content / f"{slot}.img")
        manifest += f"\n[image.{slot}]\nfilename={slot}.img\n"
    (content / "manifest.raucm").write_text(manifest)
    key, certificate = throw_away_signer(directory)
    bundle = directory / name
    signed = directory / "signed.raucb" if form == "crypt" else bundle
    tool(
        "rauc",
        "bundle",
        f"--cert={certificate}",
        f"--key={key}",
        f"--keyring={certificate}",
        f"--mksquashfs-args=-comp {compression}",
        content,
        signed,
    )
    if form == "crypt":
        tool("rauc", "encrypt", f"--keyring={certificate}", f"--to={certificate}", signed, bundle)
    return bundle


def throw_away_signer(directory: Path, *, curve: str = "") -> tuple[Path, Path]:
    """Make a self-signed certificate with openssl, of RSA or an elliptic curve; return its key and itself, in PEM."""
    key, certificate = directory / "key.pem", directory / "cert.pem"
    kind = ["ec", "-pkeyopt", f"ec_paramgen_curve:{curve}"] if curve else ["rsa:2048"]
    tool("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=test", "-days", "2")
    return key, certificate


def initial_ram_disk(root: Path, form: str = "newc") -> bytes:
    """Return a cpio archive of a directory, not compressed."""
    names = b"\0".join(os.fsencode(path.relative_to(root)) for path in [root, *sorted(root.rglob("*"))])
    command = ["cpio", "-o", "-0", "-H", form, "--quiet"]
    return subprocess.run(command, input=names, cwd=root, capture_output=True, check=True).stdout


def ram_disk_with_init(directory: Path, init: bytes) -> bytes:
    """Return an initial RAM disk with a program `/init` alone, not compressed; it is put together in the directory."""
    directory.mkdir(exist_ok=True)
    (directory / "init").write_bytes(init)
    return initial_ram_disk(directory)


def efi_stub() -> Path:
    """Return systemd's UKI stub of this machine; skips the test without it."""
    found = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
    if not found.is_file():
        pytest.skip("systemd-boot-efi (linuxx64.efi.stub) is not installed")
    return found


def appending_stub(directory: Path) -> Path:
    """Return a stub that knows the SMBIOS string whose words it appends to the command line, as systemd-stub of 254 and later does."""
    stub, words = directory / "appending.stub", directory / "words"
    words.write_bytes(FIRMWARE_WORDS.encode() + b"\0")
    tool("objcopy", "--add-section", f".words={words}", "--change-section-vma", f".words={0x800_0000:#x}", efi_stub(), stub)
    return stub


def silent_stub(directory: Path) -> Path:
    """Return a stub that does not know that string, as systemd-stub before 254."""
    stub = directory / "silent.stub"
    stub.write_bytes(efi_stub().read_bytes().replace(FIRMWARE_WORDS.encode(), b"?" * len(FIRMWARE_WORDS)))
    return stub


def unified_kernel(image: Path, sections: Mapping[str, bytes], *, stub: Path | None = None) -> Path:
    """Make a UKI with objcopy from a stub, that of this machine by default; the sections are laid out one behind the other."""
    arguments: list[str | Path] = []
    address = 0x1_0000_0000 // 16
    for number, (name, content) in enumerate(sections.items()):
        part = image.with_name(f"{image.name}.{number}")
        part.write_bytes(content)
        arguments += ["--add-section", f"{name}={part}", "--change-section-vma", f"{name}={address:#x}"]
        address += -(-len(content) // 4096) * 4096
    tool("objcopy", *arguments, stub or efi_stub(), image)
    return image


def signed_program(program: Path) -> Path:
    """Sign an EFI program in place with a key of nobody's; skips the test without sbsign."""
    if shutil.which("sbsign") is None:
        pytest.skip("sbsign is not installed")
    key, certificate = throw_away_signer(program.parent)
    tool("sbsign", "--key", key, "--cert", certificate, "--output", program, program)
    return program
