import time

import pytest

from chalicelib.pool import limits
from chalicelib.pool.parent import Parent

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "cores", "memory", "expected"),
    [
        ("8", 2, GB, (8, 1)),
        ("interactive:28,bulk:4", 1, GB, (28, 4)),
        ("interactive:0,bulk:3", 1, GB, (0, 3)),
        ("", 2, 8 * GB, (28, 3)),
        ("", 2, GB, (12, 1)),
        ("", 64, 2 * GB, (25, 3)),
        ("", 1, 10_000_000, (1, 1)),
    ],
)
def test_a_pool_is_as_large_as_said_or_as_cores_and_memory_bear(
    text: str, cores: int, memory: int, expected: tuple[int, int]
) -> None:
    assert tuple(limits.sizes(text, cores, memory).values()) == expected


def test_a_machine_has_memory() -> None:
    assert limits.memory() > 100_000_000


def test_a_pool_that_stops_sleeps_although_a_jobs_time_has_come() -> None:
    parent = Parent({"interactive": 1, "bulk": 0})
    parent.upcoming = [(0, "0" * 32)]
    parent.stopping_since = began = time.monotonic()
    parent._sleep(0.1)
    assert time.monotonic() - began >= 0.1
