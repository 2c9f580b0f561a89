import json
from hashlib import sha256
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from support.proofs import content, entry, write
from support.reports import root


@pytest.fixture
def checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """A JSON report on an archive of a root, and the archive's digest."""
    import tarfile

    tree = root(tmp_path / "root")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(tree, ".")
    main(["check", str(tmp_path / "root.tar"), "-q", "--json", str(tmp_path / "report.json")])
    capsys.readouterr()
    return tmp_path / "report.json", sha256((tmp_path / "root.tar").read_bytes()).hexdigest()


def test_a_report_and_proofs_become_one_report_in_every_form(
    checked: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, digest = checked
    proofs = write(tmp_path / "proofs.json", content(entry("BOOT-01", outcome="failed", reason="it booted"), entry("FS-01"), sha256=digest))
    files = {name: tmp_path / f"merged.{name}" for name in ("json", "html", "junit", "sarif", "markdown")}
    code = main(["report", "merge", str(report), str(proofs), *(f"--{name}={file}" for name, file in files.items())])
    assert "1 failed, 46 not proven, 1 proven" in " ".join(capsys.readouterr().out.split())
    value = json.loads(files["json"].read_text())
    assert code == value["exit_code"]
    said = {result["id"]: result["proven"] for result in value["results"]}
    assert (said["BOOT-01"], said["FS-01"], said["FS-05"]) == ("failed", "proven", "shown by the artefact")
    assert all("it booted" in file.read_text() for file in files.values())


def test_without_proofs_a_report_is_shown_as_it_was(checked: tuple[Path, str], tmp_path: Path) -> None:
    main(["report", "merge", str(checked[0]), "-q", "--json", str(tmp_path / "again.json")])
    assert (tmp_path / "again.json").read_text() == checked[0].read_text()


def test_the_report_itself_is_not_overwritten(checked: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    before = checked[0].read_text()
    assert main(["report", "merge", str(checked[0]), "--json", str(checked[0])]) == ExitCode.FAILED
    assert "would be overwritten" in capsys.readouterr().err
    assert checked[0].read_text() == before


def test_proofs_of_another_image_are_refused(checked: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proofs = write(tmp_path / "proofs.json", content(entry("BOOT-01")))
    assert main(["report", "merge", str(checked[0]), str(proofs), "--html", str(tmp_path / "x.html")]) == ExitCode.FAILED
    assert "on which the report says nothing" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()
