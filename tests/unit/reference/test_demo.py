import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode, UserError
from everest_secure.paths import data
from everest_secure.reference import toolsroot
from everest_secure.reference.archive import VARIABLE
from everest_secure.reference.demo import _replace, demonstrate
from support import pki
from support.reference import UNREACHABLE


@contextmanager
def silently(_name: str) -> Iterator[None]:
    yield


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an earlier demonstration left its keys and results; the tools root is empty: recipes come before any of its programs."""
    directory = tmp_path / "build"
    (directory / "cache" / f"tools-{toolsroot.digest()}").mkdir(parents=True)
    (directory / "keys").mkdir(parents=True)
    pki.make(directory / "keys/development")
    (directory / "demo").mkdir()
    (directory / "demo/report.html").write_text("of the last time")
    monkeypatch.setenv(VARIABLE, UNREACHABLE)
    return directory


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def broken_layer(place: Path) -> Path:
    """Copy the layer and break the recipe of the service user in its third line."""
    shutil.copytree(data("meta-everest-secure"), place)
    (recipe,) = place.rglob("everest-user_*.bb")
    recipe.write_text('SUMMARY = "x"\nLICENSE = "Apache-2.0"\nthis is no assignment\n')
    return place


def test_a_broken_recipe_is_named_with_its_line_and_the_last_results_stay(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = broken_layer(tmp_path / "layer")
    assert main(["demo", "--directory", str(directory), "--layer", str(layer)]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert "✓ tools root" in said.out
    assert "✗ recipes" in said.out
    assert re.fullmatch(r"everest-secure: recipe 'everest-user'.+everest-user_1\.0\.bb:3: .+this is no assignment.*\n", said.err)
    assert contents(directory / "demo") == {"report.html": "of the last time"}


def test_keys_are_made_once_and_used_again(directory: Path) -> None:
    before = {path.name: path.read_bytes() for path in (directory / "keys/development").iterdir()}
    with pytest.raises(UserError):
        demonstrate(directory, layer=directory, step=silently)
    assert {path.name: path.read_bytes() for path in (directory / "keys/development").iterdir()} == before


@pytest.mark.parametrize("left_over", [False, True])
def test_new_results_take_the_place_of_the_old_as_a_whole(tmp_path: Path, left_over: bool) -> None:
    final, fresh = tmp_path / "demo", tmp_path / "demo.new"
    for directory, name in ((final, "old"), (fresh, "new"), *([(tmp_path / "demo.old", "older")] if left_over else [])):
        directory.mkdir()
        (directory / name).touch()
    _replace(final, fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert [path.name for path in final.iterdir()] == ["new"]


def test_the_first_results_need_no_old_ones(tmp_path: Path) -> None:
    (tmp_path / "demo.new").mkdir()
    _replace(tmp_path / "demo", tmp_path / "demo.new")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
