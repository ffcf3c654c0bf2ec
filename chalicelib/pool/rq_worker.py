"""One worker process: RQ's SimpleWorker made lean, listening to exactly one queue.

RQ's monitors (``rq info``, rq-dashboard) see what they know of any worker. What comes next is decided by the dispatch
script, and only an entry's name is read: a job's id and its owner. Its payload is never read, so whoever can write to
Redis cannot name a function to run.
"""

import contextlib
import json
import mmap
import os
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Any

import redis
import rq
from rq.exceptions import StopRequested
from rq.job import Job as RQJob
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import now as rq_now
from rq.utils import utcformat
from rq.worker import WorkerStatus

from chalicelib import jobs, pipeline, queue
from chalicelib.dispatch import metering
from chalicelib.pool import limits
from chalicelib.pool.reporting import logger, report
from chalicelib.store import records

JOBS_A_PROCESS = 1000  # then the process is replaced, so that no leak grows old
HEARTBEAT_SECONDS = 5.0
CHARGED_SECONDS = 0.5
BLOCK_SECONDS = 2  # on the window, between two looks at the parent
RECONNECT_MOST = 5.0  # seconds between attempts while Redis is away
STARTED_SECONDS = 300  # after which RQ's registry of started jobs takes an entry for lost; longer than any job


class Slot:
    """Where a worker notes the job in its hands, in memory that its parent can read after its death."""

    SIZE = 64

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self._memory, self._at = memory, number * self.SIZE

    def set(self, job_id: str) -> None:
        """Note a job's id: 32 hexadecimal digits; none with an empty string."""
        self._memory[self._at : self._at + 32] = job_id.encode("ascii").ljust(32, b"\0")

    def get(self) -> str:
        """The noted id, or an empty string."""
        return self._memory[self._at : self._at + 32].rstrip(b"\0").decode("ascii")


@dataclass(slots=True)
class Link:
    """What a worker process shares with its parent, and with its own signal handler."""

    parent: int  # its process id
    slot: Slot
    retry_pipe: int  # to the parent: when a job that was given back is due
    stop: bool = False


