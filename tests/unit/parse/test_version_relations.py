"""Whole versions of packages, with epoch and revision; dpkg compares them, too."""

import subprocess
from itertools import product

import pytest

from everest_secure.parse.versions import RELATIONS, is_built_from, satisfies
from support.reference import require

VERSIONS = (
    "1",
    "1.0",
    "1.0-r0",
    "1.0-r10",
    "1.0-r9",
    "1.0~rc1",
    "1.0~rc1-r0",
    "1.0a",
    "1.0+git1",
    "1:0.9",
    "2.10",
    "2.9",
    "2026.02.1-r0",
    "0",
)


def test_dpkg_agrees_on_every_pair() -> None:
    require("dpkg")
    names = dict(zip(RELATIONS, ("lt", "le", "eq", "ge", "gt"), strict=True))
    for one, other in product(VERSIONS, repeat=2):
        relation = "<" if satisfies(one, "<", other) else ">" if satisfies(one, ">", other) else "="
        done = subprocess.run(["dpkg", "--compare-versions", one, names[relation], other], check=False)
        assert done.returncode == 0, (one, relation, other)
        assert satisfies(one, "<=", other) is (relation != ">")
        assert satisfies(one, ">=", other) is (relation != "<")


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("1:2.0-r0", "2.0"),
        ("2.0-rc1-r0.1", "2.0-rc1"),
        ("2.0+rc1-r0", "2.0-rc1"),
        ("1.0+git0+abcdef0123-r0", "1.0+git"),
        ("1.0+git0+abcdef0123-r0", "1.0+gitAUTOINC+abcdef0123"),
        ("1.0-r0", "1.0-r0"),
    ],
)
def test_oe_core_adds_to_a_source_s_version(version: str, source: str) -> None:
    assert is_built_from(version, source)


@pytest.mark.parametrize(
    ("version", "source"),
    [("1.0-r0", ""), ("1.01-r0", "1.0"), ("1.0+b10-r0", "1.0+b1"), ("1.0+git0+a-r0", "1.1+git"), ("11.0-r0", "1.0"), ("1x0-r0", "1.0")],
)
def test_one_version_is_not_another(version: str, source: str) -> None:
    assert not is_built_from(version, source)


def test_a_version_of_nothing_but_counters_takes_no_time() -> None:
    assert not is_built_from("1" * 255 + "x", "AUTOINC" * 36)
