import re
import shutil
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.space import require_space


def test_enough_space_is_silent_and_the_directory_is_there(tmp_path: Path) -> None:
    require_space(tmp_path / "a/b", 1, "a test")
    assert (tmp_path / "a/b").is_dir()


def test_too_little_space_is_one_sentence_with_both_figures(tmp_path: Path) -> None:
    needed = shutil.disk_usage(tmp_path).total + 1_000_000
    expected = rf"^a test needs {needed / 1e6:,.0f} MB in {re.escape(str(tmp_path))} and only [\d,]+ MB are free; free some space or use another disk$"
    with pytest.raises(UserError, match=expected):
        require_space(tmp_path, needed, "a test")
