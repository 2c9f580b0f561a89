import os
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.report.output import prepare, print_report, write_reports
from support.reports import report


def test_reports_are_written_whole_with_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    files = {"json": tmp_path / "a.json", "html": tmp_path / "a.html"}
    mask = os.umask(0o027)
    try:
        write_reports(report(), files)
    finally:
        os.umask(mask)
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o640}
    assert files["html"].read_text().rstrip().endswith("</html>")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.html", "a.json"]


def test_an_old_report_is_gone_before_the_work_starts(tmp_path: Path) -> None:
    old = tmp_path / "old.html"
    old.write_text("all is well")
    prepare([old], inputs=[])
    assert not old.exists()


def test_a_report_never_replaces_what_is_being_checked(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_text("image")
    (tmp_path / "link").symlink_to(image)
    for name in (image, tmp_path / "link", tmp_path / "." / "disk.raw"):
        with pytest.raises(UserError, match="is one of the inputs"):
            prepare([name], inputs=[image])
    assert image.read_text() == "image"


def test_nothing_is_removed_when_one_of_several_files_is_wrong(tmp_path: Path) -> None:
    old = tmp_path / "old.html"
    old.write_text("all is well")
    with pytest.raises(UserError, match="does not exist; make it first"):
        prepare([old, tmp_path / "absent" / "a.json"], inputs=[])
    assert old.exists()


@pytest.mark.parametrize("other", ["a.json", "./a.json"])
def test_two_reports_in_one_file_are_refused(tmp_path: Path, other: str) -> None:
    with pytest.raises(UserError, match="two reports"):
        prepare([tmp_path / "a.json", tmp_path / other], inputs=[])


def test_a_directory_in_the_place_of_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no regular file"):
        prepare([tmp_path], inputs=[])


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(UserError, match=r"a\.json cannot be written"):
        write_reports(report(), {"json": tmp_path / "a.json"})
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_no_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(report(), name="table", detail=0)
    said = capsys.readouterr().out
    assert "66 requirements" in said
    assert "\x1b" not in said
