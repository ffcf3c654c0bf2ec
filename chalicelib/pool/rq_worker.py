"""One worker process: RQ's SimpleWorker made lean, listening to exactly one queue.

With two, RQ loses the job of a worker that is killed between its pop and its registration.
"""

import contextlib
import mmap
import os
import sys
import time
from typing import Any

import redis
import rq
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer
from rq.utils import now as rq_now
from rq.worker import WorkerStatus

from chalicelib import jobs, pipeline, queue
from chalicelib.pool import limits
from chalicelib.pool.reporting import logger, report
from chalicelib.store import records

JOBS_A_PROCESS = 1000  # then the process is replaced, so that no leak grows old
HEARTBEAT_SECONDS = 5.0


class State:
    """What the signal handler and the queue class of this process share."""

    stop = False
    parent = 0
    slot: "Slot | None" = None
    news: int | None = None  # a pipe to the parent
    ahead: str | None = None  # the entry that came with the end of the job before


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


class OneFunctionQueue(rq.Queue):
    """RQ's queue as a worker sees it: stops where it is safe, and puts aside what it should not run."""

    @classmethod
    def dequeue_any(cls, queues: Any, timeout: int | None, connection: Any, **classes: Any) -> Any:
        """The next job that asks for the one function; ``StopRequested`` before it blocks, never in the middle."""
        while True:
            _stop_if_asked()
            try:
                if (entry := State.ahead) is not None:
                    State.ahead = None
                    found = cls._fetch_dequeued_job(connection, queues[0].key, entry, **classes)
                    if found is None:
                        continue
                else:
                    found = super().dequeue_any(queues, timeout, connection=connection, **classes)
            except (redis.RedisError, rq.exceptions.DequeueTimeout, StopRequested):
                raise
            except UnicodeDecodeError:  # an entry that is not even text
                _put_aside_bytes(connection, queues[0])
                continue
            except Exception as error:
                # RQ names the entry whose hash it could not read; anything else is not ours to swallow.
                if not hasattr(error, "job_id"):
                    raise
                _put_aside(connection, queues[0], str(error.job_id), type(error).__name__)
                continue
            if found is None:
                return None
            job, from_queue = found
            if (fault := _unfit(job)) is not None:
                _put_aside(connection, from_queue, job.id, fault)
                continue
            if State.stop:  # it came while we were told to stop
                _give_back(connection, from_queue, job.id)
                raise StopRequested
            if State.slot is not None:
                State.slot.set(job.args[0])
            return found

    @classmethod
    def _fetch_dequeued_job(
        cls, connection: Any, queue_key: str, job_id: str, serializer: Any = None, **classes: Any
    ) -> Any:
        """As RQ, but an entry of ours says all that is taken from the queue: its payload is not even read."""
        if (ours := queue.job_of(job_id)) is None:
            return super()._fetch_dequeued_job(connection, queue_key, job_id, serializer=serializer, **classes)
        job = RQJob(job_id, connection=connection, serializer=serializer)
        job.func_name, job.args, job.kwargs = queue.FUNCTION, (ours,), {}
        from_queue = cls.from_queue_key(queue_key, connection=connection, serializer=serializer)
        job.origin = from_queue.name
        return job, from_queue


def _give_back(connection: Any, to_queue: rq.Queue, entry: str) -> None:
    """Put an entry back to the head of its queue, where it was."""
    with connection.pipeline() as pipe:
        pipe.lrem(to_queue.intermediate_queue_key, 1, entry)
        pipe.lpush(to_queue.key, entry)
        pipe.execute()


def _stop_if_asked() -> None:
    """Raise where stopping is safe: when told to, or when the parent is gone and nobody else would tell."""
    if State.stop or os.getppid() != State.parent:
        raise StopRequested


def _unfit(job: RQJob) -> str | None:
    """Why a payload must not be run, or None. Only a job's id is taken from it, everything else from the record."""
    try:
        function, args, kwargs = job.func_name, job.args, job.kwargs
    except rq.exceptions.DeserializationError:
        return "not JSON"
    if function != queue.FUNCTION:
        return "another function"
    if kwargs or not isinstance(args, list | tuple) or len(args) != 1:
        return "other arguments"
    if not isinstance(args[0], str) or not queue.JOB_ID.fullmatch(args[0]):
        return "not a job's id"
    return None


def _put_aside(connection: Any, from_queue: rq.Queue, entry: str, fault: str) -> None:
    """Take an entry off the queue for good; the last thousand can be looked at, their hashes for a day."""
    aside = f"{from_queue.key}:aside"
    with connection.pipeline() as pipe:
        pipe.lrem(from_queue.intermediate_queue_key, 1, entry)
        pipe.lpush(aside, entry)
        pipe.ltrim(aside, 0, 999)
        pipe.expire(RQJob.key_for(entry), 86_400)
        pipe.execute()
    logger.warning("put aside from the queue", entry=entry[:100], fault=fault, queue=from_queue.name)


def _put_aside_bytes(connection: Any, from_queue: rq.Queue) -> None:
    for entry in connection.lrange(from_queue.intermediate_queue_key, 0, -1):
        try:
            entry.decode()
        except UnicodeDecodeError:
            connection.lrem(from_queue.intermediate_queue_key, 1, entry)
            logger.warning("put aside from the queue", entry=repr(entry[:100]), fault="not text", queue=from_queue.name)


