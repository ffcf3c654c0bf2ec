"""Pages a second, CPU a page, waiting and memory: this project's workers beside what people would pick instead.

usage: python -m benchmarks.throughput [--quick] [--only PART,PART]

One run, one Redis, one DynamoDB stand-in, one page server, all on this machine; the systems alternate. CPU is that of
the worker processes with all their children, from /proc; memory is PSS. Writes its part of docs/benchmarks.md.
"""

import argparse
import collections
import contextlib
import json
import os
import platform
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import boto3
import psutil
import redis
import rq
from rq.serializers import JSONSerializer

from benchmarks import report
from chalicelib import counting, extracting, fetching, jobs, pipeline, queue, submissions, worker
from chalicelib.analysis import words
from chalicelib.aws import dynamodb
from chalicelib.store import records
from scripts import servers

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT.parent / "shared" / "pages"
OWNER = "anonymous"
PARTS = ("nodelay", "delay", "empty", "parts", "latency", "scale", "flat")


@dataclass
class Run:
    """What one system did with one load."""

    system: str
    jobs: int
    seconds: float
    cpu: float  # of its worker processes, all parts included
    memory: float  # MB, PSS, all its processes
    processes: int
    commands: int = 0  # of Redis
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.jobs * 1000

    def row(self, usual: "Run | None") -> list[str]:
        times = [f"{self.rate / usual.rate:.1f}×", f"{usual.cpu_ms / self.cpu_ms:.1f}×"] if usual else ["", ""]
        return [
            self.system,
            f"{self.jobs}",
            f"{self.rate:.1f}",
            times[0],
            f"{self.cpu_ms:.1f}",
            times[1],
            f"{self.memory:.0f}",
            f"{self.memory / self.processes:.0f}",
            f"{self.commands / self.jobs:.1f}",
        ]


HEAD = ["system", "jobs", "jobs/s", "", "CPU ms/job", "", "PSS MB", "a process", "Redis commands/job"]


class Bench:
    """The servers that every system shares."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_port, self.dynamo_port, self.page_port = (servers.free_port() for _ in range(3))
        os.environ.update(
            REDIS_URL=f"redis://127.0.0.1:{self.redis_port}/0",
            AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{self.dynamo_port}",
            AWS_ACCESS_KEY_ID="local",
            AWS_SECRET_ACCESS_KEY="local",  # noqa: S106 - dynalite checks none
            AWS_REGION="us-east-1",
            AWS_DEFAULT_REGION="us-east-1",
            TABLE_NAME="bench",
            QUEUE_NAME="bench",
            FETCH_ALLOW_NETWORKS="127.0.0.0/8",
            FETCH_HOST_RATE="1000000",
            LOG_LEVEL="WARNING",
            BENCH_DATABASE=str(folder / "bench.sqlite"),
            PYTHONPATH=str(folder / "without"),
        )
        # NLTK loads these where they are installed, as they are for another benchmark: 75 MB that no worker has.
        for name in ("numpy", "scipy", "sklearn"):
            (folder / "without" / name).mkdir(parents=True)
            (folder / "without" / name / "__init__.py").write_text("raise ImportError\n")
        self.client = redis.Redis(port=self.redis_port)

    @contextlib.contextmanager
    def running(self) -> Iterator["Bench"]:
        dynalite = [servers.NODE, str(ROOT / "node_modules/dynalite/cli.js"), "--port", str(self.dynamo_port)]
        pages = [sys.executable, "-m", "benchmarks.page_server", str(self.page_port)]
        started = [
            self.start(
                [servers.redis_program(), "--port", str(self.redis_port), "--save", "", "--dir", str(self.folder)]
            ),
            self.start([*dynalite, "--createTableMs=0"]),
            self.start(pages + ([str(PAGES)] if PAGES.is_dir() else [])),
        ]
        try:
            until(lambda: self.client.ping(), "Redis")
            until(lambda: socket.create_connection(("127.0.0.1", self.dynamo_port), 1).close() is None, "dynalite")
            until(lambda: records.create_table(boto3.client("dynamodb"), "bench") or True, "dynalite")
            with sqlite3.connect(os.environ["BENCH_DATABASE"]) as rows:
                rows.execute("pragma journal_mode=wal")
                rows.execute("create table results (url, counts, without, started real, ended real)")
            yield self
        finally:
            for process in started:
                process.kill()
                process.wait()

    def start(self, command: list[str], **extra: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **extra}, stdout=log, stderr=log)

    def url(self, number: int, delay: int = 0) -> str:
        return f"http://127.0.0.1:{self.page_port}/{number}?delay={delay}"


@contextlib.contextmanager
def workers(
    bench: Bench, command: list[str], ready: Callable[[], bool], wait: float = 1.0, **extra: str
) -> Iterator[psutil.Process]:
    """A system's workers, started and ready; stopped afterwards with all their children."""
    process = bench.start(command, **extra)
    try:
        until(ready, " ".join(command))
        time.sleep(wait)
        yield psutil.Process(process.pid)
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            for member in family:
                if member.is_running():
                    member.kill()
            process.wait()
        bench.client.flushall()


