import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from everest_secure.ending import REQUESTS, Terminated, heeding_requests, held_back


@pytest.fixture(autouse=True)
def as_by_default() -> Iterator[None]:
    """Whatever started the tests may ignore SIGHUP."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in REQUESTS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", REQUESTS)
def test_a_request_ends_the_work_and_a_second_one_does_not_disturb_what_is_undone(number: signal.Signals) -> None:
    undone = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            for each in REQUESTS:
                os.kill(os.getpid(), each)
            undone.append(number)

    with pytest.raises(Terminated, match=f"^told to end by {number.name}$"), heeding_requests():
        work()
    assert undone == [number]
    assert {signal.getsignal(each) for each in REQUESTS} == {signal.SIG_DFL}


def test_what_is_ignored_stays_so_as_nohup_wants_it() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with heeding_requests():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_another_thread_than_the_main_one_changes_no_handler() -> None:
    def seen() -> object:
        with heeding_requests():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor() as threads:
        assert threads.submit(seen).result() is signal.SIG_DFL


def test_what_must_not_be_interrupted_is_done_first() -> None:
    done = []

    def work() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append(1)
        done.append(2)

    with pytest.raises(Terminated), heeding_requests():
        work()
    assert done == [1]
