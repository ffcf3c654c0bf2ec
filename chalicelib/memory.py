"""What this process may map, where parsers in C keep their trees. Linux alone bounds it; elsewhere nothing does."""

import contextlib
import ctypes
import functools
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any


def mapped() -> int:
    """Bytes that this process has mapped. Linux alone; costs a microsecond."""
    return int(os.pread(_statm(os.getpid()), 100, 0).split()[0]) * resource.getpagesize()


@functools.lru_cache(maxsize=1)
def _statm(_process: int) -> int:
    """The open file of a process' own numbers; a fork has another."""
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def at_most(more: int) -> Iterator[None]:
    """Within, what would map more than so many bytes besides raises MemoryError, in code in C as well."""
    if sys.platform != "linux":
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = mapped() + more
    resource.setrlimit(resource.RLIMIT_AS, (most if before == resource.RLIM_INFINITY else min(most, before), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def give_back() -> None:
    """Return what is free to the system: one small block on top can keep 200 MB below it. Takes some microseconds."""
    if _TRIM:
        _TRIM(0)


_TRIM: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
