"""Corpora when things break or happen at once: no count is wrong, none is doubled, nothing accepted is lost."""

import contextlib
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib import corpora, errors, jobs, pipeline, sweeping
from chalicelib.aws import objects
from chalicelib.corpus import compaction, files
from chalicelib.errors import Unavailable
from chalicelib.store import corpora as stored
from chalicelib.store.records import Records
from tests.conftest import Table
from tests.integration.corpora import Run, counts, expected, new, some_text, text, worked_off


@pytest.fixture
def run(dynalite_table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return worked_off(tmp_path, monkeypatch)


def stored_files(folder: Path, corpus: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and corpus in str(path)}


def named(corpus: str) -> set[str]:
    return set(files.of_manifest(corpus, corpora.get(corpus, "ann").manifest))


def add(corpus: str, texts: dict[str, str]) -> None:
    corpora.add(corpus, "ann", [text(one, key) for key, one in texts.items()])


class Killed(BaseException):
    """As kill -9: no handler of ours sees it."""


def test_of_two_compactions_at_once_one_counts_and_the_other_leaves_no_file(run: Run, tmp_path: Path) -> None:
    corpus = new()
    texts = {f"k{at}": some_text(at) for at in range(4)}
    add(corpus, texts)
    run()
    add(corpus, {"k1": some_text(11)})
    store = jobs.table()
    for document in store.batch(corpus, 1):
        pipeline.count_page(document.job)
    read = corpora.get(corpus, "ann")
    assert compaction.compact(store, read, seconds=20) is True
    assert compaction.compact(store, read, seconds=20) is None
    assert counts(corpus) == expected([*(texts | {"k1": some_text(11)}).values()])
    assert stored_files(tmp_path, corpus) == named(corpus)
    run()


@pytest.mark.parametrize("call", range(7))
def test_documents_replaced_in_the_middle_of_a_compaction_are_never_counted_twice(
    run: Run, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "old word", "b": "other"})
    for document in jobs.table().batch(corpus, 0):
        pipeline.count_page(document.job)
    real, made = Records._call, 0

    def busy(self: Records, name: str, *more: Any, **given: Any) -> Any:
        nonlocal made
        made += 1
        if made - 1 == call:
            add(corpus, {"a": "new word"})
            for document in jobs.table().batch(corpus, 1):
                pipeline.count_page(document.job)
        return real(self, name, *more, **given)

    read = corpora.get(corpus, "ann")
    with monkeypatch.context() as patch:
        patch.setattr(Records, "_call", busy)
        compaction.compact(jobs.table(), read, seconds=20)
    assert made > call, "nothing was replaced"
    seen = corpora.get(corpus, "ann")
    assert counts(corpus).get("word", (0, 0))[0] <= 1
    assert not corpora.is_complete(seen) or counts(corpus) == expected(["new word", "other"])
    run()
    assert counts(corpus) == expected(["new word", "other"])


def test_batches_with_slow_documents_do_not_keep_the_others_waiting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "UNFINISHED_MOST", 2)
    corpus, store = new(), jobs.table()
    for at in range(6):
        add(corpus, {f"k{at}": f"text number{at}"})
    for number in range(2, 6):  # the first two are slow
        pipeline.count_page(store.batch(corpus, number)[0].job)
    for _ in range(20):
        compaction.compact(store, corpora.get(corpus, "ann"), seconds=20)
    assert counts(corpus)["text"] == (4, 4)
    run()
    assert counts(corpus)["text"] == (6, 6)


@pytest.mark.parametrize("step", ["removed", "put_manifest", "written", "get_many"])
def test_a_compaction_that_dynamodb_does_not_serve_is_put_off(
    run: Run, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "a word"})
    for document in jobs.table().batch(corpus, 0):
        pipeline.count_page(document.job)

    def throttled(*_: Any, **__: Any) -> None:
        raise Unavailable("throttled")

    job = corpora._compaction(corpora.get(corpus, "ann"))
    with monkeypatch.context() as patch:
        patch.setattr(Records, step, throttled)
        outcome = pipeline.count_page(job.id)
    assert (outcome.state, outcome.fault) == ("deferred", None)
    after = jobs.table().get(job.id)
    assert after is not None
    assert after.failures == 0


