"""Find jobs that should be on the queue and are not, or whose worker is gone; put them there again or fail them.

Every change is one conditional write, so any number of sweeps may run at once: the one that wins it enqueues.
"""

import contextlib
import time
from collections.abc import Sequence

import msgspec

from chalicelib import jobs, queue, settings
from chalicelib.jobs import Job
from chalicelib.store import records
from chalicelib.store.records import Records

SLACK_MS = 5_000  # between a job's stamp and its arrival on the queue: longer than Redis's time-outs
SWEEP_LIMIT = 1000  # jobs of one shard in one sweep

WORKER_LOST = {
    "type": "worker-lost",
    "title": "The worker was lost",
    "detail": "Each worker that took this job was lost while it ran: the page may cost more memory or time than a "
    "worker has.",
}


class Swept(msgspec.Struct):
    """What a sweep did, by job id, and when it must look again: (due_at, id) of jobs that wait for their time."""

    requeued: list[str] = msgspec.field(default_factory=list)
    failed: list[str] = msgspec.field(default_factory=list)
    upcoming: list[tuple[int, str]] = msgspec.field(default_factory=list)
    complete: bool = True


def sweep(*, seconds: float = 10.0, horizon: float = 0.0) -> Swept:
    """Find what is due: put it on the queue again, or fail it when its tries are used. Any number may run at once.

    Jobs that become due within ``horizon`` seconds are returned as ``upcoming``, for ``requeue`` at their time. Stops
    after ``seconds``, and says so in ``complete``; the next sweep goes on.
    """
    store = jobs.table()
    swept = Swept()
    until = time.monotonic() + seconds
    now = store.now()
    lanes = [(records.TIMED, now + int(horizon * 1000))]
    lanes += [(name, bound) for name in queue.QUEUES if (bound := _lost_before(name, now)) is not None]
    for shard in range(records.SHARDS):
        for lane, before in lanes:
            due = store.due(lane, shard, before=before, limit=SWEEP_LIMIT)
            swept.upcoming += [entry for entry in due if entry[0] > now]
            ids = [job_id for due_at, job_id in due if due_at <= now]
            for start in range(0, len(ids), 100):
                if time.monotonic() > until:
                    swept.complete = False
                    return swept
                _mend(store, ids[start : start + 100], swept)
    return swept


def _lost_before(name: str, now: int) -> int | None:
    """Jobs of this queue that are due before this time are not on it any more; None when nobody can tell.

    The queue is first in, first out: whatever was put before its head is no longer there, so a job that merely waits
    is left alone.
    """
    try:
        head = queue.head_stamp(name)
    except queue.QueueError:
        return None
    return now if head is None else min(now, head + records.GRACE_MS - SLACK_MS)


def requeue(job_ids: Sequence[str]) -> Swept:
    """Put jobs whose time has come on the queue, or fail them when their tries are used."""
    swept = Swept()
    store = jobs.table()
    for start in range(0, len(job_ids), 100):
        _mend(store, job_ids[start : start + 100], swept)
    return swept


def _mend(store: Records, job_ids: Sequence[str], swept: Swept) -> None:
    now = store.now()
    again: list[Job] = []
    try:
        found = store.get_many(job_ids)
        for job_id in set(job_ids) - found.keys():
            store.pass_over(job_id)  # a thousand that nothing takes away would hide those behind them
        for job in found.values():
            # The index may lag behind the record, so the record itself says whether it is due.
            if job.state in records.TERMINAL or job.due_at is None or job.due_at > now + 500:
                continue
            if job.state == records.QUEUED and store.requeue(job):
                again.append(job)
            elif job.state == records.RUNNING:
                _take_back(store, job, again, swept)
    finally:  # where the store fails in the middle too: those that it noted would wait for a later sweep
        if again:
            jobs.enqueue(again, stamp=now)
            swept.requeued += [job.id for job in again]


def _take_back(store: Records, job: Job, again: list[Job], swept: Swept) -> None:
    attempts = settings.load().max_attempts
    if not store.take_back(job, max_attempts=attempts, error=WORKER_LOST):
        return
    if job.failures + 1 >= attempts:
        swept.failed.append(job.id)
        jobs.tell_ended(job.id)
    else:
        again.append(job)


def recover(job_id: str, worker: str) -> Swept:
    """A worker has died: if it had this job, make the job due at once instead of when its lease is over."""
    swept = Swept()
    store = jobs.table()
    job = store.get(job_id, gone=False)
    if job is None:
        return swept
    again: list[Job] = []
    if job.state == records.RUNNING and job.worker == worker:
        _take_back(store, job, again, swept)
    elif job.state == records.QUEUED and job.not_before <= store.now() and store.requeue(job):
        again.append(job)
    if again:
        jobs.enqueue(again, stamp=store.now())
        swept.requeued += [job.id for job in again]
    return swept


def recover_all() -> Swept:
    """No worker lives, as the caller knows: what any of them had goes on at once, and counts no failure.

    For one machine, where the holder of the data folder's lock knows it.
    """
    with contextlib.suppress(queue.QueueError):
        queue.put_back()
    swept = Swept()
    store = jobs.table()
    before = store.now() + settings.load().lease_seconds * 1000 + 1000
    for shard in range(records.SHARDS):
        ids = [job_id for _, job_id in store.due(records.TIMED, shard, before=before, limit=SWEEP_LIMIT)]
        held = [job for job in store.get_many(ids).values() if job.state == records.RUNNING]
        again = [job for job in held if store.give_back(job)]
        if again:
            jobs.enqueue(again, stamp=store.now())
            swept.requeued += [job.id for job in again]
    return swept
