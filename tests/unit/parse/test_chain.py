"""Chains, judged here and by openssl."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everest_secure.parse.chain import build_chain, chain_faults
from support.authority import issue

ROOT = issue("Root", authority=True)
SUB = issue("Sub", by=ROOT, authority=True, path_length=0)
LEAF = issue("Leaf", by=SUB)
OTHER = issue("Root", authority=True)
NO_AUTHORITY = issue("No authority", by=ROOT)
SUBSUB = issue("Sub sub", by=SUB, authority=True)
EXPIRED = issue("Expired", by=ROOT, authority=True, days=1, age=9)

CHAINS = {
    "good": (LEAF, [SUB], ROOT),
    "root itself": (ROOT, [], ROOT),
    "missing intermediate": (LEAF, [], ROOT),
    "another root of the same name": (LEAF, [SUB], OTHER),
    "issuer without authority": (issue("x", by=NO_AUTHORITY), [NO_AUTHORITY], ROOT),
    "path too long": (issue("x", by=SUBSUB), [SUBSUB, SUB], ROOT),
    "expired intermediate": (issue("x", by=EXPIRED), [EXPIRED], ROOT),
    "expired leaf": (issue("x", by=ROOT, days=1, age=9), [], ROOT),
    "leaf not valid yet": (issue("x", by=ROOT, age=-9), [], ROOT),
    "intermediates in another order": (issue("x", by=issue("y", by=ROOT, authority=True)), [SUB], ROOT),
}


@pytest.mark.parametrize("name", CHAINS)
def test_openssl_agrees_on_every_chain(name: str, tmp_path: Path) -> None:
    leaf, intermediates, anchor = CHAINS[name]
    ours = build_chain(leaf.certificate, intermediates=[each.certificate for each in intermediates], anchors=[anchor.certificate])
    faults = tuple(chain_faults(ours, at=datetime.now(UTC)))
    for file, pairs in (("leaf", [leaf]), ("sub", intermediates), ("root", [anchor])):
        (tmp_path / file).write_text("".join(pair.pem for pair in pairs))
    arguments: list[str | Path] = ["openssl", "verify", "-purpose", "any", "-CAfile", tmp_path / "root"]
    arguments += ["-untrusted", tmp_path / "sub"] if intermediates else []
    done = subprocess.run([*arguments, tmp_path / "leaf"], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (faults == ()), (faults, done.stdout + done.stderr)
