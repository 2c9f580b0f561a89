"""Bytes among many are found as Python itself finds them, with the package that is fast and without it."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_secure.parse.literals import occurrence_of

WORDS = (b"PRIVATE KEY", b"/work")


@pytest.fixture(params=["as installed", "without the package"])
def missing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as installed":
        monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_found_wherever_it_lies(word: bytes) -> None:
    occurs = occurrence_of(word)
    for length in (0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 131_071, 131_072):
        assert occurs(bytes(length) + word)
        assert occurs(word + bytes(length))
        assert occurs(bytes(length) + word + bytes(length))


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_is_cut_or_changed_is_not_found(word: bytes) -> None:
    occurs = occurrence_of(word)
    assert not occurs(b"")
    assert not occurs(word[:-1] * 50_000)
    assert not occurs(word[1:] * 50_000)
    assert not occurs(word.lower() if word.isupper() else word.upper())


@given(before=st.lists(st.sampled_from([b"P", b"PRIVATE", b" ", b"KEY", b"PRIVATE KE", b"/", b"/wor", b"k", b"\0", b"\xff"]), max_size=40))
def test_a_word_is_found_among_its_own_pieces_as_python_finds_it(before: list[bytes]) -> None:
    content = b"".join(before)
    for word in WORDS:
        assert occurrence_of(word)(content) == (word in content)


@pytest.mark.usefixtures("missing")
def test_one_of_several_words_is_enough() -> None:
    occurs = occurrence_of(*WORDS)
    assert [occurs(each) for each in (b"x/work", b"PRIVATE KEYx", b"PRIVATE work")] == [True, True, False]
