import itertools
import shutil
import subprocess

import pytest

from everest_secure.parse.versions import compare, upstream

VERSIONS = ["1.2.0", "1.2", "1.2.0~rc1", "1.10.0", "1.9", "1.2.0a", "1.2.0+b1", "01.2.0", "1.2.0.1", "2", "1.2.0~~", "1..2", "1.2.0A"]


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is missing")
def test_versions_sort_as_dpkg_sorts_them() -> None:
    for one, other in itertools.product(VERSIONS, repeat=2):
        said = {
            word: subprocess.run(["dpkg", "--compare-versions", one, word, other], check=False).returncode == 0
            for word in ("lt", "eq", "gt")
        }
        assert said == {"lt": compare(one, other) < 0, "eq": compare(one, other) == 0, "gt": compare(one, other) > 0}, (one, other)


@pytest.mark.parametrize(
    ("version", "bare"),
    [
        ("1.3.0-1", "1.3.0"),
        ("1:1.3.0-r0", "1.3.0"),
        ("1.3.0", "1.3.0"),
        ("1.3.0-rc1-2", "1.3.0-rc1"),
        ("1.3.0+git0+abc-r0", "1.3.0+git0+abc"),
        ("", ""),
    ],
)
def test_the_upstream_version_is_without_epoch_and_revision(version: str, bare: str) -> None:
    assert upstream(version) == bare


def test_a_long_version_costs_nothing() -> None:
    assert compare("9" * 1_000_000, "1.2.0") > 0
