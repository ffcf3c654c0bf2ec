"""A worker of one thread in the test's own process: counts what is submitted, and wakes the requests that wait."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from chalicelib import jobs, pipeline, queue


@contextlib.contextmanager
def counting_at_once() -> Iterator[None]:
    """While this lasts, a submitted job is counted on a thread of its own as soon as it is on the queue."""
    threads: list[threading.Thread] = []

    def enqueued(new: list[jobs.Job], *, now: int) -> bool:
        for job in new:
            threads.append(threading.Thread(target=_count, args=(job.id,)))
            threads[-1].start()
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "enqueue", enqueued)
        yield
        for thread in threads:
            thread.join()


def _count(job_id: str) -> None:
    while (outcome := pipeline.count_page(job_id)).state == "deferred":
        time.sleep(max(0.05, (outcome.due_at or 0) / 1000 - time.time()))
    with contextlib.suppress(queue.QueueError):
        queue.tell_ended(job_id)