def cpu_of(root: psutil.Process) -> float:
    """CPU seconds of a process and all its descendants, those that have ended included."""
    total = 0.0
    for member in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # a horse that ended between: its parent has its time
            times = member.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_of(root: psutil.Process) -> tuple[float, int]:
    """PSS of a process and its descendants in MB, and how many they are."""
    family = [root, *root.children(recursive=True)]
    total = 0
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_full_info().pss
    return total / 1e6, len(family)


def measured(
    bench: Bench, system: str, root: psutil.Process, count: int, go: Callable[[], None], left: Callable[[], int]
) -> Run:
    """Start the load, wait until nothing is left, and say what it cost."""
    commands = bench.client.info("stats")["total_commands_processed"]
    before, started, memory, processes = cpu_of(root), time.monotonic(), 0.0, 1
    go()
    look = started + 1
    while left():
        time.sleep(0.05)
        if time.monotonic() > look:
            now, processes = memory_of(root)
            memory, look = max(memory, now), time.monotonic() + 3
    seconds = time.monotonic() - started
    if not memory:
        memory, processes = memory_of(root)
    used = cpu_of(root) - before
    commands = bench.client.info("stats")["total_commands_processed"] - commands
    return Run(system, count, seconds, used, memory, processes, commands)


# --- the systems ---


def usual(bench: Bench, count: int, delay: int) -> Run:
    """RQ's default fork worker and the tutorial's function."""
    from benchmarks import systems  # reads the address of Redis when it is imported

    with workers(
        bench, [sys.executable, "-m", "benchmarks.systems", "usual"], lambda: bench.client.scard("rq:workers") > 0
    ) as root:
        at = rq.Queue("bench", connection=bench.client)
        with sqlite3.connect(os.environ["BENCH_DATABASE"]) as rows:
            rows.execute("delete from results")

        def go() -> None:
            at.enqueue_many(
                rq.Queue.prepare_data(systems.count_as_usual, (bench.url(n, delay), time.time()), result_ttl=0)
                for n in range(count)
            )

        def left() -> int:
            with sqlite3.connect(os.environ["BENCH_DATABASE"], timeout=30) as rows:
                return count - rows.execute("select count(*) from results").fetchone()[0]

        return measured(bench, "usual: RQ fork worker, BeautifulSoup, NLTK", root, count, go, left)


def accepted(bench: Bench, count: int, delay: int) -> list[str]:
    """Job records, written before the clock starts: what is measured is the work, not the submission."""
    ids = []
    with mock.patch.object(queue, "enqueue"):
        for n in range(count):
            submission = submissions.read({"url": bench.url(n, delay)})
            ids.append(jobs.submit(jobs.Request(submission, OWNER))[0].id)
    return ids


def put(ids: list[str]) -> None:
    """Let jobs wait, all of one owner."""
    now = jobs.table().now()
    queue.enqueue([("interactive", job_id, OWNER, now) for job_id in ids], now=now)


