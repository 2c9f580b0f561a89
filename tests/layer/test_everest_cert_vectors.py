"""everest-cert judges as the checker does: every vector of the table, with keys of a TPM in software (CERT-08)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certified, certified
from support.layer import Bench
from support.shells import SHELLS, shell
from support.vectors import Vector, sentence, vectors

pytestmark = pytest.mark.layer

VECTORS = vectors()


@pytest.fixture(scope="module", params=SHELLS)
def charger(layer: Bench, request: pytest.FixtureRequest) -> Iterator[Certified]:
    with certified(layer, tuple(shell(request.param))) as made:
        yield made


def contents(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("vector", VECTORS, ids=sentence)
def test_the_verdict_is_that_of_the_table_and_so_is_the_reason(charger: Certified, vector: Vector) -> None:
    if os.geteuid() != 0 and vector.reason == "owner":
        pytest.skip("only root makes what belongs to somebody else")
    made = charger.workshop.lay_out(vector)
    made.store.parent.chmod(0o755)
    before = contents(made.store)
    words: list[str | Path] = [*vector.do.split()]
    if vector.kind:
        words.append(vector.kind)
    if made.key is not None:
        words[1:1] = ["--key", made.key]
    if made.offered is not None:
        words.append(made.offered)
    user = "root" if os.geteuid() == 0 else "everest"
    box = charger.box.with_store(made.store)
    done = box.call(*words, tpm=charger.tpm, user=user, EVEREST_CERT_PRODUCTION="1")
    after = contents(made.store)
    if vector.verdict == "accepted":
        assert (done.returncode, done.stderr) == (0, "")
        assert before.items() <= after.items() or vector.do == "install ca"
        assert box.done("check", tpm=charger.tpm, EVEREST_CERT_PRODUCTION="1").endswith(" are right\n")
    else:
        assert done.returncode == 1, done.stderr
        assert set(re.findall(r" \[([a-z-]+)\]$", done.stderr, re.MULTILINE)) == {vector.reason}
        assert after == before
