"""The parent process of a pool: loads everything once, forks the workers, starts again what dies, and sweeps.

While it lives it touches ``<queue name>-worker-alive`` in the temporary folder.
"""

import contextlib
import gc
import heapq
import math
import mmap
import os
import select
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import redis

from chalicelib import counting, jobs, pipeline, queue, settings, sweeping
from chalicelib.pool.reporting import logger, report_swept
from chalicelib.pool.rq_worker import Link, Slot, work
from chalicelib.store import records

STOP_SECONDS = 110  # for what runs at SIGTERM; Fargate kills after 120
NOTE_SECONDS = 5.0  # between notes that this pool lives
BACKOFF_MOST = 30.0  # seconds before a worker that dies young is started again
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_NEWS_BYTES = 48  # of a line that a worker sends its parent: written whole or not at all


def preloaded() -> bool:
    """Load what jobs need; False, and one line that says what to do, where NLTK has not its data."""
    try:
        pipeline.preload()
    except LookupError as error:
        if type(error) is not LookupError:  # a KeyError is a fault of the program, not of the installation
            raise
        logger.error(str(counting.without_data(error)))
        return False
    return True


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
        self.next_sweep = self.next_note = 0.0
        self.sizes = sizes
        self.name = f"{socket.gethostname()}.{os.getpid()}"
        self._awake, self._wake = os.pipe()  # signals
        self._heard, self._news = os.pipe()  # lines of due_at and job id, from workers that gave a job back

    def run(self) -> int:
        """Until SIGTERM or SIGINT: then let what runs finish. A second signal, a second later, ends at once."""
        self._handle_signals()
        self._wait_for_servers()
        if not preloaded():
            return os.EX_CONFIG
        gc.collect()
        gc.freeze()  # what is shared stays shared: the collector would touch, and so copy, every page
        while True:
            self._reap()
            self._recover()
            self._note()
            if self.stopping_since is None:
                self._fill()
                self._sweep()
            elif not any(place.pid for place in self.places):
                return 0
            elif time.monotonic() - self.stopping_since > STOP_SECONDS:
                self._signal_all(signal.SIGKILL)
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
            self.next_note = 0.0
            self._signal_all(signal.SIGTERM)
        elif time.monotonic() - self.stopping_since > 1.0:  # make and a terminal send one signal twice
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, signum: int) -> None:
        for place in self.places:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.pid, signum)

    def _sleep(self, seconds: float) -> None:
        """Until ``seconds`` are over, a signal came or the next job's time has."""
        if self.upcoming and self.stopping_since is None:  # a stopping pool leaves deferred jobs to other pools
            seconds = min(seconds, max(0.0, (self.upcoming[0][0] - jobs.now()) / 1000))
        ready, _, _ = select.select([self._awake, self._heard], [], [], seconds)
        if self._awake in ready:
            os.read(self._awake, 4096)
        if self._heard in ready:
            for line in os.read(self._heard, _NEWS_BYTES * 1000).decode("ascii").splitlines():
                due_at, job_id = line.split()
                heapq.heappush(self.upcoming, (int(due_at), job_id))

    def _wait_for_servers(self) -> None:
        """Wait for servers that are not up yet, and say so; a fault that waiting does not cure is named once."""
        pause, named = 0.2, None
        while self.stopping_since is None:
            health = jobs.health()
            if health["status"] == "ok":
                return
            if (fault := health["fault"]) is not None:
                if fault != named:
                    logger.error(fault)
                named = fault
            elif pause > 1:
                logger.warning("waiting for the servers", checks=health["checks"])
            self._sleep(pause)
            pause = min(pause * 2, 10.0)
            _alive_file().touch()

    def _note(self) -> None:
        """Note in Redis how many workers this pool has, or once that it stops: an owner's share is counted in them."""
        if time.monotonic() < self.next_note:
            return
        stops = self.stopping_since is not None
        self.next_note = math.inf if stops else time.monotonic() + NOTE_SECONDS
        with contextlib.suppress(queue.QueueError):
            for name, size in self.sizes.items():
                if size:
                    queue.note_pool(name, self.name, 0 if stops else size, now=jobs.now())

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
        place.name = f"{self.name}.{records.new_id()[:12]}"
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
            link = Link(parent, place.slot, self._news)
            for signum in _STOPPING:
                signal.signal(signum, lambda *_: setattr(link, "stop", True))
            for end in (self._awake, self._wake, self._heard):
                os.close(end)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            status = work(place.queue, place.name, link)
        except redis.RedisError as error:
            logger.error("a worker lost Redis", detail=type(error).__name__)
        except BaseException:  # noqa: BLE001 - the process ends below, and its last words should not be lost
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
                swept = sweeping.recover(*self.lost[0])
            except jobs.Unavailable as error:
                logger.warning("a dead worker's job waits for the record store", detail=str(error))
                return
            self.lost.pop(0)
            report_swept(swept)

    def _sweep(self) -> None:
        load = settings.load()
        try:
            ready = []
            while self.upcoming and self.upcoming[0][0] <= jobs.now():
                ready.append(heapq.heappop(self.upcoming)[1])
            if ready:
                report_swept(sweeping.requeue(ready))
            if time.monotonic() >= self.next_sweep:
                self.next_sweep = time.monotonic() + load.sweep_seconds
                pause = load.sweep_seconds * 0.9  # a sweep serves all pools
                swept = sweeping.sweep(seconds=load.sweep_seconds, horizon=load.sweep_seconds + 1.0, pause=pause)
                if not swept.ran:
                    self.next_sweep = time.monotonic() + min(1.0, load.sweep_seconds)
                self.upcoming = sorted({*self.upcoming, *swept.upcoming})  # a sorted list is a heap
                report_swept(swept)
        except jobs.Unavailable as error:
            logger.warning("the sweep waits for the record store", detail=str(error))


def _alive_file() -> Path:
    return Path(tempfile.gettempdir()) / settings.load().alive_file
