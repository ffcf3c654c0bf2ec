"""Compaction to the letter: what counts, which files stay, and what happens to those that a run wrote in vain."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chalicelib import corpora, errors, jobs, pipeline
from chalicelib.aws import objects
from chalicelib.corpus import answers, compaction, files, merging
from chalicelib.corpus.engine import opened
from chalicelib.store.corpora import BATCH_MOST
from chalicelib.store.records import Records
from chalicelib.store.table import under
from tests.conftest import Table
from tests.integration.corpora import Run, counts, expected, new, some_text, text, worked_off
from tests.integration.test_corpora_faults import add, named, stored_files


@pytest.fixture
def run(dynalite_table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return worked_off(tmp_path, monkeypatch)


def count_pages(corpus: str, *batches: int, but: tuple[str, ...] = ()) -> None:
    """Run the documents of these batches, without any compaction."""
    for number in batches:
        for document in jobs.table().batch(corpus, number):
            if document.key not in but:
                pipeline.count_page(document.job)


def compact(corpus: str) -> bool | None:
    return compaction.compact(jobs.table(), corpora.get(corpus, "ann"), seconds=20)


def test_a_replaced_document_stops_counting_while_its_batch_has_one_that_still_runs(run: Run) -> None:
    corpus = new()
    add(corpus, {"a": "old word", "b": "another", "c": "a third", "slow": "not yet"})
    count_pages(corpus, 0, but=("slow",))
    assert compact(corpus) is False
    assert counts(corpus) == expected(["old word", "another", "a third"])
    add(corpus, {"a": "new word"})
    count_pages(corpus, 1)
    assert compact(corpus) is False
    assert counts(corpus) == expected(["new word", "another", "a third"])
    corpora.remove(corpus, "ann", "b")
    assert compact(corpus) is False
    assert counts(corpus) == expected(["new word", "a third"])
    for key in ("a", "c"):
        corpora.remove(corpus, "ann", key)
    assert compact(corpus) is False
    assert counts(corpus) == {}
    run()
    assert counts(corpus) == expected(["not yet"])


def test_a_replaced_document_stops_counting_while_others_than_its_batch_are_looked_at(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "old word", "slow": "not yet"})
    add(corpus, {"b": "another", "slower": "nor this"})
    count_pages(corpus, 0, 1, but=("slow", "slower"))
    assert compact(corpus) is False
    monkeypatch.setattr(compaction, "UNFINISHED_MOST", 1)
    add(corpus, {"a": "new word"})
    count_pages(corpus, 2)
    for _ in range(3):
        assert compact(corpus) is False
        assert counts(corpus) == expected(["new word", "another"])
    run()
    assert counts(corpus) == expected(["new word", "another", "not yet", "nor this"])


def test_a_manifest_whose_answer_was_lost_keeps_its_files_when_another_run_has_followed_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, texts = new(), {f"k{at}": some_text(at) for at in range(3)}
    add(corpus, texts)
    count_pages(corpus, 0)
    real = Records._call

    def lost(self: Records, name: str, *more: Any, **given: Any) -> Any:
        if ":manifest" not in given.get("ExpressionAttributeValues", {}):
            return real(self, name, *more, **given)
        patch.setattr(Records, "_call", real)
        real(self, name, *more, **given)
        add(corpus, {"more": "other words"})
        count_pages(corpus, 1)
        assert compact(corpus) is True
        return real(self, name, *more, **given)  # the second try of the same put

    with monkeypatch.context() as patch:
        patch.setattr(Records, "_call", lost)
        assert compact(corpus) is None
    assert stored_files(tmp_path, corpus) == named(corpus)
    corpora.remove(corpus, "ann", "k0")  # which reads the files
    run()
    del texts["k0"]
    assert counts(corpus) == expected([*texts.values(), "other words"])


def test_a_document_that_was_erased_while_its_batch_is_taken_in_counts_as_failed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "one word", "b": "other words"})
    count_pages(corpus, 0)
    real, erased = Records.artifacts, jobs.table().batch(corpus, 0)[1].job

    def artifacts(self: Records, *given: Any) -> Any:
        with contextlib.suppress(jobs.Gone):
            jobs.erase(erased, "ann")
        return real(self, *given)

    monkeypatch.setattr(Records, "artifacts", artifacts)
    run()
    there = corpora.get(corpus, "ann")
    assert counts(corpus) == expected(["one word"])
    assert there.manifest.documents == 1
    states = {"total": 2, "waiting": 0, "running": 0, "succeeded": 1, "failed": 1}
    assert corpora.state(there)["documents"] == states


def test_documents_that_are_counted_and_not_yet_in_files_are_no_part_of_the_totals(run: Run) -> None:
    corpus = new()
    keys = ["a", "b", "c", "slow"]
    add(corpus, dict.fromkeys(keys, "one word"))
    count_pages(corpus, 0, but=("b", "c", "slow"))
    compact(corpus)
    count_pages(corpus, 0, but=("c", "slow"))
    compact(corpus)
    count_pages(corpus, 0, but=("slow",))
    compact(corpus)
    there = corpora.get(corpus, "ann")
    assert there.manifest.documents == counts(corpus)["word"][1] == 1
    assert corpora.state(there)["documents"]["succeeded"] == 3
    corpora.add(corpus, "ann", [text("another word", "d")])
    count_pages(corpus, 1)
    compact(corpus)
    assert corpora.get(corpus, "ann").manifest.documents == counts(corpus)["word"][1] == 2


def test_no_file_that_counts_has_the_text_of_a_removed_document(run: Run, tmp_path: Path) -> None:
    corpus = new()
    add(corpus, {"a": "a secret word", "b": "other words"})
    run()
    corpora.remove(corpus, "ann", "a")
    run()
    assert counts(corpus) == expected(["other words"])
    there = corpora.get(corpus, "ann")
    parts = {kind: files.views(corpus, there.manifest.parts, [kind])[kind] for kind in ("words", "documents")}
    with opened(parts) as engine:
        assert engine.rows("select key, text from documents") == [("b", "other words")]
        assert sorted(engine.rows("select distinct word from words")) == [("other",), ("words",)]


def test_a_document_whose_job_is_erased_counts_until_it_is_removed(run: Run) -> None:
    """As docs/api.md says of DELETE /jobs/{id}."""
    corpus = new()
    add(corpus, {"a": "a secret word", "b": "other words"})
    run()
    jobs.erase(jobs.table().batch(corpus, 0)[0].job, "ann")
    add(corpus, {"c": "more words"})
    run()
    assert counts(corpus) == expected(["a secret word", "other words", "more words"])
    corpora.remove(corpus, "ann", "a")
    run()
    assert counts(corpus) == expected(["other words", "more words"])
    parts = files.views(corpus, corpora.get(corpus, "ann").manifest.parts, ["documents"])
    with opened(parts) as engine:
        assert sorted(engine.rows("select text from documents")) == [("more words",), ("other words",)]


def test_a_document_without_its_text_counts_as_failed(run: Run) -> None:
    corpus = new()
    add(corpus, {"a": "one word", "b": "other words"})
    count_pages(corpus, 0)
    store = jobs.table()
    [kept, _] = store.batch(corpus, 0)
    store._change(kept.job, {"artifacts": {}}, "#state = :ended", {":ended": "succeeded"})
    run()
    there = corpora.get(corpus, "ann")
    assert counts(corpus) == expected(["other words"])
    assert there.manifest.documents == corpora.state(there)["documents"]["succeeded"] == 1


def test_a_batch_of_many_words_is_taken_in_by_several_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    over: Iterator[bool] = iter([])
    monkeypatch.setattr(compaction, "FILE_WORDS", 100)  # two documents
    monkeypatch.setattr(compaction._Run, "is_over", lambda _: next(over, True))
    corpus, texts = new(), {f"k{at}": some_text(at) for at in range(9)}
    add(corpus, texts)
    count_pages(corpus, 0, but=("k1",))
    for number in range(4):  # three documents of which one is not ready, then two and two and two
        over = iter([False] * (1 + bool(number)))
        assert compact(corpus) is (None if number < 3 else False)
        there = corpora.get(corpus, "ann").manifest
        assert there.documents == max(documents for _, documents in counts(corpus).values()) == 2 * number + 2
        assert len(there.parts) == number + 1 + (number < 3)
    states = {"total": 9, "waiting": 1, "running": 0, "succeeded": 8, "failed": 0}
    assert corpora.state(corpora.get(corpus, "ann"))["documents"] == states
    over = iter([False] * 100)
    run()
    assert counts(corpus) == expected([*texts.values()])
    before = corpora.get(corpus, "ann").manifest.parts
    assert [(part.first, part.last, part.span) for part in before] == [
        (0, 2, 0), (2, 3, 0), (3, 5, 0), (5, 7, 0), (7, BATCH_MOST, 1)
    ]  # fmt: skip
    corpora.remove(corpus, "ann", "k4")
    add(corpus, {"k8": "a new text"})
    run()
    del texts["k4"]
    assert counts(corpus) == expected([*(texts | {"k8": "a new text"}).values()])
    after = corpora.get(corpus, "ann").manifest.parts
    assert [one.token == two.token for one, two in zip(before, after, strict=False)] == [True, True, False, True, False]
    assert corpora.is_complete(corpora.get(corpus, "ann"))
    assert stored_files(Path(objects.path("") or ""), corpus) == named(corpus)


def test_files_of_the_version_before_are_read_and_merged_with_new_ones(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptions of documents have two more columns."""
    corpus, texts = new(), {"a": "one word", "b": "other words", "c": "a third text"}
    for key, one in texts.items():
        add(corpus, {key: one})
        run()
    for path in tmp_path.rglob("00000[02]*.documents.parquet"):
        sql = f"select *, 'r' as rules, 2 as \"distinct\" from read_parquet('{path}')"  # noqa: S608 - a path of ours
        made = path.with_suffix(".made")
        duckdb.sql(f"copy ({sql}) to '{made}' (format parquet)")
        made.replace(path)
    asked = {"phrase": "words", "sort": "place", "fold_case": True, "limit": 9, "offset": 0, "window": 3}
    found = answers.answer(corpora.get(corpus, "ann"), "contexts", {**asked, "unit": "words"})
    assert [row["document"]["key"] for row in found["contexts"]] == ["b"]
    monkeypatch.setattr(merging, "FANOUT", 3)
    corpora.remove(corpus, "ann", "b")
    add(corpus, {"d": "one more"})
    run()
    del texts["b"]
    assert counts(corpus) == expected([*texts.values(), "one more"])
    assert max(part.span for part in corpora.get(corpus, "ann").manifest.parts) > 1