def finished(ids: list[str]) -> Callable[[], int]:
    """How many of the jobs have not ended; asks the store for the oldest of them only."""
    left = list(ids)

    def look() -> int:
        while left:
            some = jobs.table().get_many(left[:50])
            ended = {job.id for job in some.values() if job.state in records.TERMINAL}
            bad = [job for job in some.values() if job.state in ("failed", "canceled")]
            assert not bad, bad[0]
            if not ended:
                break
            left[:] = [job_id for job_id in left if job_id not in ended]
        return len(left)

    return look


def ours(bench: Bench, count: int, delay: int, processes: int) -> Run:
    """This project's pool."""
    ready = lambda: bench.client.scard("rq:workers") >= processes
    setting = {"WORKER_PROCESSES": f"interactive:{processes},bulk:0"}
    with workers(bench, [sys.executable, "-m", "chalicelib.worker"], ready, **setting) as root:
        ids = accepted(bench, count, delay)
        go = lambda: put(ids)
        return measured(bench, f"ours, {processes} processes", root, count, go, finished(ids))


def celery(bench: Bench, count: int, delay: int, processes: int) -> Run:
    """Celery prefork running our pipeline."""
    from benchmarks import systems  # reads the address of Redis when it is imported

    command = [sys.executable, "-m", "celery", "-A", "benchmarks.systems:celery_app", "worker", "-P", "prefork"]
    command += ["-c", str(processes), "-l", "error", "--without-gossip", "--without-mingle"]
    with workers(bench, command, lambda: ready_celery(bench)) as root:
        ids = accepted(bench, count, delay)

        def go() -> None:
            with systems.celery_app.producer_pool.acquire() as producer:
                for job_id in ids:
                    systems.celery_count.apply_async((job_id,), producer=producer)

        return measured(bench, f"Celery prefork, our pipeline, {processes} processes", root, count, go, finished(ids))


def ready_celery(bench: Bench) -> bool:
    return bool(bench.client.smembers("_kombu.binding.celery"))


def dramatiq(bench: Bench, count: int, delay: int, processes: int) -> Run:
    """Dramatiq running our pipeline, one thread a process."""
    from benchmarks import systems  # reads the address of Redis when it is imported

    command = [sys.executable, "-m", "dramatiq", "benchmarks.systems", "-p", str(processes), "-t", "1"]
    with workers(bench, command, lambda: len(psutil.Process().children(recursive=True)) > processes) as root:
        ids = accepted(bench, count, delay)
        go = lambda: [systems.dramatiq_count.send(job_id) for job_id in ids] and None
        return measured(bench, f"Dramatiq, our pipeline, {processes} processes", root, count, go, finished(ids))


def drained(bench: Bench, system: str, command: list[str], count: int, left: Callable[[], int], **extra: str) -> Run:
    """What one process costs for each of the empty jobs that wait already: from the first twentieth on."""
    commands = 0
    with workers(bench, command, lambda: left() < count * 0.95, wait=0.0, **extra) as root:
        begun, started, used = left(), time.monotonic(), cpu_of(root)
        commands = bench.client.info("stats")["total_commands_processed"]
        looks = 0
        while left():
            looks += 1
            time.sleep(0.02)
        seconds, used = time.monotonic() - started, cpu_of(root) - used
        commands = bench.client.info("stats")["total_commands_processed"] - commands - 2 * looks
        return Run(system, begun, seconds, used, *memory_of(root), commands)


