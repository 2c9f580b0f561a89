from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.subtree import Subtree
from everest_secure.image.tree import Tree


@pytest.fixture
def base(tmp_path: Path) -> Tree:
    (tmp_path / "root/var/store/ca").mkdir(parents=True)
    (tmp_path / "root/var/other").write_text("not in the store")
    (tmp_path / "root/var/store/ca/root.pem").write_text("in the store")
    for name, target in {"near": "ca/root.pem", "far": "/store/ca/root.pem", "out": "../other", "gone": "/var/other"}.items():
        (tmp_path / "root/var/store" / name).symlink_to(target)
    tree = open_artefact(tmp_path / "root").tree
    assert tree
    return tree


def test_a_directory_is_seen_under_another_path_and_nothing_else_is(base: Tree) -> None:
    tree = Subtree(base, "/var/store", known_as="/etc/store")
    paths = [node.path for node in tree.nodes() if not node.target]
    assert paths == ["/", "/etc", "/etc/store", "/etc/store/ca", "/etc/store/ca/root.pem"]
    assert tree.read("/etc/store/ca/root.pem") == b"in the store"
    assert tree.get("/etc/store/ca") == base.get("/var/store/ca")._replace(path="/etc/store/ca")  # type: ignore[union-attr] # it is there


def test_links_lead_where_they_would_with_the_directory_there(base: Tree) -> None:
    tree = Subtree(base, "/var/store", known_as="/store")
    assert tree.read("/store/near") == tree.read("/store/far") == b"in the store"
    assert tree.resolve("/store/out") is None
    assert tree.resolve("/store/gone") is None


def test_the_root_of_a_tree_is_a_directory_too(base: Tree) -> None:
    assert Subtree(base, "/", known_as="/etc/store").read("/etc/store/var/other") == b"not in the store"


def test_files_may_lie_beside_it(base: Tree) -> None:
    tree = Subtree(base, "/var/store", known_as="/etc/store", beside={"/etc/settings": b"settings"})
    assert tree.read("/etc/settings") == b"settings"


@pytest.mark.parametrize("path", ["/nowhere", "/var/other"])
def test_what_is_no_directory_is_refused(base: Tree, path: str) -> None:
    with pytest.raises(ArtefactError, match=f"has no directory {path}"):
        Subtree(base, path, known_as="/etc/store").nodes()
