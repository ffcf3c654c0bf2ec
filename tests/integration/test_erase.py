"""Erase means erased: no byte of a text is left once its job has ended or was erased, whatever is sent afterwards."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import jobs, pipeline, queue, submissions, sweeping
from chalicelib.net import forks
from chalicelib.store import artifacts, records
from tests.conftest import Table

TEXT = "A quite unmistakable sentence about zymurgy and quokkas. " * 20
PAGE = f"<p>{TEXT}</p>"


@pytest.fixture(autouse=True)
def _servers(table: Table, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QUEUE_NAME", f"erase-{uuid.uuid4().hex[:8]}")
    forks.clear()
    yield
    forks.clear()


def request(key: str | None, **fields: str) -> jobs.Request:
    return jobs.Request(submissions.read(fields), "anonymous", key=key, request_id=uuid.uuid4().hex)


def kept(table: Table, *documents: str) -> list[str]:
    """Sort keys of the items that hold one of these documents, packed or as it is."""
    items = table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]
    packed = [piece for document in documents for piece in artifacts.packed(document)]
    whole = "".join(map(str, items))
    assert not any(document[:30] in whole for document in documents)
    return [item["sk"]["S"] for item in items if item.get("data", {}).get("B") in packed]


def pieces(table: Table) -> list[str]:
    items = table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]
    return [item["sk"]["S"] for item in items if item["sk"]["S"] != "job"]


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_nothing_sent_under_the_key_of_an_erased_job_is_kept(table: Table, *, many: bool) -> None:
    def submit(asked: jobs.Request) -> Any:
        if not many:
            return jobs.submit(asked)[0]
        [found] = jobs.submit_many([asked])
        if isinstance(found, Exception):
            raise found
        return found

    job = submit(request("k", text=TEXT))
    assert kept(table, TEXT) != []
    with pytest.raises(jobs.KeyReused):
        submit(request("k", html=PAGE))
    assert kept(table, PAGE) == []
    jobs.erase(job.id, "anonymous")
    with pytest.raises(jobs.Gone):
        submit(request("k", text=TEXT))
    with pytest.raises(jobs.Gone):
        submit(request("k", html=PAGE))
    assert pieces(table) == []


def test_of_two_requests_at_once_under_one_key_the_refused_one_leaves_nothing(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_have_looked, item = threading.Barrier(2, timeout=30), records.Records._item
    looked = threading.local()

    def look(self: records.Records, place: Any) -> Any:
        found = item(self, place)
        if not hasattr(looked, "once"):
            looked.once = both_have_looked.wait()
        return found

    monkeypatch.setattr(records.Records, "_item", look)
    refused = []

    def submit(**fields: str) -> None:
        try:
            jobs.submit(request("k", **fields))
        except jobs.KeyReused:
            refused.append(*fields.values())

    threads = [threading.Thread(target=submit, kwargs=fields) for fields in ({"text": TEXT}, {"html": PAGE})]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [lost] = refused
    [won] = {TEXT, PAGE} - {lost}
    assert (len(kept(table, lost)), len(kept(table, won))) == (0, 1)


def test_the_input_goes_when_the_job_ends_however_it_ends(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def state(job: jobs.Job) -> str:
        return jobs.get(job.id, "anonymous").state

    done, canceled, lost, failed = (jobs.submit(request(None, text=TEXT))[0] for _ in range(4))
    assert len(kept(table, TEXT)) == 4
    assert pipeline.count_page(done.id).state == "succeeded"
    jobs.cancel(canceled.id, "anonymous")
    monkeypatch.setenv("MAX_ATTEMPTS", "1")
    assert jobs.table().claim(lost.id, "w", lease_ms=60_000, max_attempts=1) is not None
    assert sweeping.recover(lost.id, "w").failed == [lost.id]
    monkeypatch.setattr(pipeline, "_source", lambda *_: 1 / 0)
    assert pipeline.count_page(failed.id).state == "failed"
    assert [state(job) for job in (done, canceled, lost, failed)] == ["succeeded", "canceled", "failed", "failed"]
    assert kept(table, TEXT) == []


def test_an_ended_job_that_is_submitted_again_is_found_and_its_input_not_written(table: Table) -> None:
    job, _ = jobs.submit(request("k", text=TEXT))
    pipeline.count_page(job.id)
    again, created = jobs.submit(request("k", text=TEXT))
    assert (again.id, again.state, created) == (job.id, "succeeded", False)
    assert kept(table, TEXT) == []
    assert queue.depth(queue.INTERACTIVE) == 1
