"""Corpora in a pool that is killed, whose servers are emptied, stopped or away: no count is wrong, none doubled."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis

from chalicelib import corpora, jobs
from chalicelib.aws import objects
from chalicelib.corpora import Given
from chalicelib.submissions import Submission
from tests.corpus_files import whole

from .harness import OWNER, Stack, note, stack, until

SETTINGS = {"LEASE_SECONDS": "20", "FETCH_DEADLINE": "5", "WORKER_PROCESSES": "interactive:2,bulk:2"}
DOCUMENTS = 30


def text(number: int, turn: int) -> Given:
    """A document with the word ``common`` once, and one word that only this version of it has."""
    words = f"common word{number} turn{turn} " + "other " * (number % 5)
    return Given(Submission("text", document=words, options={"language": "en"}), f"k{number}")


def expected(turn: int, changed: int) -> dict[str, int]:
    found = {"common": DOCUMENTS, "other": sum(n % 5 for n in range(DOCUMENTS))}
    found |= {f"word{n}": 1 for n in range(DOCUMENTS)}
    return found | {name: count for name, count in ((f"turn{turn}", changed), ("turn0", DOCUMENTS - changed)) if count}


def counts(corpus_id: str) -> dict[str, int]:
    table = whole(corpora.table(corpora.get(corpus_id, OWNER)))
    return dict(zip(table.words, table.counts, strict=True))


class Watcher(threading.Thread):
    """Reads the counts all the while: none may ever be more than the documents hold."""

    def __init__(self, corpus_id: str) -> None:
        super().__init__(daemon=True)
        self.corpus_id, self.wrong, self.seen = corpus_id, list[Any](), 0
        self.done = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.done.wait(0.1):
            with contextlib.suppress(jobs.Unavailable, objects.ObjectError):
                found = counts(self.corpus_id)
                self.seen += 1
                if found.get("common", 0) > DOCUMENTS or any(found.get(f"word{n}", 0) > 1 for n in range(DOCUMENTS)):
                    self.wrong.append(found)


def until_complete(corpus_id: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(jobs.Unavailable):
            if corpora.is_complete(corpora.get(corpus_id, OWNER)):
                return
        time.sleep(0.1)
    raise TimeoutError(corpora.state(corpora.get(corpus_id, OWNER)))


def make() -> str:
    return corpora.create(OWNER, name="", options={"language": "en"}, metadata=[], key=None)[0].id


def fill(corpus_id: str) -> None:
    """Several requests, and of some documents a second version: several compactions run at once."""
    for start in range(0, DOCUMENTS, 5):
        corpora.add(corpus_id, OWNER, [text(n, 0) for n in range(start, start + 5)])
    corpora.add(corpus_id, OWNER, [text(n, 1) for n in range(7)])


def judge(corpus_id: str, watcher: Watcher, name: str, folder: Path, since: float) -> None:
    until_complete(corpus_id, 180)
    watcher.done.set()
    watcher.join()
    assert watcher.seen, "nobody looked"
    assert watcher.wrong == []
    assert counts(corpus_id) == expected(1, 7)
    seen = corpora.state(corpora.get(corpus_id, OWNER))
    assert seen["documents"] == {"total": DOCUMENTS, "waiting": 0, "running": 0, "succeeded": DOCUMENTS, "failed": 0}
    note(folder, name, jobs=DOCUMENTS, lost=0, doubled=0, recovery=round(time.monotonic() - since, 1))


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path, OBJECT_STORE=str(tmp_path / "objects"), **SETTINGS) as made:
        yield made


@pytest.mark.parametrize(
    "where",
    ["between two files of a compaction", "before a compaction's manifest", "after a compaction's manifest"],
)
def test_a_worker_killed_in_a_compaction_changes_no_count(faults: Stack, where: str) -> None:
    pool = faults.start_workers(fault=where)
    faults.wait_ready(pool)
    corpus_id = make()
    watcher, since = Watcher(corpus_id), time.monotonic()
    fill(corpus_id)
    judge(corpus_id, watcher, f"kill -9 {where}", faults.folder, since)
    assert (faults.folder / "once-0").exists(), "nobody was killed"


def test_a_pool_killed_again_and_again_changes_no_count(faults: Stack) -> None:
    corpus_id = make()
    watcher, since = Watcher(corpus_id), time.monotonic()
    fill(corpus_id)
    folder = faults.folder / "objects" / "corpora" / corpus_id
    for _ in range(2):
        there = len(list(folder.glob("*")))
        pool = faults.start_workers()
        until(lambda there=there: len(list(folder.glob("*"))) > there, 90, "a compaction that writes files")
        for pid in (pool.pid, *faults.children(pool)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not corpora.is_complete(corpora.get(corpus_id, OWNER)), "killed too late"
    faults.start_workers()
    judge(corpus_id, watcher, "all workers killed in compactions", faults.folder, since)


def test_redis_emptied_again_and_again_changes_no_count(faults: Stack) -> None:
    faults.wait_ready(faults.start_workers())
    corpus_id = make()
    watcher, since = Watcher(corpus_id), time.monotonic()
    fill(corpus_id)
    for _ in range(5):
        redis.Redis(port=faults.redis_port).flushall()
        time.sleep(0.4)
    judge(corpus_id, watcher, "Redis emptied in compactions", faults.folder, since)


def test_dynamodb_that_stops_and_loses_answers_changes_no_count(faults: Stack) -> None:
    wire = faults.proxy("AWS_ENDPOINT_URL_DYNAMODB", faults.dynamo_port)
    faults.wait_ready(faults.start_workers())
    corpus_id = make()
    watcher, since = Watcher(corpus_id), time.monotonic()
    fill(corpus_id)
    wire.lose_every, before = 7, wire.answers
    until(lambda: wire.answers > before + 100, 60, "answers of which some are lost")
    faults.dynamo.send_signal(signal.SIGSTOP)
    time.sleep(5)
    faults.dynamo.send_signal(signal.SIGCONT)
    continued = time.time()
    time.sleep(2)
    wire.lose_every = 0
    judge(corpus_id, watcher, "DynamoDB stopped and lossy in compactions", faults.folder, since)
    assert corpora.get(corpus_id, OWNER).manifest.made_at > continued * 1000, "all was done before"


def test_an_object_store_that_is_away_changes_no_count(tmp_path: Path, moto_server: str) -> None:
    bucket = f"corpora-{os.getpid()}"
    settings = {"OBJECT_STORE": f"s3://{bucket}", "AWS_ENDPOINT_URL_S3": moto_server}
    with stack(tmp_path, **settings, **SETTINGS) as made:
        boto3.client("s3", endpoint_url=moto_server, region_name="us-east-1").create_bucket(Bucket=bucket)
        wire = made.proxy("AWS_ENDPOINT_URL_S3", int(moto_server.rpartition(":")[2]))
        wire.lose_every = 1
        made.wait_ready(made.start_workers())
        corpus_id = make()
        watcher, since = Watcher(corpus_id), time.monotonic()
        fill(corpus_id)
        until(lambda: wire.answers > 5, 60, "answers that are lost")
        time.sleep(3)
        assert not corpora.is_complete(corpora.get(corpus_id, OWNER))
        assert corpora.get(corpus_id, OWNER).manifest.table == ""
        wire.lose_every = 0
        judge(corpus_id, watcher, "object store away in compactions", made.folder, since)


def test_questions_asked_while_documents_are_replaced_are_answered_right_or_refused(faults: Stack) -> None:
    faults.wait_ready(faults.start_workers())
    corpus_id = make()
    fill(corpus_id)
    until_complete(corpus_id, 180)
    page = {"fold_case": True, "limit": 100, "offset": 0, "sort": "left", "window": 3, "unit": "words"}
    answered = refused = 0

    def replace() -> None:
        for turn in range(2, 6):
            corpora.add(corpus_id, OWNER, [text(n, turn) for n in range(turn, turn + 10)])
            time.sleep(0.5)

    writer = threading.Thread(target=replace)
    writer.start()
    while writer.is_alive() or not answered:
        job = corpora.ask(corpora.get(corpus_id, OWNER), "contexts", {"phrase": "common", **page})
        job = jobs.wait(job, 20)
        if job.state == "succeeded":
            found = corpora.answer(job)
            keys = [row["document"]["key"] for row in found["contexts"]]
            assert len(keys) == len(set(keys)) == found["total"] <= DOCUMENTS
            answered += 1
        else:
            assert corpora.why(job)[0] == "corpus-changed", job.error
            refused += 1
    writer.join()
    until_complete(corpus_id, 180)
    found = counts(corpus_id)
    assert (found["common"], found["turn5"], found.get("turn0", 0)) == (DOCUMENTS, 10, DOCUMENTS - 15)
    note(faults.folder, "documents replaced while questions are asked", jobs=answered + refused, lost=0, doubled=0)
