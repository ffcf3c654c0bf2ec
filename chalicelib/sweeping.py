"""Find jobs that should be on the queue and are not, or whose worker is gone; put them there again or fail them.

Every change is one conditional write, so any number of sweeps may run at once: the one that wins it enqueues.
"""

import contextlib
import math
import time
from collections.abc import Sequence

import msgspec

from chalicelib import jobs, queue, settings
from chalicelib.errors import AttemptFailed, ErrorKind
from chalicelib.jobs import Job
from chalicelib.store import records
from chalicelib.store.records import Records

SWEEP_LIMIT = 1000  # jobs of one shard whose time has come, in one sweep
PAGE = 250  # jobs of one shard of a queue about which Redis is asked at once

WORKER_LOST = AttemptFailed(
    ErrorKind.WORKER_LOST,
    "Two workers were lost while they had this job: the page may cost more memory or time than a worker has.",
).recorded()


class Swept(msgspec.Struct):
    """What a sweep did, by job id, and when it must look again: (due_at, id) of jobs that wait for their time."""

    requeued: list[str] = msgspec.field(default_factory=list)
    failed: list[str] = msgspec.field(default_factory=list)
    upcoming: list[tuple[int, str]] = msgspec.field(default_factory=list)
    complete: bool = True
    ran: bool = True  # False: another sweep was at it


def sweep(*, seconds: float = 10.0, horizon: float = 0.0, pause: float = 0.0) -> Swept:
    """Find what is due: put it on the queue again, or fail it when its tries are used. One sweep runs at a time.

    Jobs that become due within ``horizon`` seconds are returned as ``upcoming``, for ``requeue`` at their time. Stops
    after ``seconds``, and says so in ``complete``; the next sweep goes on. No other starts within ``pause`` seconds.
    """
    store = jobs.table()
    swept = Swept()
    until = time.monotonic() + seconds
    now = store.now()
    try:
        cursors = queue.begin_sweep(seconds)
    except queue.QueueError:
        _requeue_due(store, now, horizon, until, swept)
        return swept
    if cursors is None:
        return Swept(complete=False, ran=False)
    try:
        _requeue_due(store, now, horizon, until, swept)
        for name in queue.QUEUES:
            for shard in range(records.SHARDS):
                place = f"{name}#{shard}"
                cursors[place] = _look_for_lost(store, name, shard, cursors.get(place), now, until, swept)
    except queue.QueueError:
        swept.complete = False  # Redis went away in the middle: nobody can tell what is lost
    finally:
        with contextlib.suppress(queue.QueueError):
            queue.end_sweep(cursors, pause)
    return swept


def _requeue_due(store: Records, now: int, horizon: float, until: float, swept: Swept) -> None:
    """Jobs whose lease is over or whose time has come."""
    for shard in range(records.SHARDS):
        due = store.due(records.TIMED, shard, before=now + int(horizon * 1000), limit=SWEEP_LIMIT)
        swept.upcoming += [entry for entry in due if entry[0] > now]
        _requeue_or_fail_all(store, [job_id for due_at, job_id in due if due_at <= now], until, swept)


def _look_for_lost(
    store: Records, name: str, shard: int, after: tuple[int, str] | None, now: int, until: float, swept: Swept
) -> tuple[int, str] | None:
    """Ask Redis for the next jobs that have been on a queue for a while; the place where the next sweep goes on.

    Where all of them are there, a page is enough: with a million that merely wait a sweep costs what it costs with a
    thousand, and some hundreds of sweeps see them all. Where some are lost, all may be, and it goes on.
    """
    if after is not None and after[0] > now:  # no sweep has come so far: somebody else wrote it
        after = None
    while True:
        due = store.due(name, shard, before=now, limit=PAGE, after=after)
        ids = [job_id for _, job_id in due]
        there = queue.waiting(name, ids) if ids else set()
        lost = [job_id for job_id in ids if job_id not in there]
        _requeue_or_fail_all(store, lost, until, swept)
        after = due[-1] if len(due) == PAGE else None
        if after is None or not lost or not swept.complete:
            return after


