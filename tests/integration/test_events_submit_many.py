"""Many submissions at once give what as many single ones give, on both stores."""

from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib import jobs, queue, submissions
from chalicelib.aws import dynamodb
from chalicelib.errors import Gone, KeyReused
from chalicelib.net import forks
from chalicelib.store import records
from tests.conftest import Table

pytestmark = pytest.mark.usefixtures("redis_url")


def ask(key: str | None, **fields: str) -> jobs.Request:
    return jobs.Request(submissions.read(fields), "o", key, jobs.BULK, "r-1")


def test_new_jobs_are_written_and_on_the_queue_in_their_order(table: Table) -> None:
    asked = [ask(f"k{n}", url=f"a{n}.de", language="de") for n in range(100)]
    asked[50:50] = [ask("t", text="some words"), ask("h", html="<p>x", select="p"), ask(None, url="b.de")]
    made = jobs.submit_many(asked)
    assert [one.url for one in made[:50] if isinstance(one, jobs.Job)] == [f"https://a{n}.de/" for n in range(50)]
    for one, request in zip(made, asked, strict=True):
        assert isinstance(one, jobs.Job)
        kept = jobs.table().get(one.id)
        assert kept is not None
        assert (kept.kind, kept.url, kept.options) == (
            request.submission.kind,
            request.submission.url,
            request.submission.options,
        )
        assert (kept.owner, kept.queue, kept.request_id, kept.state) == ("o", "bulk", "r-1", "queued")
        if request.submission.document:
            assert jobs.table().document(kept).decode() == request.submission.document
    assert queue.depth("bulk") == len(asked)
    assert jobs.backlog()["bulk"][0] == len(asked)


def test_a_replay_finds_its_jobs_as_they_are_now_and_queues_nothing(table: Table) -> None:
    asked = [ask(f"k{n}", url="a.de") for n in range(150)]
    first = jobs.submit_many(asked)
    jobs.cancel(first[7].id, "o")  # type: ignore[union-attr]
    depth = queue.depth("bulk")
    again = jobs.submit_many([*asked[100:], *asked[:100]])
    assert {one.id for one in again if isinstance(one, jobs.Job)} == {
        one.id for one in first if isinstance(one, jobs.Job)
    }
    assert again[57].state == "canceled"  # type: ignore[union-attr]
    assert queue.depth("bulk") == depth


def test_each_gets_its_own_refusal(table: Table) -> None:
    jobs.submit_many([ask("used", url="a.de"), ask("erased", url="a.de"), ask("doc", text="x")])
    jobs.erase(records.key_id("o", "erased"), "o")
    found = jobs.submit_many(
        [ask("used", url="b.de"), ask("erased", url="a.de"), ask("doc", text="y"), ask("n", url="a.de")]
    )
    assert [type(one) for one in found] == [KeyReused, Gone, KeyReused, jobs.Job]


def test_an_expired_job_makes_room_for_a_new_one(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    [old] = jobs.submit_many([ask("k", url="a.de")])
    clock = jobs.table().clock
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + 40 * 86_400_000)
    [new] = jobs.submit_many([ask("k", url="b.de")])
    assert isinstance(new, jobs.Job)
    assert isinstance(old, jobs.Job)
    assert (new.id, new.url) == (old.id, "https://b.de/")


def test_the_same_key_twice_at_once_is_one_job_on_the_queue_once(table: Table) -> None:
    made = jobs.submit_many([ask("k", url="a.de")] * 40)
    assert len({one.id for one in made if isinstance(one, jobs.Job)}) == 1
    assert queue.depth("bulk") == 1


@pytest.mark.parametrize("said", [False, None])  # by a second try after a lost answer; by a connection that broke
def test_a_put_whose_answer_was_lost_still_reaches_the_queue(
    table: Table, monkeypatch: pytest.MonkeyPatch, said: bool | None
) -> None:
    honest = dynamodb.Client.put_many

    def forgetful(client: dynamodb.Client, puts: Sequence[Any]) -> list[bool | None]:
        honest(client, puts)
        return [said for _ in puts]

    monkeypatch.setattr(dynamodb.Client, "put_many", forgetful)
    forks.clear()
    made = jobs.submit_many([ask(f"k{n}", url="a.de") for n in range(20)])
    assert all(isinstance(one, jobs.Job) for one in made)
    assert queue.depth("bulk") == 20


def test_a_document_whose_job_was_put_twice_still_reaches_the_queue(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = jobs.table()
    send = store.send

    def twice(operation: str, arguments: Any) -> Any:  # as the client does when an answer is lost
        if operation == "put_item":
            send(operation, arguments)
        return send(operation, arguments)

    monkeypatch.setattr(store, "send", twice)
    assert isinstance(jobs.submit_many([ask("k", text="some words")])[0], jobs.Job)
    assert queue.depth("bulk") == 1


def test_without_pipelined_puts_each_job_is_put_by_itself(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb.Client, "put_many", lambda _, puts: [None for _ in puts])
    forks.clear()
    made = jobs.submit_many([ask(f"k{n}", url="a.de") for n in range(20)])
    assert all(isinstance(one, jobs.Job) for one in made)
    assert queue.depth("bulk") == 20


def test_nothing_asked_is_nothing_done(table: Table) -> None:
    assert jobs.submit_many([]) == []
