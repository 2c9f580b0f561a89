from pathlib import Path

import pytest

from everest_secure.build.errors import BuildError
from everest_secure.build.kas import Kas, complaint, require_files
from support.kas import Project, upstream


def refusal(project: Project, *files: Path) -> str:
    with pytest.raises(BuildError) as refused:
        Kas(files, project.directory / "work").configuration()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_kas_merges_includes_and_lock_files_without_fetching_anything(project: Project, tmp_path: Path) -> None:
    layer = upstream(tmp_path / "layer")
    project.kas_file("base.yml", {"repos": {"layer": {"url": layer.url, "branch": "scarthgap"}}})
    project.kas_file("base.lock.yml", {"overrides": {"repos": {"layer": {"commit": layer.commit}}}})
    top = project.kas_file("top.yml", {"header": {"version": 20, "includes": ["base.yml"]}, "target": "image", "env": {"KEY": None}})
    work = tmp_path / "work"
    configuration = Kas((top,), work).configuration()
    assert [repository.revision for repository in configuration.repositories] == [layer.commit]
    assert configuration.targets == ("image",)
    assert configuration.required == {"KEY"}
    assert not work.exists()


def test_the_files_alone_decide_what_is_built_and_key_files_are_passed_on(tmp_path: Path) -> None:
    environment = Kas((), tmp_path / "work", {"EVEREST_BUNDLE_KEY": "/keys/signer.key.pem"}).environment
    assert environment == {
        "EVEREST_BUNDLE_KEY": "/keys/signer.key.pem",
        "KAS_WORK_DIR": str(tmp_path / "work"),
        "KAS_BUILD_DIR": str(tmp_path / "work/build"),
        "KAS_TARGET": "",
        "KAS_TASK": "build",
    }


def test_a_later_file_wins(project: Project) -> None:
    one, two = project.kas_file("one.yml", {"target": "one"}), project.kas_file("two.yml", {"target": "two"})
    assert Kas((one, two), project.directory).configuration().targets == ("two",)


def test_an_unknown_key_is_named_with_its_file(project: Project) -> None:
    said = refusal(project, project.kas_file("bad.yml", {"machin": "qemux86-64"}))
    assert "'machin' was unexpected" in said
    assert "bad.yml" in said


def test_a_missing_include_is_named(project: Project) -> None:
    assert "no-such.yml" in refusal(project, project.kas_file("top.yml", {"header": {"version": 20, "includes": ["no-such.yml"]}}))


@pytest.mark.parametrize("content", ["", "a: [\n", "- a\n", "header:\n  version: 9999\n"])
def test_a_file_that_is_no_kas_file_is_refused_with_its_name(project: Project, content: str) -> None:
    assert "bad.yml" in refusal(project, project.kas_file("bad.yml", content))


def test_files_of_two_repositories_cannot_be_merged(project: Project, tmp_path: Path) -> None:
    upstream(tmp_path / "other", **{"other.yml": "header:\n  version: 20\n"})
    assert "same repository" in refusal(project, project.kas_file("one.yml", {}), tmp_path / "other" / "other.yml")


def test_a_failed_build_says_where_its_logs_lie(project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    layer = upstream(tmp_path / "layer")
    top = project.kas_file("top.yml", {"repos": {"layer": {"url": layer.url, "commit": layer.commit}}})
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(BuildError, match=r"the build failed .*/work/build$"):
        Kas((top,), work).build()
    assert (work / "layer" / "README").exists()
    assert "Did not find any init-build-env script" in capfd.readouterr().err


def test_a_complaint_is_all_errors_without_time_level_and_advice() -> None:
    log = (
        "2026-01-01 10:00:00 - INFO     - started\n"
        "2026-01-01 10:00:00 - ERROR    - Config file validation Error:\n"
        "3 is not of type 'string'\n"
        "2026-01-01 10:00:00 - ERROR    - For a list of supported configuration elements, see https://example.com\n"
        "2026-01-01 10:00:00 - ERROR    - wrong: a.yml\n"
    )
    assert complaint(log) == "3 is not of type 'string'; wrong: a.yml"


def test_a_complaint_has_no_traceback() -> None:
    log = "2026-01-01 10:00:00 - ERROR    - broken\nTraceback (most recent call last):\n  File x\nKeyError: 'x'\n"
    assert complaint(log) == "broken"


@pytest.mark.parametrize(("log", "last"), [("one\ntwo\n\n", "two"), ("", "it said nothing")])
def test_without_an_error_the_last_line_counts(log: str, last: str) -> None:
    assert complaint(log) == last


def test_a_kas_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no\.yml does not exist"):
        require_files([tmp_path / "no.yml"])


def test_a_file_name_with_a_colon_is_refused_because_kas_would_split_it(tmp_path: Path) -> None:
    (tmp_path / "a:b.yml").touch()
    with pytest.raises(BuildError, match="has a colon"):
        require_files([tmp_path / "a:b.yml"])
