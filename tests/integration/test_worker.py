"""A pool of one worker on a real Redis: what RQ's own monitoring says of it, and how often it asks anybody anything."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import rq
from rq.registry import StartedJobRegistry

from chalicelib import jobs, pipeline, queue, submissions
from scripts import processes
from tests import websites
from tests.conftest import ROOT
from tests.factories import noted_calls


class Pages(websites.Site):
    """Any path: a page that takes a second to come; one below ``/held`` waits for ``release`` first."""

    release = threading.Event()

    def page(self, path: str) -> tuple[int, str, bytes]:
        if path.startswith("/held"):
            self.release.wait(15)
        time.sleep(1.0)
        return 200, "text/plain", b"to be"


@pytest.fixture
def slow_pages() -> Iterator[str]:
    with websites.serving(Pages) as address:
        yield address


@pytest.fixture
def pool(redis_url: str, dynalite_table: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """One interactive worker, ready; and its Redis."""
    for name, value in {
        "QUEUE_NAME": f"pool-{uuid.uuid4().hex[:8]}",
        "WORKER_PROCESSES": "interactive:1,bulk:0",
        "FETCH_ALLOW_NETWORKS": "127.0.0.0/8",
        "FETCH_HOST_RATE": "1000",
    }.items():
        monkeypatch.setenv(name, value)
    connection = redis.Redis.from_url(redis_url)
    command = [sys.executable, "-m", "chalicelib.worker"]
    child = processes.start("worker", command, environment=os.environ, log=tmp_path / "worker.log")
    until(lambda: workers(connection))
    yield connection
    child.stop(10)


def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def workers(connection: Any) -> list[rq.Worker]:
    return rq.Worker.all(queue=rq.Queue(queue.name("interactive"), connection=connection))


def submit(url: str) -> jobs.Job:
    return jobs.submit(jobs.Request(submissions.read({"url": url}), "anonymous"))[0]


def test_rqs_monitoring_tells_the_truth(pool: Any, slow_pages: str, redis_url: str) -> None:
    Pages.release.clear()
    began = time.monotonic()
    submitted = [submit(f"{slow_pages}/held/{n}") for n in range(3)]
    until(lambda: jobs.get(submitted[0].id, "anonymous").state == "running")
    [worker] = workers(pool)
    watched = rq.Queue(queue.name("interactive"), connection=pool)
    started = StartedJobRegistry(queue=watched)
    assert worker.get_state() == "busy"
    assert (watched.count, queue.depth("interactive")) == (0, 2), "the window is for idle workers alone"
    assert [job_id.split("-")[0] for job_id in started.get_job_ids()] == [submitted[0].id]
    said = subprocess.run(
        [sys.executable, "-m", "rq.cli", "info", "--url", redis_url, "--raw"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"queue {watched.name} 0" in said
    assert f"worker {worker.name}" in said
    assert "busy" in said
    shown = queue.status("interactive", now=jobs.table().now())
    [owner] = shown.owners
    assert (owner.owner, owner.waiting, owner.running) == ("anonymous", 2, [submitted[0].id])
    assert owner.oldest in [job.submitted_at for job in submitted[1:]]
    assert (shown.window, shown.workers) == (0, 1)
    printed = subprocess.run(
        [sys.executable, "-m", "scripts.status"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "interactive: 2 waiting, 1 running, 0 on their way to a worker, 1 worker" in printed
    Pages.release.set()
    until(lambda: jobs.get(submitted[2].id, "anonymous").state == "succeeded")
    until(lambda: workers(pool)[0].get_state() == "idle")
    [worker] = workers(pool)
    assert (worker.successful_job_count, worker.failed_job_count) == (3, 0)
    assert 3 <= worker.total_working_time < time.monotonic() - began
    assert (watched.count, started.count) == (0, 0)
    assert not pool.keys("rq:job:*")


def test_a_worker_whose_registration_redis_has_lost_registers_again(pool: Any) -> None:
    [before] = workers(pool)
    pool.flushall()
    until(lambda: workers(pool))
    assert [one.name for one in workers(pool)] == [before.name], "no new process took its place"


def test_an_entry_taken_ahead_goes_back_when_the_worker_is_told_to_stop(pool: Any, slow_pages: str) -> None:
    submitted = [submit(f"{slow_pages}/{n}") for n in range(2)]
    until(lambda: jobs.get(submitted[0].id, "anonymous").state == "running")
    [worker] = workers(pool)
    assert worker.pid is not None
    os.kill(worker.pid, 15)  # the parent starts another one, which takes the second
    until(lambda: jobs.get(submitted[1].id, "anonymous").state == "succeeded")
    assert jobs.get(submitted[1].id, "anonymous").attempt == 1


@pytest.mark.parametrize(("keep_text", "pieces"), [(True, 3), (False, 1)])
def test_a_job_costs_a_claim_its_artifacts_and_a_finish(
    redis_url: str, dynalite_table: Any, monkeypatch: pytest.MonkeyPatch, keep_text: bool, pieces: int
) -> None:
    submission = submissions.read({"text": "to be or not to be", "keep_text": keep_text})
    job, _ = jobs.submit(jobs.Request(submission, "anonymous"))
    calls = noted_calls(jobs.table(), monkeypatch)
    assert pipeline.count_page(job.id).state == "succeeded"
    # claim, the submitted text, a piece of each artifact, finish, the submitted text deleted
    assert calls == ["update_item", "get_item", *["put_item"] * pieces, "update_item", "delete_item"]


def test_stop_words_are_known_in_the_case_rules_of_the_page(redis_url: str, dynalite_table: Any) -> None:
    submission = submissions.read({"text": "İÇİN için İLE Ankara ANKARA", "language": "tr"})
    job, _ = jobs.submit(jobs.Request(submission, "anonymous"))
    pipeline.count_page(job.id)
    done = jobs.get(job.id, "anonymous")
    assert done.totals == {"words": 5, "distinct": 3, "stop_words": 3, "stop_list": True}
    assert done.top == [{"word": "ANKARA", "count": 2}]


def test_a_job_costs_few_commands_of_redis(pool: Any, slow_pages: str) -> None:
    first = submit(f"{slow_pages}/first")  # what a process does once
    until(lambda: jobs.get(first.id, "anonymous").state == "succeeded")
    costs = []
    for n in range(3):  # the least of three: a busy machine takes longer, and heartbeats come meanwhile
        before = pool.info("commandstats")
        job = submit(f"{slow_pages}/{n}")
        until(lambda job=job: jobs.get(job.id, "anonymous").state == "succeeded")
        after = pool.info("commandstats")
        costs.append({name: row["calls"] - before.get(name, {"calls": 0})["calls"] for name, row in after.items()})
    assert min(sum(made.values()) for made in costs) < 45, costs  # enqueue and look-ups of a watcher included


@pytest.mark.skipif(sys.platform != "linux", reason="looks at another process's limits, which Linux alone shows")
def test_a_job_leaves_no_bound_on_the_idle_workers_cpu(pool: Any) -> None:
    [worker] = workers(pool)
    job, _ = jobs.submit(jobs.Request(submissions.read({"text": "to be"}), "anonymous"))
    until(lambda: jobs.get(job.id, "anonymous").state == "succeeded" and workers(pool)[0].get_state() == "idle")
    assert resource.prlimit(worker.pid, resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY


def pools() -> list[int]:
    now = int(time.time() * 1000)
    return [queue.pools(name, now=now) for name in queue.QUEUES]


def test_a_pool_notes_that_it_lives_and_takes_the_note_back_when_it_stops(pool: Any) -> None:
    until(lambda: pools() == [1, 0])
    [worker] = workers(pool)
    os.kill(int(worker.name.split(".")[-2]), signal.SIGTERM)
    until(lambda: pools() == [0, 0])


@pytest.mark.usefixtures("redis_url")
def test_a_pool_that_was_killed_is_counted_no_longer_than_a_minute() -> None:
    now = int(time.time() * 1000)
    queue.note_pool(queue.BULK, "killed", 3, now=now - 50_000)
    assert pools() == [0, 1]
    queue.note_pool(queue.BULK, "killed", 3, now=now - 61_000)
    assert pools() == [0, 0]
