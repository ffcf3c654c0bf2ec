"""A recording harness: submit jobs, break something, wait, then hold the history against the promise.

``Stack`` owns a real Redis and a real DynamoDB stand-in that can be killed, stopped or emptied, real worker pools, and
a page server. ``History`` polls the records all the while and keeps each (version, state) that it saw.
"""

import contextlib
import http.server
import itertools
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import redis

from chalicelib import jobs, queue, submissions
from chalicelib.analysis import words
from chalicelib.net import forks
from chalicelib.store import records
from scripts import servers
from tests.conftest import dynamodb

ROOT = Path(__file__).resolve().parents[2]
OWNER = "anonymous"
ORDER = {"queued": 0, "running": 1, "succeeded": 2, "failed": 2, "canceled": 2}


class Pages(http.server.BaseHTTPRequestHandler):
    """``/page/<n>`` says its number; ``?slow=s`` first waits; ``?status=500&times=k`` fails k times; ``?say=word``."""

    protocol_version = "HTTP/1.1"
    seen: dict[str, int] = {}  # noqa: RUF012 - counted over all requests of one server on purpose

    def do_GET(self) -> None:
        at = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(at.query))
        count = self.seen[self.path] = self.seen.get(self.path, 0) + 1
        time.sleep(float(query.get("slow", 0)))
        failing = "status" in query and count <= int(query.get("times", 1_000_000))
        number = at.path.rsplit("/", 1)[-1]
        body = f"<p>page number{number} {query.get('say', 'plain')}</p>".encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(int(query["status"]) if failing else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            if failing and "after" in query:
                self.send_header("Retry-After", query["after"])
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        """A worker that is killed drops its connection: that is the test, not an error."""


class Proxy:
    """A wire to a server on this machine that can be cut at once, or loses every so-manieth answer."""

    def __init__(self, target: int) -> None:
        self.target, self.lose_every, self.answers = target, 0, 0
        self._ends: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection there is."""
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more, and end what there is."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._ends |= {near, far}
                for pair in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                if answers:
                    self.answers += 1
                    if self.lose_every and self.answers % self.lose_every == 0:
                        break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.discard(source)
        source.close()


class Stack:
    """Everything a fault can hit, in one place and on ports of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.redis_port, self.dynamo_port = servers.free_port(), servers.free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        name = f"faults-{os.getpid()}-{self.redis_port}"
        self.env = {
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{self.dynamo_port}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "TABLE_NAME": name,
            "QUEUE_NAME": name,
            "FETCH_ALLOW_NETWORKS": "127.0.0.0/8",
            "FETCH_HOST_RATE": "100000",
            "WORKER_PROCESSES": "interactive:4,bulk:0",
            **settings,
        }
        self.before = {name: os.environ[name] for name in self.env if name in os.environ}
        self.pages = _Server(("127.0.0.1", 0), Pages)
        self.proxies: list[Proxy] = []
        Pages.seen.clear()
        threading.Thread(target=self.pages.serve_forever, daemon=True).start()

    # --- servers ---

    def start(self) -> None:
        """Redis, the table and nothing else: each test starts the workers it wants."""
        self.redis = self.start_redis()
        self.dynamo = self._start_dynamo()
        os.environ.update(self.env)
        records.create_table(dynamodb(self.env["AWS_ENDPOINT_URL_DYNAMODB"]), self.env["TABLE_NAME"])

    def start_redis(self) -> subprocess.Popen[bytes]:
        """A Redis without persistence: killed and started again, it is empty."""
        command = [servers.redis_program(), "--port", str(self.redis_port), "--save", "", "--dir", str(self.folder)]
        self.redis = self._spawn([*command, "--bind", "127.0.0.1"], "redis")
        until(lambda: redis.Redis(port=self.redis_port).ping(), 10, "Redis")
        return self.redis

    def _start_dynamo(self) -> subprocess.Popen[bytes]:
        program = str(ROOT / "node_modules" / "dynalite" / "cli.js")  # in memory: nothing here kills it
        command = [servers.NODE, program, "--host", "127.0.0.1", "--port", str(self.dynamo_port)]
        process = self._spawn([*command, *(f"--{change}TableMs=0" for change in ("create", "delete"))], "dynalite")
        until(lambda: socket.create_connection(("127.0.0.1", self.dynamo_port), 1).close() is None, 20, "dynalite")
        return process

    def proxy(self, setting: str, port: int) -> Proxy:
        """A wire of its own to one of the servers, which ``setting`` names from now on."""
        made = Proxy(port)
        self.proxies.append(made)
        self.env[setting] = os.environ[setting] = self.env[setting].replace(f":{port}", f":{made.port}")
        return made

    def start_workers(self, *, fault: str | None = None, **settings: str) -> subprocess.Popen[bytes]:
        """A pool; with ``fault`` one that breaks at a named point, once."""
        module = "chalicelib.worker" if fault is None else "tests.faults.faulty_worker"
        extra = {} if fault is None else {"FAULT": fault, "FAULT_ONCE": str(self.folder / f"once-{len(self.workers)}")}
        process = self._spawn([sys.executable, "-m", module], "worker", **settings, **extra)
        self.workers.append(process)
        return process

    def _spawn(self, command: list[str], name: str, **extra: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env={**os.environ, **self.env, **extra}, cwd=ROOT, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Stop everything, roughly: whatever should have survived has been looked at."""
        self.pages.shutdown()
        self.pages.server_close()
        for process in reversed(self.processes):
            for signum in (signal.SIGCONT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signum)
            process.wait()
        for proxy in self.proxies:
            proxy.close()
        for name in self.env:
            if name in self.before:
                os.environ[name] = self.before[name]
            else:
                os.environ.pop(name, None)
        forks.clear()

    # --- what a test does ---

    def url(self, number: int, **query: object) -> str:
        """A page of this stack's own server."""
        text = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        return f"http://127.0.0.1:{self.pages.server_port}/page/{number}?{text}"

    def submit(self, number: int, *, key: str | None = None, bulk: bool = False, **query: object) -> str:
        """Submit a page as the API does; the job's id. Raises what the API would answer with 503."""
        submission = submissions.read({"url": self.url(number, **query)})
        name = queue.BULK if bulk else queue.INTERACTIVE
        job, _ = jobs.submit(jobs.Request(submission, OWNER, key=key, queue=name))
        return job.id

    def children(self, pool: subprocess.Popen[bytes]) -> list[int]:
        """Process ids of a pool's workers."""
        path = Path(f"/proc/{pool.pid}/task/{pool.pid}/children")
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def wait_ready(self, pool: subprocess.Popen[bytes], count: int = 4) -> None:
        """Until a pool has its workers registered."""
        until(lambda: len(self.children(pool)) >= count, 90, "the workers")
        client = redis.Redis(port=self.redis_port)
        until(lambda: client.scard("rq:workers") >= count, 30, "their registration")


class History:
    """Polls the records of some jobs and keeps every change it saw."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.seen: dict[str, list[tuple[int, str, int]]] = {}
        self.ended_at: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def add(self, *ids: str) -> None:
        """Watch these jobs: each was accepted."""
        self.ids += ids

    def _poll(self) -> None:
        # A store of its own: the poller must not share the test's connection.
        while not self._stop.is_set():
            with contextlib.suppress(records.RecordError):
                self.look()
            self._stop.wait(0.1)

    def look(self) -> int:
        """Read what has not ended yet; how many are left."""
        left = [job_id for job_id in list(self.ids) if job_id not in self.ended_at]
        for job in jobs.table().get_many(left).values():
            steps = self.seen.setdefault(job.id, [])
            if not steps or steps[-1][0] != job.version:
                steps.append((job.version, job.state, job.attempt))
            if job.state in records.TERMINAL:
                self.ended_at[job.id] = time.monotonic()
        return len(left)

    def wait(self, seconds: float) -> None:
        """Until every job has ended."""
        until = time.monotonic() + seconds
        while len(self.ended_at) < len(self.ids) and time.monotonic() < until:
            time.sleep(0.05)

    def check(self, *, failed: dict[str, str] | None = None) -> dict[str, int]:
        """The promise: each accepted job ended once, with one result, its version rising and no step backwards.

        ``failed`` maps the ids that had to fail to their error's type; all others had to succeed. Returns figures.
        """
        self._stop.set()
        self._thread.join()
        failed = failed or {}
        store = jobs.table()
        now = store.get_many(self.ids)
        lost = [job_id for job_id in self.ids if job_id not in now or now[job_id].state not in records.TERMINAL]
        assert not lost, [(job_id, self.seen.get(job_id)) for job_id in lost]
        for job in now.values():
            self._check_steps(job)
            if job.id in failed:
                assert (job.state, (job.error or {}).get("type")) == ("failed", failed[job.id]), job
            else:
                assert job.state == "succeeded", job
                table = words.unpack(store.artifact(job, "words"))
                assert any(word.startswith("number") for word in table.words), table
            assert job.due_at is None, "an ended job left the due index"
        claims = sum(job.attempt for job in now.values())
        return {"jobs": len(set(self.ids)), "lost": len(lost), "doubled": 0, "claims": claims}

    def _check_steps(self, job: jobs.Job) -> None:
        steps = [*self.seen.get(job.id, []), (job.version, job.state, job.attempt)]
        for before, after in itertools.pairwise(steps):
            assert after[0] >= before[0], ("version fell", job.id, steps)
            assert after[2] >= before[2], ("attempt fell", job.id, steps)
            assert ORDER[before[1]] < 2 or after[:2] == before[:2], ("a terminal state changed", job.id, steps)


@contextlib.contextmanager
def stack(folder: Path, **settings: str) -> Iterator[Stack]:
    """A started stack, stopped afterwards whatever happens."""
    made = Stack(folder, **settings)
    try:
        made.start()
        yield made
    finally:
        made.close()


def note(
    folder: Path,
    scenario: str,
    *,
    jobs: float,
    lost: float,
    doubled: float,
    claims: float | None = None,
    recovery: float | None = None,
) -> None:
    """Keep a scenario's figures for docs/reliability.md, where the caller asks for them by FAULTS_REPORT."""
    report = os.environ.get("FAULTS_REPORT")
    if report:
        with Path(report).open("a") as file:
            figures = {"jobs": jobs, "lost": lost, "doubled": doubled, "claims": claims, "recovery": recovery}
            file.write(json.dumps({"scenario": scenario, **figures}) + "\n")


def until(ready: object, seconds: float, what: str) -> None:
    """Poll until ``ready()`` holds; ``TimeoutError`` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, redis.RedisError, ValueError):
            if ready():  # type: ignore[operator]
                return
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come up within {seconds} s")
        time.sleep(0.01)
