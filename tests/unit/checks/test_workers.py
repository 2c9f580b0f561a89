import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from everest_secure.checks.workers import PIPE, Unit, cores, results
from everest_secure.errors import UserError


def unit(number: int, weight: int = 1) -> Unit[tuple[int, int]]:
    """Work that says who did it, twice."""
    return Unit(weight, lambda: iter([(number, os.getpid())] * 2))


@pytest.mark.parametrize("processes", [1, 2, 4, 9])
def test_every_unit_is_done_once_whatever_the_number_of_processes(processes: int) -> None:
    found = list(results([unit(number) for number in range(5)], processes=processes))
    assert sorted((position, value[0]) for position, value in found) == sorted([(n, n) for n in range(5)] * 2)
    assert len({value[1] for _, value in found}) == min(processes, 5)


def test_a_unit_stays_in_one_process_and_a_single_one_in_this() -> None:
    found = list(results([unit(number) for number in range(4)], processes=2))
    assert all(len({value[1] for position, value in found if position == number}) == 1 for number in range(4))
    assert {value[1] for _, value in results([unit(0)], processes=4)} == {os.getpid()}


def test_a_process_that_is_free_takes_what_is_waiting(tmp_path: Path) -> None:
    done = tmp_path / "done"

    def wait_for_the_last() -> Iterator[int]:
        while not done.exists():
            os.sched_yield()
        yield os.getpid()

    def last() -> Iterator[int]:
        done.touch()
        yield os.getpid()

    found = dict(results([Unit(3, wait_for_the_last), Unit(3, lambda: iter([os.getpid()])), Unit(1, last)], processes=2))
    assert found[2] == found[1] != found[0]


def ended() -> Iterator[int]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield 1


def broken() -> Iterator[int]:
    raise MemoryError


@pytest.mark.parametrize(
    ("run", "weight"), [pytest.param(ended, 2, id="ended"), pytest.param(broken, 2, id="broken"), pytest.param(broken, 0, id="broken-here")]
)
def test_a_process_that_ends_early_is_an_error_and_no_result_is_missed_in_silence(
    run: Callable[[], Iterator[int]], weight: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="ended before its work was done"):
        list(results([Unit(weight, run), Unit(1, lambda: iter([2]))], processes=2))
    assert capfd.readouterr() == ("", "")


def test_no_process_is_left_when_nobody_wants_the_rest() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield os.getpid()

    running = results([Unit(1, endless), Unit(1, endless)], processes=2)
    one = next(process for _, process in running if process != os.getpid())
    running.close()  # type: ignore[attr-defined]  # it is a generator
    with pytest.raises(ProcessLookupError):
        os.kill(one, 0)


def test_a_process_that_says_much_need_not_wait_for_this_one_nor_this_one_for_it() -> None:
    """A pipe holds 64 KiB by itself: the other would stand still until this one listens, which it does when that one is done."""
    done, told = os.pipe()

    def much() -> Iterator[bytes]:
        yield bytes(PIPE // 2)
        os.write(told, b"1")

    def wait_for_it() -> Iterator[bytes]:
        yield os.read(done, 1)

    found = dict(results([Unit(2, much), Unit(1, wait_for_it)], processes=2))
    os.close(done)
    os.close(told)
    assert [len(found[0]), found[1]] == [PIPE // 2, b"1"]


def test_there_is_always_a_process_to_use() -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))