@pytest.mark.parametrize("step", ["put", "delete", "get"])
def test_a_compaction_waits_for_the_object_store(run: Run, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = new()
    texts = {"a": "a word", "b": "two words"}
    add(corpus, texts)
    for document in jobs.table().batch(corpus, 0):
        pipeline.count_page(document.job)
    job = corpora._compaction(corpora.get(corpus, "ann"))

    def away(*_: Any) -> None:
        raise objects.ObjectError("connection-failed", "S3 did not answer.", transient=True)

    with monkeypatch.context() as patch:
        patch.setattr(objects, step, away)
        outcome = pipeline.count_page(job.id)
    assert outcome.state == ("deferred" if step == "put" else "succeeded")
    if outcome.state == "deferred":
        jobs.table()._change(job.id, {"not_before": 0}, "#failures = :none", {":none": 0})
    run()
    if outcome.state == "deferred":
        pipeline.count_page(job.id)
    assert counts(corpus) == expected([*texts.values()])


@pytest.mark.parametrize("kill_at", range(1, 7))
def test_a_worker_that_is_killed_in_a_compaction_leaves_nothing_that_counts(
    run: Run, kill_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    texts = {"a": "a word", "b": "two words"}
    add(corpus, texts)
    for document in jobs.table().batch(corpus, 0):
        pipeline.count_page(document.job)
    real, puts = objects.put, 0

    def put(name: str, data: bytes) -> None:
        nonlocal puts
        puts += 1
        if puts == kill_at:
            raise Killed
        real(name, data)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(objects, "put", put)
        patch.setattr(compaction, "_discard", lambda *_: None)
        compaction.compact(jobs.table(), corpora.get(corpus, "ann"), seconds=20)
    run()
    assert counts(corpus) == expected([*texts.values()])
    corpora.erase(corpus, "ann")
    run()
    assert stored_files(tmp_path, corpus) == set()


def test_a_compaction_that_loses_its_workers_is_put_off_and_never_given_up(run: Run) -> None:
    corpus = new()
    add(corpus, {"a": "a word"})
    job, store = corpora._compaction(corpora.get(corpus, "ann")), jobs.table()
    delays = []
    for lost in range(5):
        store._change(job.id, {"not_before": 0}, "#lost = :lost", {":lost": lost})
        assert store.claim(job.id, "w", lease_ms=0, max_attempts=3)
        sweeping.requeue([job.id])
        after = store.get(job.id)
        assert after is not None
        assert (after.state, after.lost) == ("queued", lost + 1)
        delays.append(max(0, round((after.not_before - store.now()) / 1000)))
    assert delays == [0, 30, 60, 120, 240]
    store._change(job.id, {"not_before": 0}, "#lost = :lost", {":lost": 5})
    run()
    assert counts(corpus) == expected(["a word"])


@pytest.mark.parametrize("fault", [pipeline._OutOfTime, OSError])
def test_a_compaction_that_fails_again_and_again_for_a_while_is_put_off_and_never_given_up(
    run: Run, fault: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "a word"})
    job, store = corpora._compaction(corpora.get(corpus, "ann")), jobs.table()

    def fails(*_: Any, **__: Any) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "compact", fails)
        for failures in range(5):
            assert pipeline.count_page(job.id).state == "retried"
            store._change(job.id, {"not_before": 0}, "#failures = :now", {":now": failures + 1})
    store.claim(job.id, "w", lease_ms=0, max_attempts=3)
    sweeping.requeue([job.id])  # its first worker that is lost, after other failures
    store._change(job.id, {"not_before": 0}, "#lost = :lost", {":lost": 1})
    run()
    assert counts(corpus) == expected(["a word"])


