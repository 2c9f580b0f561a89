"""The targets of `make fuzz`: each reads its seeds, and what a few random alterations make of them, without a surprise."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from fuzz.target import targets

ALTERED = 60
"""Inputs for each target; `make fuzz` finds more in more time."""


@pytest.mark.parametrize("name", targets())
def test_altered_inputs_end_in_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    target = targets()[name]
    seeds = list(target.seeds(tmp_path))
    for seed in seeds:
        target.run(seed)
    chance = random.Random(name)
    for _ in range(ALTERED):
        raw = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 3, 10))):
            at = chance.randrange(len(raw))
            if chance.random() < 0.2:
                del raw[at : at + chance.randrange(1, 64)]
            else:
                raw[at : at + 1] = chance.choice((b"\0", b"\xff", bytes([chance.randrange(256)])))
            if not raw:
                break
        with suppress(ArtefactError):
            target.run(bytes(raw))