def _requeue_or_fail_all(store: Records, job_ids: Sequence[str], until: float, swept: Swept) -> None:
    for start in range(0, len(job_ids), 100):
        if time.monotonic() > until:
            swept.complete = False
            return
        _requeue_or_fail(store, job_ids[start : start + 100], swept)


def requeue(job_ids: Sequence[str]) -> Swept:
    """Put jobs whose time has come on the queue, or fail them when their tries are used."""
    swept = Swept()
    _requeue_or_fail_all(jobs.table(), job_ids, math.inf, swept)
    return swept


def _requeue_or_fail(store: Records, job_ids: Sequence[str], swept: Swept) -> None:
    now = store.now()
    again: list[Job] = []
    try:
        found = store.get_many(job_ids)
        for job_id in set(job_ids) - found.keys():
            # A thousand that nothing takes away would hide those behind them.
            store.remove_expired_from_due_index(job_id)
        for job in found.values():
            # The index may lag behind the record, so the record itself says whether it is due.
            if job.state in records.TERMINAL or job.due_at is None or job.due_at > now + 500:
                continue
            if job.state == records.QUEUED and store.note_requeued(job):
                again.append(job)
            elif job.state == records.RUNNING:
                _release_lost_job(store, job, again, swept)
    finally:  # where the store fails in the middle too: those that it noted would wait for a later sweep
        _enqueue(again, now, swept)


def _release_lost_job(store: Records, job: Job, again: list[Job], swept: Swept) -> None:
    if job.kind == "compaction":
        # It is never given up, since nobody else takes in what was accepted; but later each time, at most an hour.
        later = store.now() + min(15_000 * 2**job.lost, 3_600_000) if job.lost else 0
        if store.give_back(job, failed=True, not_before=later) and not later:
            again.append(job)
        return
    # A job that has lost a worker is tried once more, alone and with a tenth of the time; two are enough.
    if job.lost or job.failures + 1 >= settings.load().max_attempts:
        if store.fail_lost_job(job, WORKER_LOST):
            swept.failed.append(job.id)
            jobs.tell_ended(job.id)
    elif store.give_back(job, failed=True):
        again.append(job)


def recover(job_id: str, worker: str) -> Swept:
    """A worker has died: if it had this job, make the job due at once instead of when its lease is over."""
    swept = Swept()
    store = jobs.table()
    job = store.find(job_id)
    if job is None:
        return swept
    with contextlib.suppress(queue.QueueError):
        queue.release(job.queue, [(job.id, job.owner)], now=store.now())
    again: list[Job] = []
    if job.state == records.RUNNING and job.worker == worker:
        _release_lost_job(store, job, again, swept)
    elif job.state == records.QUEUED and job.not_before <= store.now() and store.note_requeued(job):
        again.append(job)
    _enqueue(again, store.now(), swept)
    return swept


def recover_all() -> Swept:
    """No worker lives, as the caller knows: what any of them had goes on at once, and counts no failure.

    For one machine, where the holder of the data folder's lock knows it.
    """
    swept = Swept()
    store = jobs.table()
    before = store.now() + settings.load().lease_seconds * 1000 + 1000
    for shard in range(records.SHARDS):
        ids = [job_id for _, job_id in store.due(records.TIMED, shard, before=before, limit=SWEEP_LIMIT)]
        held = [job for job in store.get_many(ids).values() if job.state == records.RUNNING]
        again = [job for job in held if store.give_back(job)]
        _enqueue(again, store.now(), swept)
    return swept


def _enqueue(again: Sequence[Job], now: int, swept: Swept) -> None:
    """Put jobs on the queue, each of which has noted when to look for it again if Redis does not hear of it."""
    if again and jobs.enqueue(again, now=now):
        swept.requeued += [job.id for job in again]
