from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.staging import staging


def test_what_was_renamed_stays_and_the_rest_vanishes(tmp_path: Path) -> None:
    final = tmp_path / "made"
    with staging(final, error=UserError) as directory:
        assert (directory.parent, directory.stat().st_mode & 0o777) == (tmp_path, 0o700)
        (directory / "left over").write_text("x")
        (directory / "result").write_text("y")
        (directory / "result").rename(final)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), staging(tmp_path / "made", error=UserError) as directory:
        directory.write_text("a directory is no file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("place", "words"), [("absent", "does not exist; create it first"), ("/proc", "cannot be written to")])
def test_a_place_that_cannot_be_used_is_named(tmp_path: Path, place: str, words: str) -> None:
    with pytest.raises(UserError, match=words), staging(tmp_path / place / "made", error=UserError):
        pass
