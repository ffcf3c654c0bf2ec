"""The worker container's entry: ``python -m chalicelib.worker``.

One parent loads everything once, forks the workers of both queues, starts again what dies, and sweeps. Each worker is
RQ's SimpleWorker made lean, listening to exactly one queue: with two, RQ loses the job of a worker that is killed
between its pop and its registration. While it lives, the parent touches ``<queue name>-worker-alive`` in the temporary
folder.
"""

import contextlib
import gc
import heapq
import mmap
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import redis
import rq
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer
from rq.utils import now as rq_now
from rq.worker import WorkerStatus

from chalicelib import jobs, pipeline, queue, settings
from chalicelib.store import records

CPU_SECONDS = 30  # of one job; the kernel ends a process that uses more
MEMORY_BYTES = 1 << 30  # that a worker may map beyond what it was born with
WORKERS_A_CORE = 14
WORKER_BYTES = 40_000_000
JOBS_A_PROCESS = 1000  # then the process is replaced, so that no leak grows old
STOP_SECONDS = 110  # for what runs at SIGTERM; Fargate kills after 120
BACKOFF_MOST = 30.0  # seconds before a worker that dies young is started again
HEARTBEAT_SECONDS = 5.0
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_NEWS_BYTES = 48  # of a line that a worker sends its parent: written whole or not at all

logger = Logger(service="wordcounts-worker")
metrics = Metrics(namespace="Wordcounts")


# --- one worker process ---


class _State:
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
                if (entry := _State.ahead) is not None:
                    _State.ahead = None
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
            if _State.stop:  # it came while we were told to stop
                _give_back(connection, from_queue, job.id)
                raise StopRequested
            if _State.slot is not None:
                _State.slot.set(job.args[0])
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
    if _State.stop or os.getppid() != _State.parent:
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
            if _State.ahead is not None:
                _give_back(self.connection, self.queues[0], _State.ahead)
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
        _limit_cpu(CPU_SECONDS)
        try:
            outcome = pipeline.count_page(job.args[0], self.name)
        except MemoryError:
            logger.error("out of memory", job_id=job.args[0])
            os._exit(os.EX_SOFTWARE)  # the parent sees it and gives the job to another worker
        except jobs.Unavailable as error:
            logger.error("the record store is away", job_id=job.args[0], detail=str(error))
            outcome = pipeline.Outcome()
        _limit_cpu(None)  # else an idle worker's own seconds would add up, and end it after days
        with self.connection.pipeline(transaction=False) as pipe:
            self._note_end(job, execution, outcome, pipe)
            if more := not _State.stop:  # the next one comes along
                pipe.lmove(from_queue.key, from_queue.intermediate_queue_key)
            try:
                answers = pipe.execute()
                _State.ahead = answers[-1].decode() if more and answers[-1] is not None else None
            except UnicodeDecodeError:
                _put_aside_bytes(self.connection, from_queue)
            except redis.RedisError:
                pass  # the sweep finds what was moved and never seen
        if _State.slot is not None:
            _State.slot.set("")
        if outcome.due_at is not None and _State.news is not None:
            with contextlib.suppress(BlockingIOError):  # full: the sweep finds it too, a little later
                os.write(_State.news, f"{outcome.due_at:014} {job.args[0]}\n".encode())
        _report(job.args[0], outcome)

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