class LeanWorker(rq.SimpleWorker):
    """SimpleWorker with two round trips a job around the work, where RQ makes about twenty.

    What RQ's monitoring reads (state, current job, counts, heartbeats, the started registry) stays true. Left out:
    the command channel (a thread and a connection each, and whoever can write to Redis could stop workers), the
    suspension check, results, callbacks, dependents and repeats, which no job here has.
    """

    queue_class = OneFunctionQueue
    max_connection_wait_time = 5.0
    _beat_at = float("-inf")

    def bootstrap(self, *_: Any, **__: Any) -> None:
        """Register, without the command channel and without RQ's own log handlers."""
        self.register_birth()
        self.set_state(WorkerStatus.STARTED)

    def teardown(self) -> None:
        """Unregister; where Redis is away the registration expires by itself."""
        with contextlib.suppress(redis.RedisError):
            if State.ahead is not None:
                _give_back(self.connection, self.queues[0], State.ahead)
            self.register_death()

    def check_for_suspension(self, burst: bool) -> None:
        """Not served: one round trip a job for a switch that nobody uses here."""

    def run_maintenance_tasks(self) -> None:
        """As RQ; what is broken in Redis must not take workers down one after the other."""
        try:
            super().run_maintenance_tasks()
        except (redis.RedisError, StopRequested):
            raise
        except Exception as error:  # noqa: BLE001 - RQ decodes whatever lies in its registries; anyone may write there
            logger.warning("RQ's maintenance failed", fault=repr(error)[:300])
            self.last_cleaned_at = rq_now()

    def _install_signal_handlers(self) -> None:
        """Our handlers are installed before RQ's loop; RQ's unwind the stack in the middle of a transaction."""

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """As RQ, but only when it changes."""
        if state != self._state:
            super().set_state(state, pipeline=pipeline)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ARG002 - RQ's signature
        """As RQ in one round trip, and not more often than a monitor could tell."""
        _stop_if_asked()  # here too: while Redis is away, RQ's loop comes no further than this
        if time.monotonic() - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        with self.connection.pipeline(transaction=False) as pipe:
            super().heartbeat(timeout, pipeline=pipe)
            new_field, *_ = pipe.execute()
        if new_field:  # Redis has lost our registration with all the rest
            self.register_birth()

    def execute_job(self, job: RQJob, from_queue: rq.Queue) -> None:
        """Run one job between two pipelines. Redis only watches: where it fails, the job runs all the same."""
        with self.connection.pipeline(transaction=False) as pipe:
            execution = self._note_start(job, from_queue, pipe)
            with contextlib.suppress(redis.RedisError):
                pipe.execute()
        limits.limit_cpu(limits.CPU_SECONDS)
        try:
            outcome = pipeline.count_page(job.args[0], self.name)
        except MemoryError:
            logger.error("out of memory", job_id=job.args[0])
            os._exit(os.EX_SOFTWARE)  # the parent sees it and gives the job to another worker
        except jobs.Unavailable as error:
            logger.error("the record store is away", job_id=job.args[0], detail=str(error))
            outcome = pipeline.Outcome()
        limits.limit_cpu(None)  # else an idle worker's own seconds would add up, and end it after days
        with self.connection.pipeline(transaction=False) as pipe:
            self._note_end(job, execution, outcome, pipe)
            if more := not State.stop:  # the next one comes along
                pipe.lmove(from_queue.key, from_queue.intermediate_queue_key)
            try:
                answers = pipe.execute()
                State.ahead = answers[-1].decode() if more and answers[-1] is not None else None
            except UnicodeDecodeError:
                _put_aside_bytes(self.connection, from_queue)
            except redis.RedisError:
                pass  # the sweep finds what was moved and never seen
        if State.slot is not None:
            State.slot.set("")
        if outcome.due_at is not None and State.news is not None:
            with contextlib.suppress(BlockingIOError):  # full: the sweep finds it too, a little later
                os.write(State.news, f"{outcome.due_at:014} {job.args[0]}\n".encode())
        report(job.args[0], outcome)

    def _note_start(self, job: RQJob, from_queue: rq.Queue, pipe: Any) -> Execution:
        ttl = self.get_heartbeat_ttl(job)
        execution = Execution.create(job, ttl, pipeline=pipe, worker_name=self.name)
        self.executions[execution.id] = execution
        self.set_state(WorkerStatus.BUSY, pipeline=pipe)
        job.prepare_for_execution(self.name, pipeline=pipe)
        pipe.lrem(from_queue.intermediate_queue_key, 1, job.id)
        return execution

    def _note_end(self, job: RQJob, execution: Execution, outcome: pipeline.Outcome, pipe: Any) -> None:
        if outcome.job is not None and outcome.state in records.TERMINAL:
            pipe.publish(queue.ended_channel(outcome.job.id), b"")
        job.ended_at = rq_now()
        pipe.delete(job.key)
        self.cleanup_execution(job, pipeline=pipe, execution=execution)
        if outcome.fault is None:
            self.increment_successful_job_count(pipeline=pipe)
        else:
            self.increment_failed_job_count(pipeline=pipe)
        if job.started_at:
            self.increment_total_working_time(job.ended_at - job.started_at, pipe)
        self.set_state(WorkerStatus.IDLE, pipeline=pipe)


def work(queue_name: str, worker_name: str) -> int:
    """A worker process's whole life; its exit status."""
    if sys.platform == "linux":
        limits.limit_memory(limits.MEMORY_BYTES)
        limits.end_with_parent()
    connection = queue.new_connection()
    # worker_ttl bounds what a silently dead connection costs: RQ blocks for ttl - 15 s and gives up 10 s later.
    worker = LeanWorker(
        [OneFunctionQueue(queue.name(queue_name), connection=connection, serializer=JSONSerializer)],
        name=worker_name,
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=17,
        log_job_description=False,
    )
    worker.log.setLevel("WARNING")
    worker.work(max_jobs=JOBS_A_PROCESS)
    return 0
