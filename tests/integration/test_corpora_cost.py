"""What it costs to be in a corpus: writes to DynamoDB for each document, beside those of a plain job."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from chalicelib import corpora, jobs
from chalicelib.aws.dynamodb import Client
from chalicelib.corpora import Given
from chalicelib.corpus import compaction
from chalicelib.store.records import Records
from chalicelib.submissions import Submission
from tests.conftest import Table
from tests.integration.corpora import Run, new, some_text, worked_off

NUMBER = 60


@pytest.fixture
def run(dynalite_table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return worked_off(tmp_path, monkeypatch)


@pytest.mark.long
def test_a_document_takes_under_two_more_writes_than_a_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made, milliseconds, real, real_many = Counter[str](), dict[str, float](), Client.call, Client.put_many

    def call(self: Client, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        several = [one for some in arguments.get("RequestItems", {}).values() for one in some]
        made["writes"] += len(several) if operation == "batch_write_item" else operation[:3] in ("put", "upd", "del")
        return real(self, operation, arguments)

    def put_many(self: Client, puts: Sequence[Mapping[str, Any]]) -> list[bool | None]:
        made["writes"] += len(puts)
        return real_many(self, puts)

    monkeypatch.setattr(Client, "call", call)
    monkeypatch.setattr(Client, "put_many", put_many)
    given = [Submission("text", document=some_text(at, 600), options={"language": "en"}) for at in range(NUMBER)]

    def measured(name: str, do: Any) -> None:
        made["writes"], since = 0, time.process_time()
        do()
        milliseconds[name] = round((time.process_time() - since) * 1_000 / NUMBER, 2)
        made[name] = made["writes"]

    def plain() -> None:
        jobs.submit_many([jobs.Request(one, "ann", queue=jobs.BULK) for one in given])
        run()

    def documents() -> None:
        corpora.add(corpus, "ann", [Given(one, f"k{at}") for at, one in enumerate(given)])
        run()

    for _ in range(2):  # the first one loads what both need
        corpus = new()
        measured("plain", plain)
        measured("documents", documents)
    assert corpora.is_complete(corpora.get(corpus, "ann"))
    assert made["plain"] >= 2 * NUMBER, "nothing was counted"
    assert made["documents"] < made["plain"] + 2 * NUMBER
    print({name: (made[name] / NUMBER, milliseconds[name]) for name in milliseconds})  # shown by -s


def test_a_look_reads_few_jobs_of_documents_that_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, read, get_many = new(), list[int](), Records.get_many
    given = [Submission("text", document=some_text(at), options={"language": "en"}) for at in range(NUMBER)]
    for batch in range(2):
        corpora.add(corpus, "ann", [Given(one, f"k{batch}-{at}") for at, one in enumerate(given)])

    def counted(self: Records, job_ids: Sequence[str]) -> dict[str, Any]:
        read.append(len(job_ids))
        return get_many(self, job_ids)

    monkeypatch.setattr(Records, "get_many", counted)
    assert compaction.compact(jobs.table(), corpora.get(corpus, "ann"), seconds=5) is False
    assert sum(read) < NUMBER / 5
    run()
    assert corpora.is_complete(corpora.get(corpus, "ann"))
    assert corpora.get(corpus, "ann").manifest.documents == 2 * NUMBER
