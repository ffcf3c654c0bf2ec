import time
from pathlib import Path

import pytest

from chalicelib import pipeline
from chalicelib.pool import limits
from chalicelib.pool.parent import Parent
from tests.factories import a_job

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


@pytest.mark.slow
def test_a_pool_that_stops_sleeps_although_a_jobs_time_has_come() -> None:
    parent = Parent({"interactive": 1, "bulk": 0})
    parent.upcoming = [(0, "0" * 32)]
    parent.stopping_since = began = time.monotonic()
    parent._sleep(0.1)
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize(
    ("kind", "lost", "seconds"), [("url", 0, []), ("url", 1, [3]), ("compaction", 0, [60]), ("compaction", 1, [60])]
)
def test_the_cpu_time_of_a_job_is_that_of_its_kind(
    kind: str, lost: int, seconds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited: list[int] = []
    monkeypatch.setattr(limits, "limit_cpu", limited.append)
    limits.claimed(a_job(kind=kind, lost=lost))
    assert limited == seconds


@pytest.mark.slow
def test_two_large_pages_a_core_are_counted_at_once_and_small_ones_always(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(limits, "cores", lambda: 1)
    monkeypatch.setattr(limits, "GATE_SECONDS", 0.05)
    with limits.gate(a_job(), 10**6):
        with limits.gate(a_job(), 10**6):
            with pytest.raises(pipeline.Defer), limits.gate(a_job(), 10**6):
                pass
            with limits.gate(a_job(), 1000):
                pass
        with pytest.raises(pipeline.Defer), limits.gate(a_job(lost=1), 10):
            pass
    with limits.gate(a_job(lost=1), 10), pytest.raises(pipeline.Defer), limits.gate(a_job(), 10**6):
        pass


@pytest.mark.parametrize(
    ("memory", "cores", "expected"), [(2 << 30, 1, 512 << 20), (64 << 30, 2, 1 << 30), (GB, 4, 320 << 20)]
)
def test_what_a_job_may_map_fits_the_container(memory: int, cores: int, expected: int) -> None:
    assert limits.share_of_memory(memory, cores) == expected
