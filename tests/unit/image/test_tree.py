"""Lookups in a tree, with the kernel's own path walk in a chroot as the measure."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.tree import MAX_LINKS, Node, NodeType, Tree, printable
from support.images import ROOT


class Listed(Tree):
    """A tree of given nodes."""

    def __init__(self, *nodes: Node) -> None:
        super().__init__("listed", "test")
        self._given = nodes

    def _scan(self) -> Iterator[tuple[Node, object]]:
        yield from ((node, None) for node in self._given)

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        return bytes(length)


def directory(path: str) -> Node:
    return Node(path, NodeType.DIRECTORY, 0o755, 0, 0, 0)


def link(path: str, target: str) -> Node:
    return Node(path, NodeType.SYMLINK, 0o777, 0, 0, 0, target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("usr/lib/systemd", "etc/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID=everest\n")
    (tmp_path / "etc/passwd").write_text("root\n")
    links = {
        "lib": "usr/lib",
        "etc/os-release": "../usr/lib/os-release",
        "etc/absolute": "/usr/lib/os-release",
        "etc/through": "/lib/systemd/../os-release",
        "etc/above": "../../../../../usr/lib/os-release",
        "etc/chain": "absolute",
        "etc/self": "self",
        "etc/dangling": "nowhere",
        "etc/here": ".",
        "etc/deep/up": "..",
        "etc/file-as-directory": "passwd/../os-release",
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    return tmp_path


PATHS = [
    "/",
    "/lib",
    "/lib/os-release",
    "/etc/os-release",
    "/etc/absolute",
    "/etc/through",
    "/etc/above",
    "/etc/chain",
    "/etc/self",
    "/etc/dangling",
    "/etc/here/here/here/passwd",
    "/etc/deep/up/deep/up/passwd",
    "/etc/file-as-directory",
    "/etc/passwd/x",
    "//etc//passwd",
    "/etc/../../etc/./passwd",
    "/nothing",
]


def test_paths_lead_where_the_kernel_says(root: Path) -> None:
    if not ROOT:
        pytest.skip("only root can change the root directory")
    tree = open_artefact(root).tree
    assert tree is not None
    for path in PATHS:
        found = tree.resolve(path)
        assert (found.path if found else None) == in_chroot(root, path), path


def in_chroot(root: Path, path: str) -> str | None:
    """Ask realpath(3) in a child whose root directory is `root`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.chroot(root)
        os.chdir("/")
        try:
            answer = os.path.realpath(path, strict=True).replace("//", "/")
            Path(path).stat()  # realpath forgives `file/..`, the kernel does not
        except OSError:
            answer = ""
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    answer = os.read(reader, 4096).decode()
    os.close(reader)
    return answer or None


def test_the_last_link_is_not_followed_when_not_wanted(root: Path) -> None:
    tree = open_artefact(root).tree
    assert tree is not None
    found = tree.resolve("/lib/../../etc/os-release", follow_last=False)
    assert found is not None
    assert (found.path, found.target) == ("/etc/os-release", "../usr/lib/os-release")


def test_as_many_links_are_followed_as_the_kernel_follows() -> None:
    links = [link(f"/{number}", str(number + 1)) for number in range(MAX_LINKS + 1)]
    tree = Listed(directory("/"), *links, directory(f"/{MAX_LINKS + 1}"))
    assert tree.resolve("/1") is not None
    assert tree.resolve("/0") is None


def test_a_very_deep_tree_is_walked() -> None:
    paths = ["/" + "/".join(["d"] * depth) for depth in range(1, 1500)]
    tree = Listed(directory("/"), *map(directory, paths))
    assert [node.path for node in tree.under("/")] == paths


def test_a_path_that_occurs_twice_is_corrupt() -> None:
    with pytest.raises(ArtefactError, match="holds the path /a twice"):
        Listed(directory("/"), directory("/a"), directory("/a")).nodes()


def test_a_tree_without_a_root_is_corrupt() -> None:
    with pytest.raises(ArtefactError, match="no root directory"):
        Listed(directory("/a")).nodes()


def test_only_files_have_content_and_no_more_than_the_limit() -> None:
    tree = Listed(directory("/"), Node("/file", NodeType.FILE, 0o644, 0, 0, 100))
    assert tree.read("/file") == bytes(100)
    with pytest.raises(ArtefactError, match="more than the 99"):
        tree.read("/file", limit=99)
    with pytest.raises(ArtefactError, match="is a directory, not a file"):
        tree.read("/")
    with pytest.raises(ArtefactError, match="has no file /none"):
        tree.read("/none")


def test_names_are_shown_without_control_characters() -> None:
    assert printable("/a\x1b[31m\nb\udcff") == r"/a\x1b[31m\nb\udcff"