def empty(bench: Bench, count: int) -> list[Run]:
    """What the queue itself costs: one process, a job that does nothing, all of them waiting when it starts."""
    from benchmarks import systems  # reads the address of Redis when it is imported

    llen, hlen = bench.client.llen, bench.client.hlen
    put([records.new_id() for _ in range(count)])
    setting = {"WORKER_PROCESSES": "interactive:1,bulk:0"}
    left = lambda: queue.depth("interactive")
    runs = [drained(bench, "ours", [sys.executable, "-m", "benchmarks.systems", "empty"], count, left, **setting)]
    at = rq.Queue("bench", connection=bench.client, serializer=JSONSerializer)
    at.enqueue_many([rq.Queue.prepare_data(systems.empty, result_ttl=0) for _ in range(count)])
    left = lambda: at.count + llen("rq:queue:bench:intermediate")
    runs.append(drained(bench, "RQ SimpleWorker", [sys.executable, "-m", "benchmarks.systems", "simple"], count, left))
    with systems.celery_app.producer_pool.acquire() as producer:
        for _ in range(count):
            systems.celery_empty.apply_async((), producer=producer)
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "benchmarks.systems:celery_app",
        "worker",
        "-P",
        "prefork",
        "-c",
        "1",
    ]
    command += ["-l", "error", "--without-gossip", "--without-mingle"]
    left = lambda: llen("celery") + hlen("unacked")
    runs.append(drained(bench, "Celery prefork", command, count, left))
    for _ in range(count):
        systems.dramatiq_empty.send()
    command = [sys.executable, "-m", "dramatiq", "benchmarks.systems", "-p", "1", "-t", "1"]
    runs.append(drained(bench, "Dramatiq", command, count, lambda: hlen("dramatiq:default.msgs")))
    return runs


def latency(bench: Bench, count: int, processes: int) -> list[float]:
    """Seconds from submission to words, at a load that leaves room: a page every 50 ms."""
    ready = lambda: bench.client.scard("rq:workers") >= processes
    with workers(
        bench, [sys.executable, "-m", "chalicelib.worker"], ready, WORKER_PROCESSES=f"interactive:{processes},bulk:0"
    ):
        ids = []
        for n in range(count):
            submission = submissions.read({"url": bench.url(n)})
            ids.append(jobs.submit(jobs.Request(submission, OWNER))[0].id)
            time.sleep(0.05)
        look = finished(ids)
        while look():
            time.sleep(0.1)
        done = jobs.table().get_many(ids).values()
        return sorted(((job.finished_at or 0) - job.submitted_at) / 1000 for job in done)


def parts_of_a_job(bench: Bench, count: int) -> tuple[list[list[str]], float]:
    """CPU ms a job of each part but the queue's, in this process; and how often a job calls DynamoDB."""
    spent: collections.Counter[str] = collections.Counter()
    calls = 0
    exchange = dynamodb.Client._exchange

    def counted(self: dynamodb.Client, *sent: object) -> object:
        nonlocal calls
        calls += 1
        return exchange(self, *sent)

    def clocked(part: str, real: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **named: object) -> object:
            before = time.process_time()
            try:
                return real(*args, **named)
            finally:
                spent[part] += time.process_time() - before

        return run

    places = [
        (records.Records, "claim", "records"),
        (records.Records, "finish", "records"),
        (pipeline, "_take_slot", "queue: the slot at the host"),
        (fetching, "fetch", "fetch"),
        (extracting, "extract", "extract"),
        (counting, "language_of", "count"),
        (counting, "tally", "count"),
        (words, "table", "the word table"),
        (words, "pack", "the word table"),
    ]
    ids = accepted(bench, count, 0)
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(dynamodb.Client, "_exchange", counted))
        for owner, name, part in places:
            patches.enter_context(mock.patch.object(owner, name, clocked(part, getattr(owner, name))))
        pipeline.preload()
        started, begun = 0.0, 0
        for n, job_id in enumerate(ids):
            if n == count // 5:  # what it learns first is not what a page costs
                spent.clear()
                calls, begun, started = 0, n, time.process_time()
            assert pipeline.count_page(job_id).state == records.SUCCEEDED
    done = count - begun
    whole = time.process_time() - started
    spent["the rest"] = whole - spent.total()
    rows = [[part, f"{cpu / done * 1000:.2f}", f"{cpu / whole:.0%}"] for part, cpu in spent.most_common()]
    return [*rows, ["all", f"{whole / done * 1000:.2f}", ""]], calls / done


