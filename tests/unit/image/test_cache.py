"""The bounded memory of what was read last."""

from everest_secure.image.cache import Cache


def test_what_was_used_last_is_kept_and_the_rest_loaded_again() -> None:
    loaded: list[int] = []

    def value(number: int) -> int:
        def load() -> int:
            loaded.append(number)
            return number * 10

        return cache.get(number, load)

    cache: Cache[int, int] = Cache(2)
    assert [value(number) for number in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert loaded == [1, 2, 3, 2]


def test_values_are_kept_up_to_a_weight_and_the_last_one_always() -> None:
    loaded: list[int] = []

    def value(size: int) -> bytes:
        def load() -> bytes:
            loaded.append(size)
            return bytes(size)

        return cache.get(size, load)

    cache: Cache[int, bytes] = Cache(10, weigh=len)
    for size in (4, 6, 4, 6, 11, 11, 4):
        value(size)
    assert loaded == [4, 6, 11, 4]
