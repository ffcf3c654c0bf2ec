"""Values kept in this process, at most so many bytes of them. Pure."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """The values that were used last, as far as ``limit`` bytes go; ``weigh`` says how many one takes.

    Threads may share it. Values are made one at a time, since making one holds Python's lock anyway.
    """

    def __init__(self, limit: int, weigh: Callable[[T], int]) -> None:
        self.limit = limit
        self.bytes = 0
        self._weigh = weigh
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """The value, or None where it is not kept."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def made(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value, made now where it is not kept; one that is larger than the limit is not kept."""
        with self._making:
            value = self.get(key)
            if value is None:
                self._shrink(self.limit // 4)  # a large value in the making takes more memory than afterwards
                value = make()
                self._keep(key, value)
            return value

    def _keep(self, key: Hashable, value: T) -> None:
        size = self._weigh(value)
        if size > self.limit:
            return
        with self._lock:
            self._kept[key] = value, size
            self.bytes += size
        self._shrink(self.limit)

    def _shrink(self, limit: int) -> None:
        with self._lock:
            while self.bytes > limit:
                self.bytes -= self._kept.popitem(last=False)[1][1]
