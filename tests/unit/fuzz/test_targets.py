"""The targets of `make fuzz`, which are all readers of bytes: each reads its seeds, cut and altered in any way, without a surprise."""

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


@pytest.mark.parametrize("name", targets())
def test_inputs_cut_at_every_power_of_two_and_with_a_bit_flipped_there_end_in_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    target = targets()[name]
    for seed in target.seeds(tmp_path):
        for power in range(len(seed).bit_length()):
            place = min(1 << power, len(seed) - 1)
            flipped = bytearray(seed)
            flipped[place] ^= 1 << power % 8
            for damaged in (seed[: 1 << power], seed[: len(seed) - (1 << power)], bytes(flipped)):
                with suppress(ArtefactError):
                    target.run(damaged)
