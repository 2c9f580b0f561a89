"""A root file system in a directory."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.tree import NodeType, Tree
from support.images import ROOT, assert_equal, sample_tree, set_attributes


def tree_of(path: Path) -> Tree:
    tree = open_artefact(path).tree
    assert tree is not None
    return tree


def test_every_node_and_byte_is_as_on_disk(tmp_path: Path) -> None:
    root = sample_tree(tmp_path / "root")
    set_attributes(root)
    assert_equal(tree_of(root), root)


def test_a_socket_is_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    node = tree_of(tmp_path).get("/socket")
    assert node is not None
    assert node.type is NodeType.SOCKET


def test_links_lead_nowhere_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "up").symlink_to("../../../../../../secret")
    (root / "out").symlink_to(tmp_path)
    tree = tree_of(root)
    assert tree.resolve("/up") is None
    assert tree.resolve("/out/secret") is None
    assert {node.path for node in tree.nodes()} == {"/", "/etc", "/up", "/out"}


def test_a_file_swapped_for_a_link_after_the_scan_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/file").write_text("inside!")
    tree = tree_of(root)
    tree.nodes()
    (root / "etc/file").unlink()
    (root / "etc/file").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtefactError, match="/etc/file cannot be read"):
        tree.read("/etc/file")


def test_a_directory_swapped_for_a_link_after_the_scan_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/file").write_text("inside!")
    tree = tree_of(root)
    tree.nodes()
    (root / "etc").rename(root / "old")
    (root / "etc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtefactError, match="/etc/file cannot be read"):
        tree.read("/etc/file")


def test_a_file_that_shrank_after_the_scan_is_truncated(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    tree = tree_of(tmp_path)
    tree.nodes()
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match="is truncated"):
        tree.read("/file")


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that every user of the machine may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_nobody() -> Iterator[None]:
    if not ROOT:
        pytest.skip("only root can become a user who may not read")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_an_error(readable: Path) -> None:
    (readable / "file").write_text("secret")
    (readable / "file").chmod(0)
    with as_nobody(), pytest.raises(ArtefactError, match="/file cannot be read: Permission denied"):
        tree_of(readable).read("/file")


def test_a_directory_that_may_not_be_listed_is_an_error_and_not_skipped(readable: Path) -> None:
    (readable / "directory").mkdir(mode=0)
    with as_nobody(), pytest.raises(ArtefactError, match="/directory cannot be read: Permission denied"):
        tree_of(readable).nodes()
