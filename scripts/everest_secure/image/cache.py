"""A bounded memory of what was read last."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Keeps the `limit` values used last; loading is left to the caller."""

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, 1)
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, load: Callable[[], Value]) -> Value:
        """Return the value of `key`, calling `load` when it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = load()
        self._kept[key] = value
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return value