def flat(bench: Bench, count: int) -> list[tuple[int, float]]:
    """MB (PSS) of two workers that are not replaced, after so many jobs."""
    ready = lambda: bench.client.scard("rq:workers") >= 2
    command, setting = (
        [sys.executable, "-m", "benchmarks.systems", "endless"],
        {"WORKER_PROCESSES": "interactive:2,bulk:0"},
    )
    seen: list[tuple[int, float]] = []
    with workers(bench, command, ready, **setting) as root:
        while not seen or seen[-1][0] < count:
            ids = accepted(bench, 1000, 0)
            put(ids)
            look = finished(ids)
            while look():
                time.sleep(0.2)
            pools = [member.memory_full_info().pss for member in root.children(recursive=True)]
            seen.append(((seen[-1][0] if seen else 0) + 1000, sum(pools) / 1e6))
    return seen


def until(ready: Callable[[], object], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except (OSError, redis.RedisError, records.RecordError):
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come up")
        time.sleep(0.1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the jobs: to see that it works")
    parser.add_argument(
        "--only", default="nodelay,delay,empty,parts,latency,scale,flat", help="parts, separated by commas"
    )
    options = parser.parse_args(arguments)
    parts, part = set(options.only.split(",")), 10 if options.quick else 1
    text = [f"{report.machine()}, {'pages of ../shared/pages' if PAGES.is_dir() else 'generated pages'}.", ""]
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)).running() as bench:
        if "nodelay" in parts:
            first, second = [], []
            for _ in range(1 if options.quick else 2):  # interleaved: the machine's speed drifts
                first.append(usual(bench, 186 // part, 0))
                second.append(ours(bench, 1240 // part, 0, 2))
            peers = [celery(bench, 620 // part, 0, 2), dramatiq(bench, 620 // part, 0, 2)]
            base = min(first, key=lambda run: run.cpu_ms)
            text += [
                "### Pages at once",
                "",
                *report.table(HEAD, [run.row(base) for run in [*first, *second, *peers]]),
                "",
            ]
        if "delay" in parts:
            base = usual(bench, 62 // part, 200)
            runs = [base, *(ours(bench, 50 * n // part, 200, n) for n in (16, 28, 40))]
            text += ["### Pages after 200 ms", "", *report.table(HEAD, [run.row(base) for run in runs]), ""]
        if "empty" in parts:
            runs = empty(bench, 4000 // part)
            text += ["### An empty job, one process", "", *report.table(HEAD, [run.row(runs[1]) for run in runs]), ""]
        if "parts" in parts:
            rows, calls = parts_of_a_job(bench, 620 // part)
            text += [
                "### Where a job's CPU goes",
                "",
                f"In one process, pages at once, {calls:.1f} calls of DynamoDB a job. What RQ and the worker's loop "
                "cost beside it is the empty job above.",
                "",
                *report.table(["part", "CPU ms/job", ""], rows),
                "",
            ]
        if "latency" in parts:
            took = latency(bench, 400 // part, 4)
            p99 = took[int(len(took) * 0.99)]
            text += [
                "### From submission to words",
                "",
                f"{len(took)} pages, one every 50 ms, four processes: median {statistics.median(took) * 1000:.0f} ms, "
                f"99 % within {p99 * 1000:.0f} ms.",
                "",
            ]
        if "scale" in parts:
            runs = [ours(bench, max(40, 20 * n) // part, 200, n) for n in (1, 2, 4, 8, 16, 32, 64)]
            text += ["### Processes, pages after 200 ms", "", *report.table(HEAD, [run.row(None) for run in runs]), ""]
        if "flat" in parts:
            seen = flat(bench, 10_000 // part)
            text += ["### Memory", "", "Two workers that are never replaced, MB (PSS) together after so many jobs: "]
            text[-1] += ", ".join(f"{done:,}: {megabytes:.0f}" for done, megabytes in seen) + "."
            text += [f"They are replaced after {worker.JOBS_A_PROCESS:,} jobs each all the same.", ""]
    print("\n".join(text))
    if not options.quick:
        report.write("throughput", "\n".join(text))
    print(json.dumps({"python": platform.python_version()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
