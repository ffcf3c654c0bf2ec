"""A worker of one thread in the test's own process: counts what is submitted, and wakes the requests that wait."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from chalicelib import jobs, pipeline, queue


@contextlib.contextmanager
def counting_at_once() -> Iterator[None]:
    """While this lasts, a submitted job is counted on a thread of its own as soon as it is on the queue.

    A job that is given back is tried again, whether it was deferred or has failed: no sweep would do that here, and a
    corpus would wait for it. A fault of our own is raised at the end.
    """
    threads: list[threading.Thread] = []
    faults: list[BaseException] = []

    def count(job_id: str) -> None:
        due_at: int | None = 0
        try:
            while due_at is not None:
                time.sleep(max(0.0, due_at / 1000 - time.time()))
                outcome = pipeline.count_page(job_id)
                due_at = outcome.due_at
                faults.extend(filter(None, [outcome.fault]))
        except Exception as fault:  # noqa: BLE001 - raised below
            faults.append(fault)
        with contextlib.suppress(queue.QueueError):
            queue.tell_ended(job_id)

    def enqueued(new: list[jobs.Job], *, now: int) -> bool:
        for job in new:
            threads.append(threading.Thread(target=count, args=(job.id,)))
            threads[-1].start()
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "enqueue", enqueued)
        yield
        for thread in threads:
            thread.join()
    if faults:
        raise BaseExceptionGroup("faults of jobs", faults)