def _report(job_id: str, outcome: pipeline.Outcome) -> None:
    """One log line and one metrics line a job, without page text and without the address's query."""
    if outcome.job is None:
        logger.info("not to be had", job_id=job_id)
        return
    job, took = outcome.job, {part: round(seconds, 4) for part, seconds in outcome.seconds.items()}
    said: dict[str, Any] = {"job_id": job.id, "request_id": job.request_id, "state": outcome.state, "seconds": took}
    said |= {"attempt": job.attempt, "bytes": outcome.bytes, "kind": job.kind}
    if outcome.error is not None:
        said["error"] = outcome.error["type"]
    if outcome.fault is not None:
        fault = outcome.fault
        logger.error("job", exc_info=(type(fault), fault, fault.__traceback__), **said)
    else:
        logger.info("job", **said)
    metrics.add_dimension(name="state", value=outcome.state)
    if outcome.error is not None:
        metrics.add_dimension(name="error", value=str(outcome.error["type"]))
    metrics.add_metric(name="Jobs", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Bytes", unit=MetricUnit.Bytes, value=outcome.bytes)
    for part, seconds in outcome.seconds.items():
        metrics.add_metric(name=f"{part.capitalize()}Seconds", unit=MetricUnit.Seconds, value=seconds)
    metrics.flush_metrics()


def _limit_cpu(seconds: int | None) -> None:
    """Let the kernel end this process after so much more CPU time: C code does not hear Python's alarm."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard if seconds is None else int(used) + seconds + 1, hard))


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


def _work(queue_name: str, worker_name: str) -> int:
    """A worker process's whole life; its exit status."""
    if sys.platform == "linux":
        _limit_memory(MEMORY_BYTES)
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


# --- the parent ---


@dataclass(slots=True)
class _Place:
    """A place for one worker: whom it serves, who holds it now, and when it may be filled again."""

    queue: str
    slot: Slot
    pid: int = 0
    name: str = ""
    since: float = 0.0
    young_deaths: int = 0
    start_at: float = 0.0


class Parent:
    """Keeps the places filled, gives the job of a dead worker to another at once, and sweeps."""

    def __init__(self, sizes: dict[str, int]) -> None:
        memory = mmap.mmap(-1, max(1, sum(sizes.values())) * Slot.SIZE)
        wanted = [name for name, size in sizes.items() for _ in range(size)]
        self.places = [_Place(name, Slot(memory, number)) for number, name in enumerate(wanted)]
        self.stopping_since: float | None = None
        self.upcoming: list[tuple[int, str]] = []
        self.lost: list[tuple[str, str]] = []  # (job id, worker) of dead workers, until a record store heard of it
        self.next_sweep = 0.0
        self.killed = False
        self._awake, self._wake = os.pipe()  # signals
        self._heard, self._news = os.pipe()  # lines of due_at and job id, from workers that gave a job back

    def run(self) -> int:
        """Until SIGTERM or SIGINT: then let what runs finish. A second signal, a second later, ends at once."""
        self._handle_signals()
        self._wait_for_servers()
        pipeline.preload()
        gc.collect()
        gc.freeze()  # what is shared stays shared: the collector would touch, and so copy, every page
        while True:
            self._reap()
            self._recover()
            if self.stopping_since is None:
                self._fill()
                self._sweep()
            elif not any(place.pid for place in self.places):
                return 0
            elif time.monotonic() - self.stopping_since > STOP_SECONDS:
                self._kill()
            _alive_file().touch()
            self._sleep(0.2)

    def _handle_signals(self) -> None:
        for end in (self._awake, self._wake, self._heard, self._news):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that a death wakes the sleeper
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)

    def _on_stop(self, _signum: int, _frame: FrameType | None) -> None:
        if self.stopping_since is None:
            self.stopping_since = time.monotonic()
            self._signal_all(signal.SIGTERM)
        elif time.monotonic() - self.stopping_since > 1.0:  # make and a terminal send one signal twice
            self._kill()

    def _kill(self) -> None:
        self.killed = True
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, signum: int) -> None:
        for place in self.places:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.pid, signum)

    def _sleep(self, seconds: float) -> None:
        """Until ``seconds`` are over, a signal came or the next job's time has."""
        if self.upcoming and self.stopping_since is None:  # who stops leaves them to others
            seconds = min(seconds, max(0.0, (self.upcoming[0][0] - jobs.table().clock.now()) / 1000))
        ready, _, _ = select.select([self._awake, self._heard], [], [], seconds)
        if self._awake in ready:
            os.read(self._awake, 4096)
        if self._heard in ready:
            for line in os.read(self._heard, _NEWS_BYTES * 1000).decode("ascii").splitlines():
                due_at, job_id = line.split()
                heapq.heappush(self.upcoming, (int(due_at), job_id))

    def _wait_for_servers(self) -> None:
        """A worker that starts before its servers waits for them and says so."""
        pause = 0.2
        while self.stopping_since is None:
            health = jobs.health()
            if health["status"] == "ok":
                return
            if pause > 1:
                logger.warning("waiting for the servers", checks=health["checks"])
            self._sleep(pause)
            pause = min(pause * 2, 10.0)
            _alive_file().touch()

    def _fill(self) -> None:
        for place in self.places:
            if not place.pid and time.monotonic() >= place.start_at:
                self._start(place)

    def _start(self, place: _Place) -> None:
        # A signal to stop waits until both sides of the fork know each other: else it is heard by neither.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        if self.stopping_since is not None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            return
        place.name = f"{socket.gethostname()}.{os.getpid()}.{records.new_id()[:12]}"
        place.slot.set("")
        parent = os.getpid()
        sys.stdout.flush()
        place.pid = os.fork()
        place.since = time.monotonic()
        if place.pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            return
        status = os.EX_SOFTWARE
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for signum in _STOPPING:
                signal.signal(signum, _ask_to_stop)
            for end in (self._awake, self._wake, self._heard):
                os.close(end)
            _State.parent, _State.slot, _State.news, _State.stop = parent, place.slot, self._news, False
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            status = _work(place.queue, place.name)
        except redis.RedisError as error:
            logger.error("a worker lost Redis", detail=type(error).__name__)
        except BaseException:  # the process ends below, and its last words should not be lost
            logger.exception("a worker failed")
        finally:
            sys.stdout.flush()
            os._exit(status)

    def _reap(self) -> None:
        by_pid = {place.pid: place for place in self.places if place.pid}
        while by_pid:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in by_pid:
                self._note_death(by_pid[pid], status)

    def _note_death(self, place: _Place, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        job_id = place.slot.get()
        if job_id:
            self.lost.append((job_id, place.name))
        place.pid = 0
        if code == 0 and not job_id:
            place.young_deaths = 0
        else:
            if self.stopping_since is None:
                logger.error("a worker died", code=code, job_id=job_id, worker=place.name)
            young = time.monotonic() - place.since < 10
            place.young_deaths = place.young_deaths + 1 if young else 0
        pause = min(0.25 * 2**place.young_deaths, BACKOFF_MOST) if place.young_deaths else 0.0
        place.start_at = time.monotonic() + pause

    def _recover(self) -> None:
        """Give the jobs of dead workers to others: a crash costs its job seconds, not the rest of its lease."""
        while self.lost:
            try:
                swept = jobs.recover(*self.lost[0])
            except jobs.Unavailable as error:
                logger.warning("a dead worker's job waits for the record store", detail=str(error))
                return
            self.lost.pop(0)
            _say_swept(swept)

    def _sweep(self) -> None:
        load = settings.load()
        try:
            clock = jobs.table().clock
            ready = []
            while self.upcoming and self.upcoming[0][0] <= clock.now():
                ready.append(heapq.heappop(self.upcoming)[1])
            if ready:
                _say_swept(jobs.requeue(ready))
            if time.monotonic() >= self.next_sweep:
                self.next_sweep = time.monotonic() + load.sweep_seconds
                swept = jobs.sweep(seconds=load.sweep_seconds, horizon=load.sweep_seconds + 1.0)
                self.upcoming = sorted({*self.upcoming, *swept.upcoming})  # a sorted list is a heap
                _say_swept(swept)
        except jobs.Unavailable as error:
            logger.warning("the sweep waits for the record store", detail=str(error))


def _ask_to_stop(_signum: int, _frame: FrameType | None) -> None:
    _State.stop = True


def _say_swept(swept: jobs.Swept) -> None:
    if swept.requeued or swept.failed:
        logger.info("swept", requeued=len(swept.requeued), failed=len(swept.failed), complete=swept.complete)
        metrics.add_metric(name="Requeued", unit=MetricUnit.Count, value=len(swept.requeued))
        metrics.add_metric(name="GivenUp", unit=MetricUnit.Count, value=len(swept.failed))
        metrics.flush_metrics()


def _alive_file() -> Path:
    return Path(tempfile.gettempdir()) / settings.load().alive_file


def sizes(text: str, cores: int, memory: int) -> dict[str, int]:
    """How many workers each queue gets: ``8`` is eight interactive ones and a small bulk pool, empty is by measurement.

    By benchmarks/throughput a core keeps 14 workers busy when pages take 200 ms to come, and each holds 40 MB at most
    beside what they share; the machine's other half is for others.
    """
    if text.startswith(queue.INTERACTIVE):
        parts = dict(part.split(":") for part in text.split(","))
        return {name: int(parts[name]) for name in queue.QUEUES}
    number = int(text) if text else max(1, min(WORKERS_A_CORE * cores, memory // 2 // WORKER_BYTES))
    return {queue.INTERACTIVE: number, queue.BULK: max(1, number // 8)}


def _memory() -> int:
    """Bytes that this container, or else this machine, may use."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            return min(whole, int(Path(limit).read_text()))
    return whole


def main() -> int:
    """Run the pool that the settings ask for; the exit status."""
    try:
        load = settings.load()
    except settings.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG
    logger.setLevel(load.log_level)
    return Parent(sizes(load.worker_processes, os.cpu_count() or 1, _memory())).run()


if __name__ == "__main__":
    sys.exit(main())
