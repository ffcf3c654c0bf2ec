"""kill -9 of everything that `make run` has started, again and again: no accepted job is lost, none ends twice."""

import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from chalicelib import jobs, queue
from chalicelib.store import records
from scripts import processes, servers
from tests.faults import harness

pytestmark = [pytest.mark.slow, pytest.mark.long]

KILLS, JOBS, SECONDS = 20, 60, 20.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LocalStack:
    """`python -m scripts.run` with its own data, which outlives it."""

    def __init__(self, data: Path) -> None:
        self.data, self.port = data, servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.launcher: subprocess.Popen[bytes]

    def start(self) -> None:
        command = [sys.executable, "-m", "scripts.run", "--port", str(self.port), "--data", str(self.data)]
        known = ("REDIS_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME")
        outside = {name: value for name, value in os.environ.items() if name not in known}
        settings = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8", "FETCH_HOST_RATE": "100000", "WORKER_PROCESSES": "4"}
        with self.data.with_suffix(".out").open("ab") as output:
            self.launcher = subprocess.Popen(
                command, cwd=processes.ROOT, env={**outside, **settings}, stdout=output, stderr=output
            )
        assert processes.wait_for(self.healthy, seconds=60), self.data.with_suffix(".out").read_text()

    def healthy(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(self.ask("/health")["status"] == "ok")
        return False

    def ask(self, path: str, body: dict[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with DIRECT.open(request, timeout=10) as answer:
            return json.load(answer)

    def submit(self, url: str) -> str | None:
        """The job's id where it was accepted."""
        try:
            return str(self.ask("/jobs", {"url": url})["id"])
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def kill(self) -> None:
        """All at once, so that none can tell another."""
        if self.launcher.poll() is not None:
            return
        family = [psutil.Process(self.launcher.pid), *psutil.Process(self.launcher.pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, 10)
        self.launcher.wait()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path / "data")
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def pages() -> Iterator[str]:
    server = harness._Server(("127.0.0.1", 0), harness.Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/page"
    server.shutdown()
    server.server_close()


def test_the_whole_stack_killed_again_and_again_loses_no_job(
    stack: LocalStack, pages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(14)
    ended: dict[str, tuple[int, int | None]] = {}  # version and time of each end
    slowest = claims = 0.0
    for kill in range(KILLS):
        urls = [f"{pages}/{kill * JOBS + number}?slow={chance.choice((0, 0, 0.3, 1))}" for number in range(JOBS)]
        with ThreadPoolExecutor(12) as pool:
            answers = [pool.submit(stack.submit, url) for url in urls]
            time.sleep(chance.uniform(0.05, 1.5))
            stack.kill()
            accepted = [answer.result() for answer in answers]
        ids = [job_id for job_id in accepted if job_id is not None]
        stack.start()
        began = time.monotonic()
        # A port and a key of its own in each run.
        for name, value in json.loads((stack.data / "environment.json").read_text()).items():
            monkeypatch.setenv(name, value)
        while True:
            found = jobs.table().get_many(ids)
            if all(job.state in records.TERMINAL for job in found.values()) or time.monotonic() - began > SECONDS:
                break
            time.sleep(0.1)
        slowest = max(slowest, time.monotonic() - began)
        assert found.keys() == set(ids)
        assert {job.id: job for job in found.values() if job.state != "succeeded"} == {}
        claims += sum(job.attempt for job in found.values())
        ended |= {job.id: (job.version, job.finished_at) for job in found.values()}
    now = jobs.table().get_many(list(ended))
    assert {job.id: (job.version, job.finished_at) for job in now.values()} == ended, "a job ended twice"
    left = {
        job_id
        for lane in (records.TIMED, *queue.QUEUES)
        for shard in range(records.SHARDS)
        for _, job_id in jobs.table().due(lane, shard, before=10**14, limit=1000)
    }
    assert all(job.due_at is not None for job in jobs.table().get_many(list(left)).values()), "a stale entry is left"
    assert not left & ended.keys()
    figures = {"jobs": len(ended), "lost": 0, "doubled": 0, "claims": claims, "recovery": round(slowest, 1)}
    harness.note(tmp_path, "the whole local stack killed twenty times", **figures)
    print(figures)
