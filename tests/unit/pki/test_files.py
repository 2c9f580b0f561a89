import os
import stat
from pathlib import Path

import pytest

from everest_secure.pki import files
from everest_secure.pki.errors import PkiError


def test_a_new_file_has_exactly_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0, 0o077):
        before = os.umask(umask)
        try:
            files.write_new(tmp_path / f"{umask}", b"x", mode=0o640)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{umask}").stat().st_mode) == 0o640


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("x", "link"):
        with pytest.raises(FileExistsError):
            files.write_new(tmp_path / name, b"theirs", mode=0o600)
    assert (tmp_path / "x").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    final = tmp_path / "final"
    with files.new_directory(final) as staging:
        assert staging.parent == tmp_path
        assert stat.S_IMODE(staging.stat().st_mode) == 0o700
        (staging / "x").write_text("x")
        assert not final.exists()
    assert [path.name for path in final.iterdir()] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_directory_whose_making_fails_never_appears(tmp_path: Path, failure: type[BaseException]) -> None:
    def make() -> None:
        with files.new_directory(tmp_path / "final") as staging:
            (staging / "x").write_text("x")
            raise failure

    with pytest.raises(failure):
        make()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    final = tmp_path / "final"

    def make() -> None:
        with files.new_directory(final):
            final.mkdir()
            (final / "theirs").write_text("x")

    with pytest.raises(PkiError, match="exists already"):
        make()
    assert [path.name for path in final.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "cannot be read"),
        ("empty", "is empty"),
        ("huge", "has more than"),
        ("directory", "no regular file"),
        ("fifo", "no regular file"),
    ],
)
def test_what_cannot_be_a_key_file_is_refused_without_reading_it_whole(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "x"
    if kind == "empty":
        path.touch()
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(PkiError, match=words):
        files.read_bounded(path)
