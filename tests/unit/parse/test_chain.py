"""Chains, judged here and by openssl."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from everest_secure.errors import ArtefactError
from everest_secure.parse.chain import MAX_OFFERED, Chain, build_chain, chain_faults, code_signing_faults, key_faults
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


def test_more_certificates_than_any_chain_needs_are_not_searched() -> None:
    with pytest.raises(ArtefactError, match="more than 1000 certificates"):
        build_chain(LEAF.certificate, intermediates=[SUB.certificate] * MAX_OFFERED, anchors=[ROOT.certificate])


def test_a_curve_is_as_strong_as_the_rsa_key_that_is_asked_for() -> None:
    chain = Chain((issue("x", key=ec.generate_private_key(ec.SECP256R1())).certificate,), anchored=True)
    assert list(key_faults(chain, rsa_bits=4096)) == []
    (fault,) = key_faults(chain, rsa_bits=7680)
    assert fault.what == "the EC key of 'CN=x' has 256 bits, at least 384 are wanted"
    assert [list(key_faults(chain, rsa_bits=bits)) == [] for bits in (0, 2048, 3072, 4097, 8192)] == [True, True, True, False, False]


def test_only_a_leaf_for_code_signing_signs_bundles() -> None:
    good = Chain((LEAF.certificate, SUB.certificate, ROOT.certificate), anchored=True)
    assert list(code_signing_faults(good)) == []
    authority = [fault.what for fault in code_signing_faults(Chain((SUB.certificate, ROOT.certificate), anchored=True))]
    assert [what.partition(":")[0] for what in authority] == [
        "'CN=Sub' is not for code signing",
        "'CN=Sub' may not sign",
        "'CN=Sub' is an authority and signs no bundles itself",
    ]
