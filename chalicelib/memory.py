"""What the C library's heap holds, where parsers in C keep their trees. Only glibc tells; elsewhere it is unknown."""

import ctypes
from typing import Any

_LIBC: Any = ctypes.CDLL(None)
_MUCH = 16_000_000  # bytes


class _Account(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    )


if _KNOWN := hasattr(_LIBC, "mallinfo2"):
    _LIBC.mallinfo2.restype = _Account


def in_use() -> int:
    """Bytes that are allocated; 0 where nothing is known. Costs a microsecond."""
    if not _KNOWN:
        return 0
    account = _LIBC.mallinfo2()
    return int(account.uordblks + account.hblkhd)


def give_back() -> None:
    """Return to the system what is free, where it is much: one small block on top can keep 200 MB below it."""
    if _KNOWN and _LIBC.mallinfo2().fordblks > _MUCH:
        _LIBC.malloc_trim(0)
