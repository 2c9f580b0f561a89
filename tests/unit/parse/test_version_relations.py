"""Whole versions of packages, with epoch and revision; dpkg compares them, too."""

import subprocess
from itertools import product

from everest_secure.parse.versions import RELATIONS, satisfies
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
