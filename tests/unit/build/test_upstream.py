import os
from pathlib import Path

import pytest

from everest_secure.build.configuration import Repository
from everest_secure.build.upstream import git_settings, hosts, mirrored, missing, unreachable
from support.kas import git, upstream

NOWHERE = Repository("nowhere", "file:///no/such/repository", "nowhere", "scarthgap")


def test_a_repository_is_reached_and_one_that_is_not_there_is_not(tmp_path: Path) -> None:
    layer = upstream(tmp_path / "layer")
    here = Repository("here", layer.url, "here", layer.commit)
    assert unreachable([here, NOWHERE], environment=os.environ) == (NOWHERE,)


def test_a_mirror_makes_a_repository_reachable(tmp_path: Path) -> None:
    upstream(tmp_path / "layer")
    mirrors = f"file:///no/such/repository {(tmp_path / 'layer').as_uri()}"
    assert unreachable([NOWHERE], environment={**os.environ, "KAS_PREMIRRORS": mirrors}) == ()


def test_git_settings_that_kas_is_told_of_count(tmp_path: Path) -> None:
    upstream(tmp_path / "layer")
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[url "{(tmp_path / "layer").as_uri()}"]\n\tinsteadOf = file:///no/such/repository\n')
    assert unreachable([NOWHERE], environment={**os.environ, "GITCONFIG_FILE": str(settings)}) == ()


def test_a_checkout_that_has_the_revision_needs_no_fetch(tmp_path: Path) -> None:
    layer = upstream(tmp_path / "layer")
    git("clone", "--quiet", layer.url, tmp_path / "work" / "here", cwd=tmp_path)
    here = Repository("here", layer.url, "here", layer.commit)
    tagged = Repository("tagged", layer.url, "here", "1.0")
    newer = Repository("newer", layer.url, "here", "0" * 40)
    absent = Repository("absent", layer.url, "absent", layer.commit)
    assert missing([here, tagged, newer, absent], directory=tmp_path / "work") == (newer, absent)


@pytest.mark.parametrize(
    ("premirrors", "expected"),
    [
        ("", "https://a.example/x"),
        (r"https://a\.example/ https://mirror.example/", "https://mirror.example/x"),
        ("no-mirror\nhttps://(.*) http://proxy.example/\\1\nhttps://a https://late", "http://proxy.example/a.example/x"),
        ("https://b.example/ https://mirror.example/", "https://a.example/x"),
    ],
)
def test_the_first_matching_mirror_is_taken_as_kas_does(premirrors: str, expected: str) -> None:
    assert mirrored("https://a.example/x", premirrors) == expected


def test_the_users_git_settings_count_only_where_kas_takes_them() -> None:
    assert git_settings({})["GIT_CONFIG_GLOBAL"] == os.devnull
    assert git_settings({"GITCONFIG_FILE": "/etc/g"})["GIT_CONFIG_GLOBAL"] == "/etc/g"
    assert "GIT_CONFIG_GLOBAL" not in git_settings({"GITHUB_ACTIONS": "true"})
    assert git_settings({"GITLAB_CI": "true", "GITCONFIG_FILE": "/etc/g"})["GIT_CONFIG_GLOBAL"] == "/etc/g"


def test_each_host_is_named_once() -> None:
    repositories = [Repository(name, f"https://{host}/{name}", name, "") for name, host in (("a", "one"), ("b", "two"), ("c", "one"))]
    assert hosts([*repositories, NOWHERE]) == "one, two, file:///no/such/repository"