@pytest.mark.parametrize("at", range(1, 6))
def test_a_compaction_leaves_no_file_of_a_corpus_that_is_erased_meanwhile(
    run: Run, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "a word", "b": "two words"})
    count_pages(corpus, 0)
    real, puts = objects.put, 0

    def put(name: str, data: bytes) -> None:
        nonlocal puts
        puts += 1
        if puts == at:
            corpora.erase(corpus, "ann")
            run()
        real(name, data)

    read = corpora.get(corpus, "ann")
    monkeypatch.setattr(objects, "put", put)
    with pytest.raises((errors.Gone, duckdb.Error)):
        compaction.compact(jobs.table(), read, seconds=20)
    assert puts >= at
    assert stored_files(tmp_path, corpus) == set()


def test_a_compaction_that_breaks_off_leaves_no_file_of_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    add(corpus, {"a": "a word"})
    run()
    before = named(corpus)
    add(corpus, {"a": "another word", "b": "two words"})
    count_pages(corpus, 1)

    def out_of_time(*_: Any) -> None:
        raise pipeline._OutOfTime

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_with_table", out_of_time)
        with pytest.raises(pipeline._OutOfTime):
            compact(corpus)
    assert stored_files(tmp_path, corpus) == named(corpus) == before
    run()
    assert counts(corpus) == expected(["another word", "two words"])


