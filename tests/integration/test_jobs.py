"""What a job is promised while DynamoDB's answers get lost, its reads fail, or its own time runs out."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chalicelib import jobs, pipeline, queue, submissions, sweeping
from chalicelib.aws import dynamodb
from chalicelib.store import records


@pytest.fixture
def lossy(redis_url: str, dynalite_table: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """A call to make so that operations of this name are done, and their next answers lost: this many."""
    monkeypatch.setenv("QUEUE_NAME", f"lossy-{uuid.uuid4().hex[:8]}")
    exchange, lose = dynamodb.Client._exchange, dict[str, int]()

    def sometimes(self: dynamodb.Client, target: str, body: bytes) -> Any:
        answer = exchange(self, target, body)
        if lose.get(target, 0) > 0:
            lose[target] -= 1
            raise dynamodb.Failed("NoAnswer", transient=True)
        return answer

    monkeypatch.setattr(dynamodb.Client, "_exchange", sometimes)
    return lose.__setitem__


def a_text(key: str | None = None) -> tuple[jobs.Job, bool]:
    submission = submissions.read({"text": "to be or not to be"})
    return jobs.submit(jobs.Request(submission, "anonymous", key=key, request_id=uuid.uuid4().hex))


def pieces(table: Any) -> list[str]:
    items = table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]
    return [item["sk"]["S"] for item in items if item["sk"]["S"] != "job"]


def test_a_submission_whose_answer_was_lost_is_new_to_its_caller_and_on_the_queue(
    lossy: Callable[[str, int], None],
) -> None:
    submission = jobs.Request(submissions.read({"url": "https://example.com/"}), "anonymous", "k", request_id="r1")
    lossy("PutItem", 1)
    job, created = jobs.submit(submission)
    assert (created, job.version, queue.depth(queue.INTERACTIVE)) == (True, 1, 1)
    assert not jobs.submit(msgspec.structs.replace(submission, request_id="r2"))[1]


def test_a_service_chooses_options_and_a_submission_overrides_them(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(key: str, **given: Any) -> dict[str, Any]:
        request = jobs.Request(submissions.read({"text": "a", **given}), "anonymous", key=key)
        return jobs.submit(request)[0].options

    assert options("usual") == {}
    monkeypatch.setenv("WORDS", "nltk")
    monkeypatch.setenv("KEEP_TEXT", "false")
    assert options("chosen") == {"words": "nltk", "keep_text": False}
    assert options("given", words="unicode", keep_text=True) == {"words": "unicode", "keep_text": True}
    assert options("usual") == {}  # the same request, though the defaults have changed since


def test_an_erasing_whose_answer_was_lost_is_done_and_one_that_was_cut_is_done_by_the_next(
    lossy: Callable[[str, int], None], dynalite_table: Any
) -> None:
    job, _ = a_text()
    lossy("PutItem", 1)
    jobs.erase(job.id, "anonymous")
    assert pieces(dynalite_table) == []
    job, _ = a_text()
    lossy("Query", dynamodb.TRIES)
    with pytest.raises(jobs.Unavailable):
        jobs.erase(job.id, "anonymous")
    assert pieces(dynalite_table)
    with pytest.raises(jobs.Gone):
        jobs.erase(job.id, "anonymous")
    assert pieces(dynalite_table) == []


@pytest.mark.parametrize("redis_is_away", [False, True])
def test_who_waits_while_the_records_are_away_gets_the_job_as_it_was(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch, *, redis_is_away: bool
) -> None:
    job, _ = a_text()
    if redis_is_away:
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    lossy("GetItem", 99)
    assert jobs.wait(job, 5).state == "queued"


def test_a_jobs_end_is_waited_for_while_redis_is_away(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = a_text()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    later = threading.Timer(0.5, jobs.cancel, (job.id, "anonymous"))
    later.start()
    began = time.monotonic()
    assert jobs.wait(job, 20).state == "canceled"
    assert time.monotonic() - began < 5
    later.join()
    other, _ = a_text()
    began = time.monotonic()
    assert jobs.wait(other, 1).state == "queued"
    assert 0.9 < time.monotonic() - began < 3


def test_a_sweep_that_is_cut_off_has_put_on_the_queue_what_it_noted(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [a_text()[0].id for _ in range(3)]
    queue.connection().flushall()
    now = jobs.table().clock.now()
    monkeypatch.setattr(jobs.table().clock, "now", lambda: now + 11_000)
    note_requeued, noted = records.Records.note_requeued, []

    def twice(self: records.Records, job: jobs.Job) -> bool:
        if len(noted) == 2:
            raise jobs.Unavailable
        noted.append(job.id)
        return note_requeued(self, job)

    monkeypatch.setattr(records.Records, "note_requeued", twice)
    with pytest.raises(jobs.Unavailable):
        sweeping.requeue(made)
    assert queue.depth(queue.INTERACTIVE) == 2


def test_a_document_that_cannot_be_read_just_now_costs_no_try(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = a_text()
    store = jobs.table()
    monkeypatch.setattr(pipeline, "BACKOFF_SECONDS", 0.0)
    for _ in range(4):
        lossy("GetItem", dynamodb.TRIES)
        assert pipeline.count_page(job.id).state == "deferred"
    assert pipeline.count_page(job.id).state == "succeeded"
    ended = store.get(job.id)
    assert ended is not None
    assert (ended.attempt, ended.failures) == (5, 0)


def test_expired_jobs_that_never_ended_do_not_hide_those_that_wait(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB deletes what expired within days, a stand-in never."""
    monkeypatch.setattr(sweeping, "PAGE", 2)
    monkeypatch.setattr(records, "SHARDS", 1)
    for _ in range(3):
        a_text()
    clock = jobs.table().clock
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + 31 * 86_400_000)
    waits, _ = a_text()
    monkeypatch.setattr(clock, "now", lambda: now() + 31 * 86_400_000 + 11_000)
    queue.connection().flushall()
    assert [sweeping.sweep().requeued for _ in range(2)] == [[waits.id], []]
    assert queue.depth(queue.INTERACTIVE) == 1


@pytest.mark.parametrize(
    "planted",
    [
        b"[]",
        b"soon",
        b'{"\xff": null}',
        b'{"interactive#0": [9999999999999999, "%032d"]}',
        b'{"interactive#0": [1, "x"]}',
    ],
)
def test_what_somebody_wrote_into_redis_stops_no_sweep(
    lossy: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch, planted: bytes
) -> None:
    monkeypatch.setattr(records, "SHARDS", 1)
    waits, _ = a_text()
    clock = jobs.table().clock
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + 11_000)
    queue.connection().flushall()
    queue.connection().set(queue._sweep("places"), planted.replace(b"%032d", b"0" * 32))
    assert sweeping.sweep().requeued == [waits.id]
