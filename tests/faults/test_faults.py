"""Whatever dies, an accepted job ends exactly once, with one result: shown by killing, flushing, stopping and lying."""

import contextlib
import os
import pickle
import signal
import threading
import time
import zlib
from pathlib import Path

import pytest
import redis
import rq
from rq.serializers import JSONSerializer

from chalicelib import jobs, pipeline, queue, sweeping
from chalicelib.aws import dynamodb
from chalicelib.errors import Unavailable
from chalicelib.store import table

from .harness import OWNER, History, Stack, note, stack

SLOW = {"LEASE_SECONDS": "4", "FETCH_DEADLINE": "3"}


@pytest.fixture
def faults(tmp_path: Path):
    with stack(tmp_path) as made:
        yield made


def client(made: Stack) -> redis.Redis:
    return redis.Redis(port=made.redis_port)


def finish(made: Stack, history: History, name: str, *, within: float, since: float, **more) -> None:
    """Wait, check, keep the figures: ``since`` is when the fault happened."""
    history.wait(within)
    figures = history.check(**more)
    slowest = max(history.ended_at.values(), default=since) - since
    note(made.folder, name, **figures, recovery=round(max(slowest, 0.0), 1))


def test_a_submission_that_dies_before_the_queue_hears_of_it_is_run(faults, monkeypatch):
    faults.wait_ready(faults.start_workers())
    history = History()
    with monkeypatch.context() as broken:
        broken.setattr(queue, "enqueue", lambda *_, **__: None)
        history.add(*(faults.submit(n) for n in range(10)))
    finish(faults, history, "dies between put and enqueue", within=40, since=time.monotonic())


def test_an_answer_that_is_lost_and_asked_for_again_makes_one_job(faults):
    faults.wait_ready(faults.start_workers())
    history = History()
    ids = [faults.submit(n, key=f"key-{n}") for n in range(10)]
    again = [faults.submit(n, key=f"key-{n}") for n in range(10)]
    assert ids == again
    history.add(*ids)
    finish(faults, history, "enqueued, answer lost, submitted again", within=40, since=time.monotonic())


def test_submissions_are_taken_while_redis_is_down_and_run_when_it_is_back(faults):
    faults.wait_ready(faults.start_workers())
    history = History()
    faults.redis.kill()
    faults.redis.wait()
    started = time.monotonic()
    history.add(*(faults.submit(n) for n in range(10)))
    assert time.monotonic() - started < 10 * 3
    faults.start_redis()
    finish(faults, history, "Redis down at submit", within=60, since=time.monotonic())


def test_a_throttled_store_refuses_the_submission_and_puts_nothing_on_the_queue(faults, monkeypatch):
    def throttled(*_):
        raise dynamodb.Failed("ProvisionedThroughputExceededException", transient=True)

    monkeypatch.setattr(jobs.table(), "send", throttled)
    with pytest.raises(jobs.Unavailable):
        faults.submit(1)
    monkeypatch.undo()
    assert queue.depth(queue.INTERACTIVE) == 0
    note(faults.folder, "DynamoDB throttled at submit", jobs=0, lost=0, doubled=0, claims=0, recovery=0)


def test_a_store_that_is_stopped_for_20_seconds_costs_no_try(faults):
    faults.wait_ready(faults.start_workers())
    history = History()
    history.add(*(faults.submit(n, slow=0.2) for n in range(60)))
    time.sleep(0.5)
    faults.dynamo.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(jobs.Unavailable):
        faults.submit(1000)
    assert time.monotonic() - started < 15, "a submission must not hang on DynamoDB"
    time.sleep(max(0.0, 20 - (time.monotonic() - started)))
    faults.dynamo.send_signal(signal.SIGCONT)
    woken = time.monotonic()
    finish(faults, history, "DynamoDB stopped for 20 s", within=60, since=woken)
    assert all(job.failures == 0 for job in jobs.table().get_many(history.ids).values())


def test_answers_of_the_store_that_are_lost_cost_no_try(faults):
    wire = faults.proxy("AWS_ENDPOINT_URL_DYNAMODB", faults.dynamo_port)
    faults.wait_ready(faults.start_workers())
    history = History()
    started = time.monotonic()
    wire.lose_every = 5
    for n in range(100):
        while True:
            with contextlib.suppress(jobs.Unavailable):
                history.add(faults.submit(n, key=f"lossy-{n}"))
                break
    history.wait(60)
    wire.lose_every = 0
    finish(faults, history, "every fifth answer of DynamoDB lost", within=60, since=started)
    assert all((job.attempt, job.failures) == (1, 0) for job in jobs.table().get_many(history.ids).values())