def items_of(corpus: str) -> list[str]:
    """The sort keys of all items of a corpus."""
    query = under(f"corpus#{corpus}")
    return [item["sk"]["S"] for page in jobs.table()._pages("query", **query) for item in page["Items"]]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("step", ["places", "begin_batch", "put_places", "put_batch"])
def test_an_addition_to_a_corpus_that_is_erased_meanwhile_leaves_nothing(
    run: Run, step: str, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, store = new(), jobs.table()
    add(corpus, {"a": "a word"})
    before = {one.job for one in store.batch(corpus, 0)}
    real = getattr(Records, step)

    def meanwhile(self: Records, *given: Any, **named: Any) -> Any:
        monkeypatch.setattr(Records, step, real)
        answer = real(self, *given, **named) if step == "begin_batch" else None
        corpora.erase(corpus, "ann")
        if done:
            run()
        return answer or real(self, *given, **named)

    monkeypatch.setattr(Records, step, meanwhile)
    with pytest.raises(errors.Gone):
        add(corpus, {"a": "another", "b": "words"})
    run()
    assert items_of(corpus) == ["corpus"]
    ids, _ = store.owned("ann", limit=100)
    assert store.get_many([*ids, *before]).keys().isdisjoint(before)
    assert not [job for job in store.get_many(ids).values() if job.kind == "text"]


def test_a_corpus_that_is_full_queues_no_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = new()
    add(corpus, {"a": "a word"})
    run()
    before = jobs.table().owned("ann", limit=100)
    monkeypatch.setattr(corpora, "BATCHES_MOST", 1)
    with pytest.raises(errors.CorpusFull):
        add(corpus, {"b": "words"})
    assert jobs.table().owned("ann", limit=100) == before


def test_a_document_that_other_rules_counted_is_shown_as_failed(run: Run) -> None:
    corpus = new()
    add(corpus, {"a": "one word", "b": "other words"})
    count_pages(corpus, 0)
    store = jobs.table()
    [_, other] = store.batch(corpus, 0)
    store._change(other.job, {"rules": "of old"}, "#state = :ended", {":ended": "succeeded"})
    run()
    assert counts(corpus) == expected(["one word"])
    [(_, first), (_, second)] = corpora.documents(corpus, "ann", limit=10)[0]
    assert first
    assert first.state == "succeeded"
    assert second
    assert second.error
    assert (second.state, second.error["type"]) == ("failed", "rules-mismatch")
    assert second.error["detail"].startswith("The document was counted by the rules of old, the corpus by ")
    [(failed, _)] = corpora.documents(corpus, "ann", limit=10, state="failed")[0]
    assert failed.key == "b"
