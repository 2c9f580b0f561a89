import os
from pathlib import Path

import pytest

from everest_secure.build.errors import BuildError
from everest_secure.build.kas import Kas
from everest_secure.build.keys import VARIABLES, variables
from everest_secure.build.preflight import default_space, preflight, refuse_root
from everest_secure.errors import UserError
from support import pki as support_pki
from support.kas import Project, Upstream, upstream

ORDINARY = 1000


@pytest.fixture
def layer(tmp_path: Path) -> Upstream:
    return upstream(tmp_path / "layer")


def top(project: Project, layer: Upstream, **content: object) -> Path:
    return project.kas_file("top.yml", {"target": "image", "repos": {"layer": {"url": layer.url, "commit": layer.commit}}, **content})


def refusal(file: Path, work: Path, *, environment: dict[str, str] | None = None, space: int | None = 0) -> str:
    with pytest.raises(UserError) as refused:
        preflight(Kas((file,), work), uid=ORDINARY, environment={**os.environ, **(environment or {})}, space=space)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_build_that_can_start_may_start(project: Project, layer: Upstream, tmp_path: Path) -> None:
    configuration = preflight(Kas((top(project, layer),), tmp_path / "work"), uid=ORDINARY, environment=os.environ, space=0)
    assert configuration.targets == ("image",)
    assert configuration.repositories[0].revision == layer.commit


def test_the_superuser_is_refused_because_bitbake_refuses_him() -> None:
    with pytest.raises(BuildError, match="refuses to build as root"):
        refuse_root(0)


def test_too_little_disk_is_said_before_anything_is_fetched(project: Project, layer: Upstream, tmp_path: Path) -> None:
    said = refusal(top(project, layer), tmp_path / "work", space=1 << 60)
    assert "the build needs 1,152,921,504,607 MB" in said
    assert list((tmp_path / "work").iterdir()) == []


def test_a_first_build_asks_for_more_disk_than_the_next(tmp_path: Path) -> None:
    assert default_space(tmp_path / "build") == 90 * 10**9
    (tmp_path / "build").mkdir()
    assert default_space(tmp_path / "build") == 10 * 10**9


def test_a_repository_out_of_reach_is_named_by_its_place(project: Project, tmp_path: Path) -> None:
    away = Upstream("file:///no/such/repository", "0" * 40)
    said = refusal(top(project, away), tmp_path / "work")
    assert "1 of 1 repositories" in said
    assert "file:///no/such/repository" in said


def test_variables_without_a_value_are_named(project: Project, layer: Upstream, tmp_path: Path) -> None:
    said = refusal(top(project, layer, env={"FIRST_NEED": None, "SECOND_NEED": None, "OTHER": "default"}), tmp_path / "work")
    assert "need FIRST_NEED, SECOND_NEED in the environment" in said


def test_the_files_of_a_development_pki_are_what_the_recipes_need(project: Project, layer: Upstream, tmp_path: Path) -> None:
    environment = dict(variables(support_pki.make(tmp_path / "pki")))
    file = top(project, layer, env=dict.fromkeys(VARIABLES))
    done = preflight(Kas((file,), tmp_path / "work"), uid=ORDINARY, environment={**os.environ, **environment}, space=0)
    assert done.required == set(VARIABLES)


@pytest.mark.parametrize(
    ("value", "said"),
    [("keys/signer.key.pem", "is no absolute path"), ("/no/such/key.pem", "which is no file"), ("/", "which is no file")],
)
def test_a_key_that_cannot_be_found_is_said(project: Project, layer: Upstream, tmp_path: Path, value: str, said: str) -> None:
    environment = {**variables(support_pki.make(tmp_path / "pki")), "EVEREST_BUNDLE_KEY": value}
    sentence = refusal(top(project, layer, env=dict.fromkeys(VARIABLES)), tmp_path / "work", environment=environment)
    assert said in sentence
    assert "EVEREST_BUNDLE_KEY" in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every key")
def test_a_key_that_may_not_be_read_is_said(project: Project, layer: Upstream, tmp_path: Path) -> None:
    pki = support_pki.make(tmp_path / "pki")
    pki.key("signer").chmod(0)
    sentence = refusal(top(project, layer, env=dict.fromkeys(VARIABLES)), tmp_path / "work", environment=dict(variables(pki)))
    assert "which you may not read" in sentence