def test_connections_to_redis_that_are_cut_again_and_again_lose_nothing(faults):
    wire = faults.proxy("REDIS_URL", faults.redis_port)
    faults.wait_ready(faults.start_workers())
    history = History()
    started = time.monotonic()
    for n in range(100):
        history.add(faults.submit(n, slow=0.1))
        if n % 10 == 9:
            wire.cut()
            time.sleep(0.5)
    finish(faults, history, "connections to Redis cut ten times under load", within=90, since=started)
    assert all(job.failures == 0 for job in jobs.table().get_many(history.ids).values())


def test_flushall_with_500_queued_and_8_running_loses_nothing(faults):
    history = History()
    history.add(*(faults.submit(n, slow=2 if n < 8 else None) for n in range(508)))
    faults.wait_ready(faults.start_workers(WORKER_PROCESSES="interactive:8,bulk:0"), 8)
    deadline = time.monotonic() + 20
    while sum(bool(steps) and steps[-1][1] == "running" for steps in history.seen.values()) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    client(faults).flushall()
    finish(faults, history, "FLUSHALL with 500 queued and 8 running", within=120, since=time.monotonic())


def test_redis_killed_and_started_empty_loses_nothing(faults):
    faults.wait_ready(faults.start_workers())
    history = History()
    history.add(*(faults.submit(n, slow=0.2) for n in range(60)))
    faults.redis.kill()
    faults.redis.wait()
    time.sleep(2)
    faults.start_redis()
    finish(faults, history, "Redis killed and restarted empty", within=120, since=time.monotonic())


def test_redis_stopped_for_20_seconds_delays_and_loses_nothing(faults):
    faults.wait_ready(faults.start_workers())
    history = History()
    history.add(*(faults.submit(n, slow=0.2) for n in range(60)))
    faults.redis.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    job_id = faults.submit(1000)
    assert time.monotonic() - started < 5, "a submission must not hang on Redis"
    history.add(job_id)
    time.sleep(max(0.0, 20 - (time.monotonic() - started)))
    faults.redis.send_signal(signal.SIGCONT)
    finish(faults, history, "Redis stopped for 20 s", within=90, since=time.monotonic())


@pytest.mark.parametrize(
    "where",
    [
        "between pop and claim",
        "in mid-fetch",
        "between two artifacts",
        "after the words and before the finish",
        "after the finish and before the acknowledgement",
    ],
)
def test_a_worker_killed_costs_its_job_seconds(faults, where):
    pool = faults.start_workers(fault=where)
    faults.wait_ready(pool)
    history = History()
    first = faults.submit(0)
    history.add(first)
    started = time.monotonic()
    history.wait(30)
    recovery = history.ended_at[first] - started
    assert recovery < 5
    history.add(*(faults.submit(n) for n in range(1, 20)))
    history.wait(30)
    figures = history.check()
    note(faults.folder, f"worker killed {where}", **figures, recovery=round(recovery, 1))
    kept = jobs.evidence_of(jobs.get(first, OWNER))  # of the second claim: nobody reads the first one's pieces
    assert sum(kept.table.counts) == len(kept.tokens)
    jobs.erase(first, OWNER)
    store = jobs.table()
    items = store._call("query", **table.under(f"job#{first}"), ConsistentRead=True)["Items"]
    assert [item["sk"]["S"] for item in items] == ["job"], "an erase leaves a tombstone alone, whichever claim wrote"


def test_two_workers_with_the_same_job_make_one_result(faults):
    history = History()
    ids = [faults.submit(n, slow=0.3) for n in range(10)]
    for _ in range(5):
        for job_id in ids:  # as an entry that is there twice would lie
            client(faults).rpush(queue.window(queue.INTERACTIVE), f"{job_id}-{OWNER}")
    history.add(*ids)
    started = time.monotonic()
    faults.wait_ready(faults.start_workers())
    history.wait(60)
    assert all(job.attempt == 1 for job in jobs.table().get_many(ids).values()), "a duplicate was run"
    finish(faults, history, "the same jobs six times on the queue", within=1, since=started)


def test_a_worker_stopped_past_its_lease_and_woken_writes_nothing(tmp_path):
    with stack(tmp_path, **SLOW) as made:
        pool = made.start_workers(fault="stopped past the lease", WORKER_PROCESSES="interactive:2,bulk:0")
        made.wait_ready(pool, 2)
        history = History()
        job_id = made.submit(1)
        history.add(job_id)
        started = time.monotonic()
        history.wait(40)
        mark = tmp_path / "once-0"
        os.kill(int(mark.read_text()), signal.SIGCONT)
        time.sleep(2)
        done = jobs.table().get(job_id)
        assert (done.state, done.attempt, done.failures) == ("succeeded", 2, 1)
        finish(made, history, "worker stopped past its lease and woken", within=1, since=started)


