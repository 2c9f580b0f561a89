"""The table of vectors that two programs are held to says what it means, and what is made of it is what OpenSSL reads."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from support.vectors import Vector, Workshop, sentence, table, vectors


def test_every_reason_is_known_and_every_one_is_tried() -> None:
    assert {vector.reason for vector in vectors() if vector.reason} == set(table()["reasons"])
    assert all(bool(vector.reason) == (vector.verdict == "refused") for vector in vectors())


def test_every_certificate_is_used_and_no_two_vectors_have_one_name() -> None:
    used = str(table()["vectors"]) + str(table()["store"]) + str([each.get("by") for each in table()["certificates"].values()])
    assert [name for name in table()["certificates"] if f"'{name}'" not in used] == []
    assert [name for name, count in Counter(vector.name for vector in vectors()).items() if count > 1] == []


@pytest.mark.parametrize("vector", vectors(), ids=sentence)
def test_openssl_reads_what_is_made_of_a_vector(vector: Vector, workshop: Workshop) -> None:
    """Every certificate that a vector names can be read by OpenSSL; every key of the TPM has the layout of one."""
    made = workshop.lay_out(vector)
    for path in (each for each in (made.offered, *made.store.rglob("*.pem")) if each is not None):
        if b"BEGIN CERTIFICATE" in path.read_bytes() and vector.reason != "unreadable" and "ocsp" not in path.parts:
            _openssl("crl2pkcs7", "-nocrl", "-certfile", path)
    for path in (each for each in (made.key, *made.store.rglob("*.tkey")) if each is not None):
        if b"TSS2" in path.read_bytes():
            text = _openssl("asn1parse", "-in", path)
            assert re.findall(r"prim: (\w+(?: \w+)?)", text) == [
                "OBJECT",
                "BOOLEAN",
                "INTEGER",
                "OCTET STRING",
                "OCTET STRING",
            ]


def _openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
