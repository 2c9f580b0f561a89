import json
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from support.reports import root


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Two root file systems, of which the newer has a program that anyone may write to."""
    old, new = root(tmp_path / "old"), root(tmp_path / "new")
    for tree in (old, new):
        (tree / "etc/motd").write_text("A charger.\n")
    (new / "usr/bin").mkdir()
    (new / "usr/bin/tool").write_text("x")
    (new / "usr/bin/tool").chmod(0o777)
    return old, new


def test_two_artefacts_are_compared(trees: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main(["diff", str(trees[0]), str(trees[1]), "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    assert value["worse"] is True
    assert "/usr/bin/tool" in {finding["path"] for finding in value["added"]}
    assert "FS-05" in {finding["requirement"] for finding in value["added"]}


def test_a_report_and_an_artefact_are_compared_as_two_artefacts_are(
    trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = trees
    both = main(["diff", str(old), str(new), "-q"])
    first = capsys.readouterr().out
    main(["check", str(old), "-q", "--json", str(tmp_path / "old.json")])
    capsys.readouterr()
    assert main(["diff", str(tmp_path / "old.json"), str(new), "-q"]) == both
    assert capsys.readouterr().out == first


def test_the_same_twice_is_no_change(trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(trees[1]), "-q", "--json", str(tmp_path / "a.json")])
    capsys.readouterr()
    code = main(["diff", str(tmp_path / "a.json"), str(trees[1]), "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    assert value["exit_code"] == code
    assert (value["requirements"], value["added"], value["removed"], value["parameters"], value["worse"]) == ([], [], [], [], False)


def test_comparisons_are_written_to_files(trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"diff.{name}" for name in ("json", "markdown", "table")}
    main(["diff", *map(str, trees), "-q", *(f"--{name}={file}" for name, file in files.items())])
    assert json.loads(files["json"].read_text())["format"] == 1
    assert files["markdown"].read_text().startswith("### ")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_file_that_is_compared_is_not_overwritten(trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert main(["diff", str(tmp_path / "a.json"), str(trees[0]), "--json", str(tmp_path / "a.json")]) == ExitCode.FAILED
    assert "is one of the inputs" in capsys.readouterr().err


def test_what_is_neither_is_one_sentence(trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert main(["diff", str(tmp_path / "a.json"), str(trees[0])]) == ExitCode.FAILED
    assert main(["diff", str(tmp_path / "absent"), str(trees[0])]) == ExitCode.FAILED
    assert len(capsys.readouterr().err.splitlines()) == 2