def test_sweeps_at_once_and_beside_a_finishing_worker_do_no_harm(faults):
    history = History()
    history.add(*(faults.submit(n) for n in range(100)))
    client(faults).flushall()
    started = time.monotonic()
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            sweeping.sweep(seconds=2)

    sweepers = [threading.Thread(target=sweep) for _ in range(3)]
    for sweeper in sweepers:
        sweeper.start()
    faults.wait_ready(faults.start_workers())
    history.wait(90)
    stop.set()
    for sweeper in sweepers:
        sweeper.join()
    assert all(job.attempt == 1 for job in jobs.table().get_many(history.ids).values())
    finish(faults, history, "four sweeps at once beside finishing workers", within=1, since=started)


def test_a_page_that_kills_its_worker_ends_as_worker_lost_and_the_others_go_on(faults):
    pool = faults.start_workers(fault="a page that kills")
    faults.wait_ready(pool)
    history = History()
    ids = [faults.submit(n, say="killer" if n == 25 else None) for n in range(51)]
    history.add(*ids)
    name = "a page that kills its worker among fifty good ones"
    finish(faults, history, name, within=90, since=time.monotonic(), failed={ids[25]: "worker-lost"})


def test_a_storm_of_sigterm_strands_nothing(faults):
    history = History()

    def load() -> None:
        for n in range(400):
            history.add(faults.submit(n, slow=0.05))
            time.sleep(0.1)

    started = time.monotonic()
    loader = threading.Thread(target=load)
    loader.start()
    restarts = 0
    while restarts < 20:
        pool = faults.start_workers()
        faults.wait_ready(pool)
        time.sleep(0.1 * (restarts % 7))
        pool.send_signal(signal.SIGTERM)
        assert pool.wait(30) == 0
        restarts += 1
    loader.join()
    at_end = time.monotonic()
    faults.start_workers()
    history.wait(120)
    jobs_now = jobs.table().get_many(history.ids).values()
    assert sum(job.failures for job in jobs_now) == 0, "a stop cost a job one of its tries"
    finish(faults, history, "SIGTERM storm: 20 restarts under load", within=1, since=max(started, at_end))


def test_a_stop_is_heard_at_any_moment_of_a_start(faults):
    slowest = 0.0
    for turn in range(10):
        pool = faults.start_workers()
        time.sleep(0.6 + 0.2 * turn)  # while it loads, forks, registers
        asked = time.monotonic()
        pool.send_signal(signal.SIGTERM)
        assert pool.wait(20) in (0, -signal.SIGTERM)
        slowest = max(slowest, time.monotonic() - asked)
    assert slowest < 10
    note(faults.folder, "SIGTERM at any moment of a start", jobs=0, lost=0, doubled=0, claims=0, recovery=slowest)


def test_a_second_sigterm_ends_at_once_and_loses_nothing(faults):
    pool = faults.start_workers()
    faults.wait_ready(pool)
    history = History()
    history.add(*(faults.submit(n, slow=8) for n in range(4)))
    deadline = time.monotonic() + 20
    while sum(bool(steps) and steps[-1][1] == "running" for steps in history.seen.values()) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pool.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    pool.send_signal(signal.SIGTERM)
    started = time.monotonic()
    pool.wait(5)
    faults.start_workers()
    finish(faults, history, "second SIGTERM in mid-job", within=60, since=started)


def test_a_clock_that_is_wrong_on_one_worker_steals_no_lease(faults):
    history = History()
    ids = [faults.submit(n, slow=1.5) for n in range(12)]
    history.add(*ids)
    started = time.monotonic()
    faults.start_workers(WORKER_PROCESSES="interactive:2,bulk:0")
    faults.start_workers(fault="clock ahead", WORKER_PROCESSES="interactive:2,bulk:0")
    history.wait(60)
    assert all(job.attempt == 1 and job.failures == 0 for job in jobs.table().get_many(ids).values())
    finish(faults, history, "clock five minutes ahead on one pool", within=1, since=started)


def test_the_whole_host_lost_waits_for_the_lease_and_no_longer(tmp_path):
    with stack(tmp_path, **SLOW) as made:
        pool = made.start_workers()
        made.wait_ready(pool)
        history = History()
        history.add(*(made.submit(n, slow=2) for n in range(8)))
        deadline = time.monotonic() + 20
        while sum(bool(steps) and steps[-1][1] == "running" for steps in history.seen.values()) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for pid in [pool.pid, *made.children(pool)]:
            os.kill(pid, signal.SIGKILL)
        pool.wait()
        started = time.monotonic()
        made.start_workers()
        finish(made, history, "a whole host lost (lease of 4 s)", within=60, since=started)