def test_a_batch_that_is_written_late_counts_all_the_same(run: Run) -> None:
    corpus = new()
    store, late = jobs.table(), jobs.submit(jobs.Request(text("late words").submission, "ann"))[0]
    number = store.begin_batch(corpus, 1).batches - 1
    add(corpus, {"b": "other words"})
    for document in store.batch(corpus, 1):
        pipeline.count_page(document.job)
    compaction.compact(store, corpora.get(corpus, "ann"), seconds=20)
    assert counts(corpus) == expected(["other words"])
    assert not corpora.is_complete(corpora.get(corpus, "ann"))
    pipeline.count_page(late.id)
    assert store.put_batch(corpora.get(corpus, "ann"), number, [stored.Document("a", late.id)])
    run()
    assert counts(corpus) == expected(["other words", "late words"])
    assert corpora.is_complete(corpora.get(corpus, "ann"))


def test_a_batch_that_was_closed_is_written_as_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = new()
    monkeypatch.setattr(compaction, "UNWRITTEN_MS", -1)
    real = Records.put_places

    def slow(self: Records, *given: Any) -> Any:
        monkeypatch.setattr(Records, "put_places", real)
        compaction.compact(self, corpora.get(corpus, "ann"), seconds=20)
        return real(self, *given)

    monkeypatch.setattr(Records, "put_places", slow)
    add(corpus, {"a": "one word"})
    run()
    assert corpora.get(corpus, "ann").batches == 2
    assert counts(corpus) == expected(["one word"])
    assert corpora.state(corpora.get(corpus, "ann"))["documents"]["total"] == 1


def test_what_was_accepted_counts_though_a_later_request_broke_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = new()
    add(corpus, {"a": "one word"})
    jobs.table().begin_batch(corpus, 1)  # and then that handler died
    monkeypatch.setattr(compaction, "UNWRITTEN_MS", -1)
    run()
    assert counts(corpus) == expected(["one word"])
    assert corpora.is_complete(corpora.get(corpus, "ann"))


def test_after_a_compaction_that_failed_the_next_addition_tries_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = new()

    def refused(*_: Any) -> None:
        raise objects.ObjectError("http-status", "S3 answered AccessDenied.")

    with monkeypatch.context() as patch:
        patch.setattr(objects, "put", refused)
        add(corpus, {"a": "one word"})
        run()
    assert not corpora.is_complete(corpora.get(corpus, "ann"))
    add(corpus, {"a": "one word"})
    run()
    assert counts(corpus) == expected(["one word"])


def test_a_key_that_was_replaced_while_it_is_removed_keeps_its_new_document(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "old"})
    real = Records.note_change

    def busy(self: Records, *given: Any, **named: Any) -> Any:
        monkeypatch.setattr(Records, "note_change", real)
        add(corpus, {"a": "new"})
        return real(self, *given, **named)

    monkeypatch.setattr(Records, "note_change", busy)
    corpora.remove(corpus, "ann", "a")
    run()
    assert counts(corpus) == expected(["new"])
    add(corpus, {"a": "newer"})
    run()
    assert counts(corpus) == expected(["newer"])


def test_a_question_whose_corpus_has_changed_says_so(run: Run) -> None:
    corpus = new()
    add(corpus, {"a": "one word"})
    run()
    asked = {"fold_case": True, "limit": 10, "offset": 0, "sort": "place", "window": 3, "unit": "words"}
    job = corpora.ask(corpora.get(corpus, "ann"), "contexts", {"phrase": "word", **asked})
    add(corpus, {"a": "another word"})
    store = jobs.table()
    for document in store.batch(corpus, 1):
        pipeline.count_page(document.job)
    compaction.compact(store, corpora.get(corpus, "ann"), seconds=20)
    pipeline.count_page(job.id)
    ended = store.get(job.id)
    assert ended is not None
    assert ended.error is not None
    assert ended.error["type"] == "corpus-changed"
    run()


def test_a_corpus_is_erased_step_by_step_while_documents_run(run: Run, tmp_path: Path) -> None:
    corpus = new()
    add(corpus, {f"k{at}": some_text(at) for at in range(5)})
    run()
    add(corpus, {"late": "still runs"})
    store = jobs.table()
    [document] = store.batch(corpus, 1)
    assert store.claim(document.job, "w", lease_ms=60_000, max_attempts=3) is not None
    corpora.erase(corpus, "ann")
    erasing = store.corpus(corpus)
    assert erasing is not None
    assert compaction.erase(store, erasing, seconds=-1) is False
    with pytest.raises(errors.Gone):
        add(corpus, {"more": "words"})
    run()
    with pytest.raises(errors.Gone):
        corpora.get(corpus, "ann")
    with pytest.raises(errors.Gone):
        store.get(document.job)
    assert stored_files(tmp_path, corpus) == set()


