"""tar archives made by GNU tar and bsdtar, and those that nobody should make."""

import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.tar import TarTree
from everest_secure.image.tree import NodeType, Tree
from support.images import assert_equal, sample_tree, set_attributes, tool, tree_of

FORMATS = ["gnu", "posix"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = sample_tree(tmp_path_factory.mktemp("sample") / "root")
    set_attributes(root)
    (root / "dev/socket").unlink(missing_ok=True)
    return root


def archive(target: Path, root: Path, *options: str) -> Path:
    tool("tar", *options, "-C", root, "-cf", target, ".")
    return target


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("sparse", [(), ("--sparse",)], ids=["whole", "sparse"])
def test_an_archive_holds_what_was_put_in(sample: Path, tmp_path: Path, form: str, sparse: tuple[str, ...]) -> None:
    options = ("--acls", "--xattrs", "--xattrs-include=*") if form == "posix" else ()
    made = archive(tmp_path / "root.tar", sample, f"--format={form}", *options, *sparse)
    assert_equal(tree_of(made), sample, attributes=form == "posix")


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_every_sparse_form_of_gnu_tar_is_read(sample: Path, tmp_path: Path, version: str) -> None:
    made = archive(tmp_path / "root.tar", sample, "--format=posix", "--sparse", f"--sparse-version={version}")
    assert_equal(tree_of(made), sample, attributes=False)


@pytest.mark.parametrize("form", ["pax", "gnutar", "ustar"])
def test_an_archive_of_libarchive_holds_what_was_put_in(sample: Path, tmp_path: Path, form: str) -> None:
    if shutil.which("bsdtar") is None:
        pytest.skip("bsdtar is not installed")
    left_out = ["--exclude", "etc/long-link", "--exclude", "etc/inline"] if form == "ustar" else []
    tool("bsdtar", f"--format={form}", *left_out, "-C", sample, "-cf", tmp_path / "root.tar", ".")
    tree = tree_of(tmp_path / "root.tar")
    if form == "ustar":
        assert tree.read("/usr/bin/big") == (sample / "usr/bin/big").read_bytes()
    else:
        assert_equal(tree, sample, attributes=form == "pax")


@pytest.mark.parametrize("method", ["gzip", "xz", "zstd", "bzip2"])
def test_a_compressed_archive_is_opened(sample: Path, tmp_path: Path, method: str) -> None:
    plain = archive(tmp_path / "root.tar", sample)
    (tmp_path / "packed").write_bytes(tool(method, "-c", plain))
    artefact = open_artefact(tmp_path / "packed")
    assert [each.kind for each in artefact.walk()] == [method, "tar"]
    assert_equal(tree_of(tmp_path / "packed"), sample, attributes=False)


def test_names_and_links_of_any_length_are_read(tmp_path: Path) -> None:
    deep = tmp_path / "root" / "/".join(["directory-" + "d" * 90] * 8)
    deep.mkdir(parents=True)
    (deep / ("f" * 200)).write_text("deep")
    (tmp_path / "root/link").symlink_to("t/" * 1000)
    os.link(deep / ("f" * 200), deep / ("hard" * 40))
    for form in FORMATS:
        assert_equal(tree_of(archive(tmp_path / "root.tar", tmp_path / "root", f"--format={form}")), tmp_path / "root", attributes=False)


def member(name: str, content: bytes = b"", **keys: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in keys.items():
        setattr(info, key, value)
    return info, content


def made(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> Tree:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as file:
        for info, content in entries:
            file.addfile(info, io.BytesIO(content))
    return TarTree(from_bytes(target.getvalue(), "root.tar"))


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def test_a_later_member_replaces_an_earlier_one() -> None:
    tree = made(member("etc/a", b"first"), link("b", "etc/a"), member("etc/a", b"second", mode=0o600), member("b", b"a file now"))
    assert (tree.text("/etc/a"), tree.text("/b")) == ("second", "a file now")
    node = tree.get("/etc/a")
    assert node is not None
    assert node.mode == 0o600


def test_a_hard_link_keeps_what_its_target_was_when_it_was_made() -> None:
    tree = made(member("a", b"first", uid=5), link("b", "./a", tarfile.LNKTYPE), member("a", b"second"))
    assert (tree.text("/a"), tree.text("/b")) == ("second", "first")
    node = tree.get("/b")
    assert node is not None
    assert node.uid == 5


def test_absolute_names_lie_in_the_tree_and_directories_need_no_member_of_their_own() -> None:
    tree = made(member("/etc/deep/passwd", b"x"), link("./up", "../../etc/shadow"))
    assert [(node.path, node.type) for node in tree.nodes()] == [
        ("/", NodeType.DIRECTORY),
        ("/etc", NodeType.DIRECTORY),
        ("/etc/deep", NodeType.DIRECTORY),
        ("/etc/deep/passwd", NodeType.FILE),
        ("/up", NodeType.SYMLINK),
    ]
    assert tree.resolve("/up") is None


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([member("../etc/passwd", b"x")], "has a member with the name '../etc/passwd'"),
        ([member("usr/../../etc/passwd", b"x")], "has a member with the name"),
        ([link("usr", "/"), member("usr/bin/sh", b"x")], "/usr/bin/sh lies below the symlink /usr"),
        ([member("usr", b"x"), member("usr/bin/sh", b"x")], "/usr/bin/sh lies below the file /usr"),
        ([member("usr/bin", b"x"), member("usr", b"x")], "/usr is a directory and a file"),
        ([member("usr", b"x"), member("usr", type=tarfile.DIRTYPE)], "/usr is a file and a directory"),
        ([link("hard", "nothing", tarfile.LNKTYPE)], "/hard is a link to nothing, which is not there"),
        ([link("hard", "../outside", tarfile.LNKTYPE)], "has a member with the name '../outside'"),
        ([member("d", type=tarfile.DIRTYPE), link("hard", "d", tarfile.LNKTYPE)], "which is not there or a directory"),
        ([member("odd", type=b"M")], "has the type b'M'"),
        ([member("n" * 5000, b"x")], "has a member with the name"),
        ([member("owner", uid=2**33)], "owner 8589934592:0"),
    ],
)
def test_what_would_lead_an_unpacking_program_astray_is_refused(entries: list[tuple[tarfile.TarInfo, bytes]], message: str) -> None:
    with pytest.raises(ArtefactError, match=message):
        made(*entries, form=tarfile.GNU_FORMAT).nodes()


@pytest.mark.parametrize("records", [b"x", b"9 a=b\n", b"99999999999 a=b\n", b"0 a=b\n", b"6 a=b ", b"-6 a=b\n", b"5 =b\n"])
def test_a_pax_header_that_is_wrong_is_refused(records: bytes) -> None:
    with pytest.raises(ArtefactError, match="the header of this tar archive"):
        made(member("pax", records, type=b"x"), member("file", b"x"), form=tarfile.USTAR_FORMAT).nodes()


def test_endless_pax_headers_are_refused() -> None:
    record = b"1000011 " + b"comment=" + b"x" * 999_994 + b"\n"
    with pytest.raises(ArtefactError, match="taken for hostile"):
        made(*[member("pax", record, type=b"x")] * 70, form=tarfile.USTAR_FORMAT).nodes()
    with pytest.raises(ArtefactError, match="taken for hostile"):
        made(member("pax", bytes(2_000_000), type=b"x"), form=tarfile.USTAR_FORMAT).nodes()


@pytest.mark.parametrize("size", ["77777777777", "-1", "9"])
def test_a_size_that_is_not_there_is_refused(size: str) -> None:
    raw = bytearray(tool("tar", "--format=ustar", "-cf", "-", "-C", "/", "etc/hostname"))
    raw[124:136] = size.encode().rjust(11, b"0") + b"\0" if size != "9" else b"9" * 11 + b"\0"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    with pytest.raises(ArtefactError, match=r"truncated|is wrong"):
        TarTree(from_bytes(bytes(raw), "root.tar")).nodes()


@pytest.mark.parametrize(
    "keys",
    [
        {"GNU.sparse.map": "0,10", "GNU.sparse.size": "5"},
        {"GNU.sparse.map": "0,999999", "GNU.sparse.size": "9999999"},
        {"GNU.sparse.map": "5,1,0,1", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "1,2,3", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "x,y", "GNU.sparse.size": "10"},
        {"GNU.sparse.map": "0,1", "GNU.sparse.size": "9" * 30},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "10"},
    ],
)
def test_a_sparse_map_that_is_wrong_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ArtefactError, match="is wrong"):
        made(member("sparse", b"0123456789", pax_headers=keys)).nodes()