def test_what_may_pass_is_tried_again_and_what_will_not_fails_at_once(faults):
    faults.wait_ready(faults.start_workers())
    history = History()
    passing = [faults.submit(n, status=503, times=1) for n in range(5)]
    hopeless = [faults.submit(n, status=404) for n in range(5, 10)]
    always = [faults.submit(n, status=500) for n in range(10, 12)]
    asked = faults.submit(12, status=429, times=1, after=3)
    history.add(*passing, *hopeless, *always, asked)
    started = time.monotonic()
    failed = dict.fromkeys([*hopeless, *always], "http-status")
    finish(faults, history, "pages that answer 404, 429, 500 and 503", within=60, since=started, failed=failed)
    now = jobs.table().get_many(history.ids)
    assert [now[job_id].attempt for job_id in hopeless] == [1] * 5
    assert [now[job_id].attempt for job_id in always] == [3] * 2
    assert [now[job_id].attempt for job_id in passing] == [2] * 5
    assert history.ended_at[asked] - started >= 3


def test_hostile_payloads_are_put_aside_and_the_workers_live_on(faults):
    pool = faults.start_workers()
    faults.wait_ready(pool)
    before = faults.children(pool)
    name = queue.name(queue.INTERACTIVE)
    connection = client(faults)
    trap = faults.folder / "owned"
    rq.Queue(name, connection=connection, serializer=JSONSerializer).enqueue("os.mknod", str(trap))
    rq.Queue(name, connection=connection).enqueue("os.mknod", str(trap))  # pickle
    rq.Queue(name, connection=connection, serializer=JSONSerializer).enqueue(queue.FUNCTION, "no id")
    rq.Queue(name, connection=connection, serializer=JSONSerializer).enqueue(queue.FUNCTION, "a" * 32)  # unknown
    rq.Queue(name, connection=connection, serializer=JSONSerializer).enqueue(queue.FUNCTION, "a" * 32, x=1)
    for entry, fields in {
        "junk": {"data": b"\x00\xff", "created_at": "never"},
        "bomb": {"data": zlib.compress(b"["), "created_at": "2026-01-01T00:00:00Z", "status": "odd"},
        "raw": {"data": pickle.dumps(("os.mknod", None, (str(trap),), {})), "created_at": "2026-01-01T00:00:00Z"},
        "empty": {"x": "y"},
    }.items():
        connection.hset(f"rq:job:{entry}", mapping=fields)
        connection.rpush(f"rq:queue:{name}", entry)
    connection.rpush(f"rq:queue:{name}", b"\xff\xfe", "gone", "with:colon", "")
    history = History()
    history.add(*(faults.submit(n) for n in range(10)))
    finish(faults, history, "hostile payloads on the queue", within=40, since=time.monotonic())
    assert not trap.exists()
    assert faults.children(pool) == before, "a payload took a worker down"


def test_a_queue_that_is_merely_long_costs_no_attempt_and_no_duplicate(faults):
    ids = [faults.submit(n) for n in range(300)]
    store = jobs.table()
    store.clock._offset += 60_000  # a minute later, all of them still wait
    swept = sweeping.sweep()
    store.clock._offset -= 60_000
    assert (swept.requeued, swept.failed) == ([], [])
    assert queue.depth(queue.INTERACTIVE) == 300
    assert {job.version for job in store.get_many(ids).values()} == {1}


def test_jobs_for_one_host_wait_for_its_slots_and_seldom_come_back(tmp_path):
    with stack(tmp_path, FETCH_HOST_RATE="10") as made:
        made.wait_ready(made.start_workers())
        history = History()
        started = time.monotonic()
        history.add(*(made.submit(n) for n in range(80)))
        history.wait(60)
        took = time.monotonic() - started
        assert took >= 6, "eighty pages at ten a second, with a burst of ten"
        now = jobs.table().get_many(history.ids).values()
        assert all(job.attempt <= 8 and job.failures == 0 for job in now), "a job bounced"
        assert sum(job.attempt for job in now) <= 80 * 3, "jobs came back again and again"
        finish(made, history, "80 jobs for one host at 10 a second", within=1, since=started)


def test_a_worker_that_cannot_finish_tries_on_and_then_lets_go(faults, monkeypatch):
    job_id = faults.submit(1)
    store = jobs.table()
    calls = []

    def away(*_, **__):
        calls.append(time.monotonic())
        raise Unavailable("away")

    with monkeypatch.context() as broken:
        broken.setenv("LEASE_SECONDS", "4")
        broken.setenv("FETCH_DEADLINE", "3")
        broken.setattr(store, "finish", away)
        outcome = pipeline.count_page(job_id, "alone")
    assert outcome.state == "refused"
    assert len(calls) > 3
    assert calls[-1] - calls[0] < 4
    assert store.get(job_id).state == "running"
