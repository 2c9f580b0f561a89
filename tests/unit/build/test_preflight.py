import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.build.configuration import parse
from everest_secure.build.errors import BuildError
from everest_secure.build.kas import Kas
from everest_secure.build.preflight import default_space, preflight, refuse_root
from everest_secure.errors import UserError
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


def test_a_machine_without_the_locale_of_bitbake_is_told_how_to_make_it(tmp_path: Path) -> None:
    program = "from everest_secure.build.preflight import require_locale; require_locale()"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "LOCPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert "BuildError: BitBake needs the locale en_US.UTF-8, which this machine lacks; make it with 'localedef " in done.stderr


def test_too_little_disk_is_said_before_anything_is_fetched(project: Project, layer: Upstream, tmp_path: Path) -> None:
    said = refusal(top(project, layer), tmp_path / "work", space=1 << 60)
    assert "the build needs 1,152,921,504,607 MB" in said
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("env", "first", "again"), [({}, 90, 10), ({"EVEREST_BUILD_SPACE": "20"}, 20, 10), ({"EVEREST_BUILD_SPACE": "4"}, 4, 4)]
)
def test_a_first_build_asks_for_more_disk_than_the_next_unless_the_files_know_better(
    env: dict[str, str], first: int, again: int, tmp_path: Path
) -> None:
    configuration = parse(json.dumps({"env": env}).encode())
    assert default_space(tmp_path / "build", configuration) == first * 10**9
    (tmp_path / "build").mkdir()
    assert default_space(tmp_path / "build", configuration) == again * 10**9


@pytest.mark.parametrize("named", ["", "much", "-1", "9999999"])
def test_a_size_that_is_none_is_refused(named: str) -> None:
    with pytest.raises(BuildError, match="is no number of GB; correct it"):
        parse(json.dumps({"env": {"EVEREST_BUILD_SPACE": named}}).encode())


def test_a_repository_out_of_reach_is_named_by_its_place(project: Project, tmp_path: Path) -> None:
    away = Upstream("file:///no/such/repository", "0" * 40)
    said = refusal(top(project, away), tmp_path / "work")
    assert "1 of 1 repositories" in said
    assert "file:///no/such/repository" in said


def test_variables_without_a_value_are_named(project: Project, layer: Upstream, tmp_path: Path) -> None:
    said = refusal(top(project, layer, env={"FIRST_NEED": None, "SECOND_NEED": None, "OTHER": "default"}), tmp_path / "work")
    assert "need FIRST_NEED, SECOND_NEED in the environment" in said


def test_keys_that_cannot_work_are_said_before_anything_is_fetched(project: Project, layer: Upstream, tmp_path: Path) -> None:
    file = top(project, layer, env={"EVEREST_BUNDLE_KEY": None})
    said = refusal(file, tmp_path / "work", environment={"EVEREST_BUNDLE_KEY": "/no/such/key.pem"})
    assert "EVEREST_BUNDLE_KEY names /no/such/key.pem, which is no file" in said