def test_a_sparse_giant_is_known_and_never_held() -> None:
    tree = made(member("sparse", b"data", pax_headers={"GNU.sparse.map": "0,2,1099511627774,2", "GNU.sparse.size": str(1 << 40)}))
    node = tree.get("/sparse")
    assert node is not None
    assert node.size == 1 << 40
    blob = tree.blob(node)
    assert (blob.read(0, 4), blob.read((1 << 40) - 4, 4)) == (b"da\0\0", b"\0\0ta")
    with pytest.raises(ArtefactError, match="more than the"):
        tree.read("/sparse")


def test_a_truncated_archive_is_refused(sample: Path, tmp_path: Path) -> None:
    raw = archive(tmp_path / "root.tar", sample).read_bytes()
    end = -(-len(raw.rstrip(b"\0")) // 512) * 512
    for length in [512, 1000, *range(2000, end, end // 30), end]:
        with pytest.raises(ArtefactError, match="truncated"):
            TarTree(from_bytes(raw[:length], "root.tar")).nodes()


def test_flipped_bits_are_errors_or_read_and_never_break_the_reader(sample: Path, tmp_path: Path) -> None:
    raw = archive(tmp_path / "root.tar", sample / "etc", "--format=posix", "--xattrs").read_bytes()
    rng = random.Random(6)
    for _ in range(300):
        changed = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        try:
            tree = TarTree(from_bytes(bytes(changed), "root.tar"))
            for node in tree.nodes():
                if node.is_file and node.size < 1_000_000:
                    tree.blob(node).read(0, node.size)
        except ArtefactError:
            continue


def test_a_large_archive_takes_little_memory_of_its_own(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "root.tar", "w") as file:
        info, noise = member("x", os.urandom(1024 * 1024))
        for number in range(150):
            info.name = f"usr/{number}"
            file.addfile(info, io.BytesIO(noise))
    code = (
        "import sys; from pathlib import Path\n"
        "from everest_secure.image.artefact import open_artefact\n"
        "tree = open_artefact(Path(sys.argv[1])).tree\n"
        "assert sum(len(tree.blob(node).read(0, node.size)) for node in tree.nodes() if node.is_file) == 150 << 20\n"
        "print(Path('/proc/self/status').read_text().split('RssAnon:')[1].split()[0])\n"
    )
    scripts = Path(__file__).resolve().parents[3] / "scripts"
    argv = [sys.executable, "-c", code, str(tmp_path / "root.tar")]
    done = subprocess.run(argv, env={"PYTHONPATH": str(scripts)}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) < 60 * 1024
