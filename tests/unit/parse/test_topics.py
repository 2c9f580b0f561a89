"""Filters of topics; libmosquitto says which topic a filter stands for."""

import ctypes
from collections.abc import Iterator
from itertools import product

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.mosquitto import parse_broker_config
from everest_secure.parse.topics import Grant, covers, parse_acl, passages

LEVELS = ("a", "b", "")


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libmosquitto.so.1")
    except OSError:
        pytest.skip("libmosquitto1 is not installed")


def stands_for(library: ctypes.CDLL, pattern: str, topic: str) -> bool:
    result = ctypes.c_bool(False)
    assert library.mosquitto_topic_matches_sub(pattern.encode(), topic.encode(), ctypes.byref(result)) == 0
    return result.value


def words(levels: tuple[str, ...], depth: int) -> Iterator[str]:
    for length in range(1, depth + 1):
        yield from (text for text in ("/".join(each) for each in product(levels, repeat=length)) if text)


def test_a_filter_covers_another_exactly_when_every_topic_of_it_is_its_own(library: ctypes.CDLL) -> None:
    topics = list(words(LEVELS, 4))
    filters = [text for text in words((*LEVELS[:2], "+", "#"), 3) if "#" not in text[:-1]]
    meant = {each: frozenset(topic for topic in topics if stands_for(library, each, topic)) for each in filters}
    for allowed, asked in product(filters, repeat=2):
        if covers(allowed, asked):
            assert meant[asked] <= meant[allowed], (allowed, asked)
        elif "#" not in asked:
            assert not meant[asked] <= meant[allowed], (allowed, asked)


def test_topics_of_the_broker_itself_are_nobody_elses() -> None:
    assert not covers("#", "$SYS/broker/clients")
    assert covers("$SYS/#", "$SYS/broker/clients")


def test_a_name_in_a_pattern_is_any_name() -> None:
    assert covers("clients/+/state", "clients/%u/state")
    assert not covers("clients/me/state", "clients/%u/state")


def test_an_access_list_says_who_may_do_what() -> None:
    text = "# all\ntopic read a b/#\nuser jane doe\ntopic c\ntopic write d\ntopic deny e\npattern readwrite f/%u\n"
    assert parse_acl(text, "acl") == (
        Grant("a b/#", True, False, "", 2),
        Grant("c", True, True, "jane doe", 4),
        Grant("d", False, True, "jane doe", 5),
        Grant("e", False, False, "jane doe", 6),
        Grant("f/%u", True, True, "*", 7),
    )


@pytest.mark.parametrize("text", ["topic", "everything\n", "user\n"])
def test_an_access_list_that_mosquitto_refuses_is_refused(text: str) -> None:
    with pytest.raises(ArtefactError, match="acl:1"):
        parse_acl(text, "acl")


def test_a_bridge_calls_topics_by_their_far_name() -> None:
    text = 'connection x\naddress 127.0.0.1\ntopic a\ntopic b in\ntopic # both 1 near/ far/\ntopic c out 0 "" far/\ntopic "" in 0 n f\n'
    (bridge,) = parse_broker_config(text, "x.conf").bridges
    assert [(each.topic, each.inward, each.outward) for each in passages(bridge)] == [
        ("a", False, True),
        ("b", True, False),
        ("far/#", True, True),
        ("far/c", False, True),
        ("f", True, False),
    ]
