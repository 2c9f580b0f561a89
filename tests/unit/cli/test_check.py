import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.policy.schema import load_schema
from support.reports import root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return root(tmp_path / "rootfs")


def test_a_bare_root_ends_with_findings_or_errors_and_all_reports_are_written(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    files = {name: tmp_path / f"report.{name}" for name in ("json", "html", "junit", "markdown", "sarif", "table")}
    code = main(["check", str(tree), "-q", *(f"--{name}={file}" for name, file in files.items())])
    assert code in (ExitCode.FINDINGS, ExitCode.FAILED)
    assert json.loads(files["json"].read_text())["exit_code"] == code
    assert json.loads(files["json"].read_text())["profile"] == "production"
    Draft202012Validator(load_schema("report.schema.json")).validate(json.loads(files["json"].read_text()))
    assert files["html"].read_text().startswith("<!DOCTYPE html>")
    assert "What needs attention" in files["table"].read_text()
    assert files["junit"].read_text().startswith("<?xml")
    assert files["markdown"].read_text().startswith("### ")
    assert json.loads(files["sarif"].read_text())["version"] == "2.1.0"
    assert len(capsys.readouterr().out.strip().splitlines()) == 2


def test_json_can_be_printed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(tree), "--format", "json", "--profile", "reference"])
    assert json.loads(capsys.readouterr().out)["profile"] == "reference"


def test_an_artefact_that_cannot_be_opened_leaves_no_report_not_even_an_old_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "disk.raw").write_bytes(b"")
    (tmp_path / "report.html").write_text("all is well")
    assert main(["check", str(tmp_path / "disk.raw"), "--html", str(tmp_path / "report.html")]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "disk.raw is empty" in said.err
    assert [file.name for file in tmp_path.iterdir()] == ["disk.raw"]


def test_one_bad_artefact_among_good_ones_stops_the_whole_check(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tree), str(tmp_path / "absent.raucb")]) == ExitCode.FAILED
    assert "absent.raucb" in capsys.readouterr().err


def test_a_wrong_policy_file_is_named_with_line_and_key(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.yml").write_text("extends: production\nwaiver: []\n")
    assert main(["check", str(tree), "--policy", str(tmp_path / "my.yml")]) == ExitCode.FAILED
    assert capsys.readouterr().err == f"everest-secure: {tmp_path}/my.yml:2: waiver: unknown key; did you mean 'waivers'?\n"


@pytest.mark.parametrize("options", [["--profile", "production", "--policy", "my.yml"], ["-q", "-v"], ["--format", "pdf"], ["--jobs", "0"]])
def test_options_that_contradict_each_other_are_a_wrong_command_line(
    tree: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", str(tree), *options])
    assert stop.value.code == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_the_policy_file_is_not_overwritten_by_a_report(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "my.yml"
    own.write_text("extends: production\n")
    assert main(["check", str(tree), "--policy", str(own), "--json", str(own)]) == ExitCode.FAILED
    assert "is one of the inputs" in capsys.readouterr().err
    assert own.read_text() == "extends: production\n"


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("", "is empty"), ("words", "holds no certificate in PEM")])
def test_a_certificate_that_is_none_is_refused_before_anything_is_opened(
    tree: Path, tmp_path: Path, content: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "db.pem"
    if content is not None:
        file.write_text(content)
    assert main(["check", str(tree), "--secure-boot-cert", str(file)]) == ExitCode.FAILED
    written = capsys.readouterr()
    assert (written.out, written.err.count("\n")) == ("", 1)
    assert f"{file} {said}" in written.err


def test_a_decryption_key_that_others_can_read_is_refused_before_anything_is_opened(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key.pem").write_text("secret")
    (tmp_path / "key.pem").chmod(0o644)
    assert main(["check", str(tree), "--decryption-key", str(tmp_path / "key.pem")]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert "chmod 600" in said.err


def test_a_cache_that_others_can_write_to_is_refused_in_one_sentence(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    assert main(["check", str(tree), "--cache", str(tmp_path / "cache")]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "who could decide there what checks say" in said.err
    assert list((tmp_path / "cache").iterdir()) == []


def test_several_artefacts_and_processes_give_the_report_of_one_process(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = root(tmp_path / "other")
    said = []
    for jobs in ("1", "2"):
        main(["check", str(tree), str(other), "--format", "json", "--jobs", jobs])
        said.append({key: value for key, value in json.loads(capsys.readouterr().out).items() if key != "time"})
    assert said[0] == said[1]
