"""Caches of clients that end with their process: a forked child makes its own, since sockets must not be shared."""

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_clear: list[Callable[[], None]] = []


def clear_in_child(clear_one: Callable[[], None]) -> None:
    """Have this called in every forked child."""
    _clear.append(clear_one)


def cached_in_process(make: Callable[P, R]) -> Callable[P, R]:
    """Keep what a function makes, by its arguments, until this process forks: the child's cache is empty."""
    cached = functools.cache(make)
    clear_in_child(cached.cache_clear)
    return cached  # type: ignore[return-value]  # functools' own type knows no parameters


def clear() -> None:
    """Forget every client, as a child does right after the fork."""
    for clear_one in _clear:
        clear_one()


os.register_at_fork(after_in_child=clear)