@pytest.mark.parametrize("batches", [[40], [1] * 40], ids=["large", "many"])
def test_each_run_that_erases_a_corpus_gets_further(
    run: Run, batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many documents and batches there are: what earlier runs have erased may not take all of a run's time."""
    corpus, store, now = new(), jobs.table(), 0
    for batch, size in enumerate(batches):
        add(corpus, {f"k{batch}-{at}": "a word" for at in range(size)})
    corpora.erase(corpus, "ann")
    erasing, real = store.corpus(corpus), Records._call
    assert erasing is not None

    def slow(self: Records, *given: Any, **named: Any) -> Any:
        nonlocal now
        now += 1
        return real(self, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Records, "_call", slow)
        patch.setattr(time, "monotonic", lambda: now)
        runs = [compaction.erase(store, erasing, seconds=35) for _ in range(25)]
    assert runs.index(True) > 1
    with pytest.raises(errors.Gone):
        corpora.get(corpus, "ann")
    assert stored_files(tmp_path, corpus) == set()
    run()


def test_marks_of_all_batches_are_read(run: Run) -> None:
    """A request may take several numbers, so the last ones are above the bound."""
    corpus = corpora.get(new(), "ann")
    jobs.table().remove(corpus, [corpora.Place(stored.BATCHES_MOST + 5, 3)])
    assert jobs.table().removed(corpus.id) == {stored.BATCHES_MOST + 5: {3}}


def test_documents_whose_metadata_fill_an_item_come_in_several_batches(run: Run) -> None:
    corpus = new(metadata=["about"])
    noise = random.Random(1)
    given = [
        msgspec.structs.replace(text("a word", f"k{at}"), metadata={"about": noise.randbytes(8_000).hex()})
        for at in range(80)
    ]
    corpora.add(corpus, "ann", given)
    assert 2 <= corpora.get(corpus, "ann").batches <= 8
    run()
    assert counts(corpus) == expected(["a word"] * 80)


def test_the_manifest_of_the_largest_corpus_fits_into_an_item() -> None:
    noise = random.Random(1)
    parts = [
        stored.Part(
            batch=at,
            token=noise.randbytes(8).hex(),
            files=3,
            documents=1_000,
            words=noise.randrange(10**7),
            gone=noise.randbytes(125),
            states=dict(Counter(noise.choices(["queued", "running", "succeeded", "failed"], k=1_000))),
            ended=True,
        )
        for at in range(stored.PARTS_MOST)
    ]
    stale = [(files.name("0" * 32, part, "words"), noise.randrange(10**13)) for part in parts * 2]
    manifest = stored.Manifest(parts=parts, stale=stale[: compaction.STALE_MOST])
    assert len(stored._packed(manifest)) < 380_000


def test_files_that_nobody_reads_are_deleted_and_no_others(run: Run, tmp_path: Path) -> None:
    kept, expired = new(), new()
    for corpus in (kept, expired):
        add(corpus, {"a": "one word"})
    run()
    add(kept, {"a": "another word"})
    run()
    left = tmp_path / f"corpora/{kept}/000000-dead-0.words.parquet"
    left.write_bytes(b"")
    change = {":past": {"N": "1"}}
    jobs.table()._call(
        "update_item",
        Key={"pk": {"S": f"corpus#{expired}"}, "sk": {"S": "corpus"}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues=change,
    )
    assert files.drop_left(jobs.table(), time.time()) == 0
    files.drop_left(jobs.table(), time.time() + files.LEFT_SECONDS + 60)
    manifest = corpora.get(kept, "ann").manifest
    assert manifest.stale
    assert stored_files(tmp_path, kept) == set(files.of_manifest(kept, msgspec.structs.replace(manifest, stale=[])))
    assert stored_files(tmp_path, expired) == set()
    assert counts(kept) == expected(["another word"])
    add(kept, {"a": "and a third"})
    run()
    assert counts(kept) == expected(["and a third"])