class LeanWorker(rq.SimpleWorker):
    """SimpleWorker with three round trips a job, where RQ makes about twenty.

    What RQ's monitoring reads (state, counts, heartbeats, the started registry) stays true. Left out: the command
    channel (a thread and a connection each, and whoever can write to Redis could stop workers), signal handlers (RQ's
    unwind the stack in the middle of a transaction), the suspension check, results, callbacks, dependents, repeats and
    records of executions, which no job here has.
    """

    link: Link
    queue: str  # ours: interactive or bulk
    _beat_at = float("-inf")
    _was_idle = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._born_with = limits.resident() if sys.platform == "linux" else 0
        self.spent: dict[str, float] = {}  # CPU seconds by owner that were not charged yet
        self.ended: list[tuple[str, str]] = []  # entries that Redis has not heard the end of

    def run(self) -> None:
        """In place of RQ's loop: run jobs until told to stop, or as many as a process may."""
        self.register_birth()
        self.set_state(WorkerStatus.STARTED)
        try:
            for _ in range(JOBS_A_PROCESS):
                self._run_job(*self._next_job())
        except StopRequested:
            return
        finally:
            # Where Redis is away the registration expires by itself.
            with contextlib.suppress(redis.RedisError, queue.QueueError):
                if self.ended:
                    queue.release(self.queue, self.ended, now=jobs.now())
                self.register_death()

    def run_maintenance_tasks(self) -> None:
        """As RQ; what is broken in Redis must not take workers down one after the other."""
        try:
            super().run_maintenance_tasks()
        except redis.RedisError:
            raise
        except Exception as error:  # noqa: BLE001 - RQ decodes whatever lies in its registries; anyone may write there
            logger.warning("RQ's maintenance failed", fault=repr(error)[:300])
            self.last_cleaned_at = rq_now()

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """As RQ, but only when it changes."""
        if state != self._state:
            super().set_state(state, pipeline=pipeline)

    def _beat(self) -> None:
        """RQ's heartbeat in one round trip, and not more often than a monitor could tell."""
        self._stop_if_asked()  # here too: while Redis is away, the loop comes no further than this
        if time.monotonic() - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        with self.connection.pipeline(transaction=False) as pipe:
            self.heartbeat(pipeline=pipe)
            new_field, *_ = pipe.execute()
        if new_field:  # Redis has lost our registration with all the rest
            self.connection.delete(self.key)  # which the heartbeat has made: RQ takes it for another worker of our name
            self.register_birth()

    def _stop_if_asked(self) -> None:
        """Raise where stopping is safe: when told to, or when the parent is gone and nobody else would tell."""
        if self.link.stop or os.getppid() != self.link.parent:
            raise StopRequested

    def _next_job(self) -> tuple[str, str]:
        """The next job's id and owner; waits for it, through Redis's absence too."""
        pause = 0.5
        while True:
            try:
                self._beat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()
                entry = self._next_entry()
                pause = 0.5
            except (redis.ConnectionError, redis.TimeoutError, queue.QueueError) as error:
                logger.warning("Redis is away", detail=type(error).__name__, again_in=pause)
                time.sleep(pause)
                pause = min(pause * 2, RECONNECT_MOST)
                continue
            if entry is None:
                continue
            if (job := queue.job_of(entry)) is None:
                self._put_aside(entry)
                continue
            self.link.slot.set(job[0])
            return job

    def _next_entry(self) -> bytes | None:
        """Ask for the next entry; where there is none, block on the window for a while."""
        self._stop_if_asked()
        entry = queue.next_entry(
            self.queue, self.name, self.ended, now=jobs.now(), was_idle=self._was_idle, client=self.connection
        )
        self.ended.clear()
        if entry is None:
            self.set_state(WorkerStatus.IDLE)
            found = self.connection.blpop([self.queues[0].key], BLOCK_SECONDS)
            entry = found[1] if found else None
            self._was_idle = entry is None
        else:
            self._was_idle = False
        return entry

    def _put_aside(self, entry: bytes) -> None:
        """Keep what is no entry of ours where it can be looked at: the last thousand, their hashes for a day."""
        aside = f"{self.queues[0].key}:aside"
        with self.connection.pipeline() as pipe:
            pipe.lpush(aside, entry)
            pipe.ltrim(aside, 0, 999)
            pipe.expire(b"rq:job:" + entry, 86_400)
            pipe.execute()
        logger.warning("quarantined a queue entry", entry=repr(entry[:100]), queue=self.queues[0].name)

    def _run_job(self, job_id: str, owner: str) -> None:
        """Run one job between two pipelines. Redis only watches: where it fails, the job runs all the same."""
        key, execution, began = RQJob.key_for(f"{job_id}-{owner}"), f"{job_id}-{owner}:{secrets.token_hex(8)}", rq_now()
        started = StartedJobRegistry(queue=self.queues[0])
        with self.connection.pipeline(transaction=False) as pipe:
            self.set_state(WorkerStatus.BUSY, pipeline=pipe)
            pipe.hset(key, mapping=self._shown(job_id, utcformat(began)))
            pipe.zadd(started.key, {execution: int(began.timestamp()) + STARTED_SECONDS})
            with contextlib.suppress(redis.RedisError):
                pipe.execute()
        used = time.process_time()
        outcome = self._outcome(job_id)
        self._charge(owner, time.process_time() - used)
        self.ended.append((job_id, owner))
        with self.connection.pipeline(transaction=False) as pipe:
            self._note_end(outcome, pipe)
            pipe.delete(key)
            pipe.zrem(started.key, execution)
            self.increment_total_working_time(rq_now() - began, pipe)
            with contextlib.suppress(redis.RedisError):
                pipe.execute()
        self.link.slot.set("")
        if outcome.due_at is not None:
            with contextlib.suppress(BlockingIOError):  # full: the sweep finds it too, a little later
                os.write(self.link.retry_pipe, f"{outcome.due_at:014} {job_id}\n".encode())
        report(job_id, outcome)
        if self._has_grown(outcome.bytes):
            self.link.stop = True  # what a large page leaves behind is given back by a new process alone

    def _has_grown(self, page_bytes: int) -> bool:
        """Whether a large page has left much memory in this process."""
        if page_bytes < limits.GATE_BYTES or sys.platform != "linux":
            return False
        return limits.resident() - self._born_with > limits.KEPT_BYTES

    def _charge(self, owner: str, seconds: float) -> None:
        """Count an owner's CPU time against its points, in parts large enough to be worth a call."""
        self.spent[owner] = spent = self.spent.get(owner, 0.0) + seconds
        if spent >= CHARGED_SECONDS:
            del self.spent[owner]
            metering.charge(owner, spent)

    def _outcome(self, job_id: str) -> pipeline.Outcome:
        limits.limit_cpu(limits.CPU_SECONDS)
        try:
            return pipeline.count_page(job_id, self.name, claimed=limits.claimed, gate=limits.gate)
        except MemoryError:
            logger.error("out of memory", job_id=job_id)
            os._exit(os.EX_SOFTWARE)  # the parent sees it and gives the job to another worker
        except jobs.Unavailable as error:
            logger.error("the record store is away", job_id=job_id, detail=str(error))
            return pipeline.Outcome()
        finally:
            limits.limit_cpu(None)  # else an idle worker's own seconds would add up, and end it after days

    def _shown(self, job_id: str, at: str) -> dict[str, str]:
        """What RQ's monitors show of a job that runs."""
        return {
            "data": json.dumps([queue.FUNCTION, None, [job_id], {}]),
            "origin": self.queues[0].name,
            "status": "started",
            "created_at": at,
            "enqueued_at": at,
            "started_at": at,
            "last_heartbeat": at,
            "worker_name": self.name,
        }

    def _note_end(self, outcome: pipeline.Outcome, pipe: Any) -> None:
        if outcome.job is not None and outcome.state in records.TERMINAL:
            pipe.publish(queue.ended_channel(outcome.job.id), b"")
        if outcome.fault is None:
            self.increment_successful_job_count(pipeline=pipe)
        else:
            self.increment_failed_job_count(pipeline=pipe)


def work(queue_name: str, worker_name: str, link: Link) -> int:
    """A worker process's whole life; its exit status."""
    if sys.platform == "linux":
        limits.limit_memory(limits.share_of_memory(limits.memory(), limits.cores()))
        limits.no_core_dumps()
        limits.end_with_parent()
    connection = queue.new_connection()
    # By worker_ttl RQ bounds what a silently dead connection costs: it gives up after ttl - 5 s.
    worker = LeanWorker(
        [rq.Queue(queue.name(queue_name), connection=connection, serializer=JSONSerializer)],
        name=worker_name,
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=17,
    )
    worker.link, worker.queue = link, queue_name
    worker.log.setLevel("WARNING")
    worker.run()
    return 0
