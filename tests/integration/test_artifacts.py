"""What a job holds besides its record: pieces in the table, large ones in the object store."""

import contextlib
import errno
from pathlib import Path

import pytest

from chalicelib.aws import objects
from chalicelib.aws.objects import ObjectError
from chalicelib.errors import Gone, NotKept, Unavailable
from chalicelib.store.job import key, pk, values
from chalicelib.store.records import Job, Packed, Records
from tests.factories import a_job, records_by_boto3

RESULT = {"page": {"language": "en"}, "totals": {"words": 3}, "top": []}
MADE = {"words": Packed([b"one", b"two"]), "text": Packed([b"t" * 900_000], large=True), "tokens": Packed([b"3"])}


@pytest.fixture
def store(table) -> Records:
    return records_by_boto3(table.client, table.name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBJECT_STORE", str(tmp_path / "objects"))
    return tmp_path / "objects"


def claimed(store: Records) -> Job:
    now = store.now()
    job = a_job(kind="text", submitted_at=now, expires_at=now // 1000 + 3600)
    store.submit(job)
    mine = store.claim(job.id, "w", lease_ms=60_000, max_attempts=3)
    assert mine is not None
    return mine


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def items(table) -> list[str]:
    return sorted(
        item["sk"]["S"].rpartition("#")[0] or "job" for item in table.client.scan(TableName=table.name)["Items"]
    )


def test_every_artifact_is_read_back_from_where_it_fits(store, folder):
    mine = claimed(store)
    assert store.finish(mine, MADE, **RESULT)
    done = store.get(mine.id)
    assert {name: known["pieces"] for name, known in done.artifacts.items()} == {"words": 2, "text": 1, "tokens": 1}
    assert {name: b"".join(store.artifact(done, name)) for name in MADE} == {
        "words": b"onetwo",
        "text": b"t" * 900_000,
        "tokens": b"3",
    }
    [kept] = files(folder)
    assert kept.stat().st_size == 900_000
    with pytest.raises(NotKept):
        store.artifact(done, "phonemes")


def test_artifacts_of_many_jobs_are_read_together_but_for_those_that_lack_one(store, folder, monkeypatch):
    ended = []
    for number in range(40):
        mine = claimed(store)
        made = {"words": Packed([b"%d" % number, b"two"]), "text": Packed([b"t" * number], large=True)}
        assert store.finish(mine, made if number != 3 else {"words": Packed([b"one"])}, **RESULT)
        ended.append(store.get(mine.id))
    assert store.erase(ended[5].id, "anna", expires_at=ended[5].expires_at)
    (folder / "jobs" / ended[7].id / f"text-{ended[7].artifacts['text']['claim']}").unlink()
    real, calls = store.send, []
    monkeypatch.setattr(store, "send", lambda *given: calls.append(given) or real(*given))
    assert store.artifacts(ended, ["words", "text"]) == {
        job.id: {"words": [b"%d" % number, b"two"], "text": [b"t" * number]}
        for number, job in enumerate(ended)
        if number not in (3, 5, 7)
    }
    assert len(calls) <= 5


def test_without_an_object_store_a_large_artifact_is_in_pieces(store):
    mine = claimed(store)
    assert store.finish(mine, MADE, **RESULT)
    done = store.get(mine.id)
    assert done.artifacts["text"]["pieces"] == 3
    assert b"".join(store.artifact(done, "text")) == b"t" * 900_000


def test_erasing_deletes_every_artifact_and_every_object(store, table, folder):
    mine = claimed(store)
    store.finish(mine, MADE, **RESULT)
    done = store.get(mine.id)
    assert store.erase(mine.id, "anna", expires_at=mine.expires_at)
    assert items(table) == ["job"]
    assert files(folder) == []
    assert not (folder / "jobs" / mine.id).exists()
    with pytest.raises(Gone):
        store.artifact(done, "text")


@pytest.mark.parametrize("writes", range(1, 6))
def test_what_a_dying_worker_wrote_is_read_by_nobody_and_erased_with_the_job(store, table, folder, writes, monkeypatch):
    class Killed(BaseException):
        pass

    first = claimed(store)
    real, done = store.send, []

    def dying(operation, arguments):
        if len(done) == writes:
            raise Killed
        done.append(operation)
        return real(operation, arguments)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(store, "send", dying)
        store.finish(first, MADE, **RESULT)
    assert store.get(first.id).artifacts == ({} if writes < 5 else store.get(first.id).artifacts)
    if writes < 5:
        assert store.give_back(store.get(first.id), failed=True)
        again = store.claim(first.id, "x", lease_ms=60_000, max_attempts=3)
        assert store.finish(again, {"words": Packed([b"new"]), "text": Packed([b"text"])}, **RESULT)
        ended = store.get(first.id)
        assert (store.artifact(ended, "words"), store.artifact(ended, "text")) == ([b"new"], [b"text"])
        with pytest.raises(NotKept):
            store.artifact(ended, "tokens")
    assert store.erase(first.id, "anna", expires_at=first.expires_at)
    assert (items(table), files(folder)) == (["job"], [])


def test_a_claim_that_was_lost_leaves_no_artifacts(store, table, folder):
    mine = claimed(store)
    assert store.cancel(mine.id, "anna") is not None
    assert not store.finish(mine, MADE, **RESULT)
    assert (items(table), files(folder)) == (["job"], [])


def test_an_object_store_that_is_away_is_as_when_the_table_is(store, folder, monkeypatch):
    mine = claimed(store)
    folder.write_text("not a folder")
    with pytest.raises((Unavailable, OSError)):
        store.finish(mine, MADE, **RESULT)
    assert store.get(mine.id).state == "running"


@pytest.mark.parametrize(
    "error",
    [ObjectError("http-status", "S3 answered NoSuchBucket.", absent=True), OSError(errno.ENOSPC, "No space left")],
)
def test_an_object_store_that_takes_nothing_says_unavailable_so_that_the_worker_lives(
    store, folder, monkeypatch, error
):
    def fail(*_):
        raise error

    mine = claimed(store)
    monkeypatch.setattr(objects, "put", fail)
    with pytest.raises(Unavailable):
        store.finish(mine, MADE, **RESULT)
    assert store.get(mine.id).state == "running"


def test_a_record_of_the_first_schema_is_read(store, table):
    mine = claimed(store)
    store._put_piece(mine.id, f"words#{mine.claim}", 0, {"data": b"old"}, mine.expires_at)
    store._call(
        "update_item",
        Key=key(pk(mine.id), "job"),
        UpdateExpression="SET #state = :done, words_claim = :claim, words_pieces = :one REMOVE artifacts",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues=values({":done": "succeeded", ":claim": mine.claim, ":one": 1}),
    )
    done = store.get(mine.id)
    assert store.artifact(done, "words") == [b"old"]
    with pytest.raises(NotKept):
        store.artifact(done, "text")
