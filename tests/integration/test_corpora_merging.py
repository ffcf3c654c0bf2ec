"""Parts that are merged: nothing about the corpus changes by it, whatever comes, goes and breaks meanwhile."""

import random
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib import corpora, jobs, pipeline
from chalicelib.aws import objects
from chalicelib.corpus import answers, compaction, merging
from chalicelib.errors import CorpusFull, Unavailable, problem_for
from chalicelib.store.corpora import Part
from tests.conftest import Table
from tests.integration.corpora import Run, counts, expected, new, some_text, text, worked_off
from tests.integration.test_corpora_faults import Killed, named, stored_files

PAGE = {"fold_case": True, "limit": 1_000, "offset": 0, "window": 3, "unit": "words"}


@pytest.fixture
def run(dynalite_table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(merging, "FANOUT", 3)
    monkeypatch.setattr(merging, "WORDS_MOST", 600)
    return worked_off(tmp_path, monkeypatch)


def add(corpus: str, texts: dict[str, str]) -> None:
    corpora.add(corpus, "ann", [text(one, key) for key, one in texts.items()])


def parts_of(corpus: str) -> list[Part]:
    return corpora.get(corpus, "ann").manifest.parts


def judge(corpus: str, texts: dict[str, str]) -> None:
    """Counts, documents, states and contexts are those of a plain count of what is in the corpus."""
    there = corpora.get(corpus, "ann")
    assert corpora.is_complete(there)
    plain = expected([*texts.values()])
    assert counts(corpus) == plain
    states = corpora.state(there)["documents"]
    assert states == {"total": len(texts), "waiting": 0, "running": 0, "succeeded": len(texts), "failed": 0}
    assert there.manifest.documents == len(texts)
    for word, (count, documents) in list(plain.items())[:2]:
        for sort in ("place", "left"):
            found = answers.answer(there, "contexts", {"phrase": word, "sort": sort, **PAGE})
            assert (found["total"], found["documents"], len(found["contexts"])) == (count, documents, count)


@pytest.mark.long
@pytest.mark.parametrize("file_words", [30, 2_000_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_merging_changes_nothing_whatever_is_added_replaced_and_removed(
    run: Run, tmp_path: Path, seed: int, file_words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FILE_WORDS", file_words)
    draw, corpus, texts = random.Random(seed), new(), dict[str, str]()
    for step in range(9):
        some = {f"k{draw.randrange(14)}": some_text(draw.randrange(10**6), draw.randint(1, 40)) for _ in range(3)}
        add(corpus, some)
        texts |= some
        if step % 3 == 2:
            key = draw.choice(sorted(texts))
            corpora.remove(corpus, "ann", key)
            del texts[key]
        if draw.random() < 0.7:
            run()
            judge(corpus, texts)
    run()
    judge(corpus, texts)
    parts = parts_of(corpus)
    assert max(part.span for part in parts) >= 3 or file_words < 100
    assert [part.batch for part in parts] == [sum(part.span for part in parts[:at]) for at in range(len(parts))]
    assert stored_files(tmp_path, corpus) == named(corpus)
    for key in sorted(texts):
        corpora.remove(corpus, "ann", key)
    run()
    judge(corpus, {})
    add(corpus, {"again": "one word"})
    run()
    judge(corpus, {"again": "one word"})


@pytest.mark.long
def test_many_small_batches_make_few_parts_and_each_row_is_written_seldom(run: Run) -> None:
    corpus, texts = new(), {f"k{at}": "a word or two" for at in range(27)}
    for key, one in texts.items():
        add(corpus, {key: one})
    run()
    judge(corpus, texts)
    parts = parts_of(corpus)
    assert (sum(part.span for part in parts), sum(part.words for part in parts)) == (27, 4 * 27)
    assert len(parts) <= 7


def in_small_parts(run: Run, corpus: str, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Count these texts as a part each, of which none is merged yet."""
    with monkeypatch.context() as patch:
        patch.setattr(merging, "FANOUT", 100)
        for key, one in texts.items():
            add(corpus, {key: one})
        run()


@pytest.mark.parametrize("kill_at", [1, 2, *(pytest.param(at, marks=pytest.mark.long) for at in (3, 4, 5))])
def test_a_merge_that_is_killed_leaves_nothing_that_counts(
    run: Run, kill_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, texts = new(), {f"k{at}": some_text(at) for at in range(6)}
    in_small_parts(run, corpus, texts, monkeypatch)
    assert len(parts_of(corpus)) == 6
    before, real, puts = named(corpus), objects.put, 0
    add(corpus, {"k0": "other words"})
    for document in jobs.table().batch(corpus, 6):
        pipeline.count_page(document.job)

    def put(name: str, data: bytes) -> None:
        nonlocal puts
        puts += ".merged" in name
        if puts == kill_at:
            raise Killed
        real(name, data)

    def merge(*given: Any) -> Any:
        patch.setattr(objects, "put", lambda name, data: put(name + ".merged", data))
        return made(*given)

    made = merging._merge
    with monkeypatch.context() as patch:
        patch.setattr(merging, "_merge", merge)
        patch.setattr(objects, "put", real)
        patch.setattr(compaction, "_discard", lambda *_: None)
        try:
            real_put = real
            real = lambda name, data: real_put(name.removesuffix(".merged"), data)  # noqa: E731 - what put calls
            compaction.compact(jobs.table(), corpora.get(corpus, "ann"), seconds=20)
        except Killed:
            assert named(corpus) == before
            assert counts(corpus) == expected([*texts.values()])
    assert puts >= kill_at
    run()
    judge(corpus, texts | {"k0": "other words"})
    corpora.erase(corpus, "ann")
    run()
    assert stored_files(tmp_path, corpus) == set()


def test_of_two_merges_at_once_one_counts_and_the_other_leaves_no_file(run: Run, tmp_path: Path) -> None:
    corpus, texts = new(), {f"k{at}": some_text(at) for at in range(3)}
    for key, one in texts.items():
        add(corpus, {key: one})
    store = jobs.table()
    for number in range(3):
        for document in store.batch(corpus, number):
            pipeline.count_page(document.job)
    read = corpora.get(corpus, "ann")
    assert compaction.compact(store, read, seconds=20) is True
    assert compaction.compact(store, read, seconds=20) is None
    assert stored_files(tmp_path, corpus) == named(corpus)
    judge(corpus, texts)
    run()


def test_a_batch_that_was_closed_and_merged_stays_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted as removed of a batch that nobody wrote changes neither counts nor states."""
    corpus, texts, store = new(), {"a": "one word", "b": "other words", "c": "three more words"}, jobs.table()
    monkeypatch.setattr(compaction, "UNWRITTEN_MS", -1)
    monkeypatch.setattr(merging, "FANOUT", 6)
    for key, one in texts.items():
        store.begin_batch(corpus, 1)  # and then that handler died
        add(corpus, {key: one})
    run()
    judge(corpus, texts)
    assert [part.span for part in parts_of(corpus)] == [6]
    store.remove(corpora.get(corpus, "ann"), [corpora.Place(0, 0), corpora.Place(2, 5)])
    corpora.remove(corpus, "ann", "b")
    run()
    judge(corpus, {"a": texts["a"], "c": texts["c"]})


def test_a_corpus_takes_more_once_its_batches_are_merged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "PARTS_MOST", 3)
    corpus = new()
    for at in range(3):
        add(corpus, {f"k{at}": "a word"})
    with pytest.raises(Unavailable) as refused:
        add(corpus, {"k3": "a word"})
    problem = problem_for(refused.value)
    assert problem
    assert (problem.name, "wait to be counted" in problem.detail) == ("unavailable", True)
    run()
    add(corpus, {"k3": "a word"})
    run()
    judge(corpus, {f"k{at}": "a word" for at in range(4)})
    monkeypatch.setattr(corpora, "PARTS_MOST", 2)
    with pytest.raises(CorpusFull):
        add(corpus, {"k4": "a word"})


def test_parts_are_merged_when_they_are_neighbours_of_like_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "FANOUT", 3)
    monkeypatch.setattr(merging, "WORDS_MOST", 100)

    def chosen(*words: int, ended: str = "") -> tuple[int, int] | None:
        parts = [Part(batch=at, words=one, ended=str(at) not in ended) for at, one in enumerate(words)]
        found = merging._mergeable(parts)
        return found and (found.start, found.stop)

    assert chosen(1, 1, 1, 1) == (0, 3)
    assert chosen(1, 1) is None
    assert chosen(0, 0, 0) == (0, 3)
    assert chosen(9, 1, 1, 1) == (1, 4)
    assert chosen(40, 50, 40) == (0, 2)  # a third would be too much
    assert chosen(70, 70, 1) is None
    assert chosen(1, 1, 1, 1, ended="1") is None
    assert chosen(1, 1, 1, 1, ended="0") == (1, 4)
    gap = [Part(batch=at, words=1, ended=True) for at in (0, 1, 3, 4)]
    assert merging._mergeable(gap) is None
    assert merging._mergeable([*gap, Part(batch=5, words=1, ended=True)]) == slice(2, 5)


@pytest.mark.parametrize("sizes", [[100, *[1] * 9], [1_900_000, 10]])
def test_large_batches_among_small_ones_make_no_more_parts_than_there_is_room_for(sizes: list[int]) -> None:
    parts, written = list[Part](), 0
    for batch in range(400):
        parts.append(Part(batch=batch, words=sizes[batch % len(sizes)], ended=True))
        while (some := merging._mergeable(parts) or merging._crowded(parts)) is not None:
            group = parts[some]
            words = sum(part.words for part in group)
            assert words <= merging.WORDS_MOST
            written += words
            parts[some] = [Part(batch=group[0].batch, span=sum(part.span for part in group), words=words, ended=True)]
    every = sum(part.words for part in parts)
    assert len(parts) <= merging.SPARE + 2 * every // merging.WORDS_MOST
    assert written <= 6 * every


def test_many_small_parts_are_merged_before_more_is_taken_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each of them the word table costs as much again."""
    corpus, texts = new(), {f"k{at}": some_text(at) for at in range(9)}
    in_small_parts(run, corpus, texts, monkeypatch)
    before = corpora.get(corpus, "ann")
    assert len(before.manifest.parts) == 9
    monkeypatch.setattr(merging, "SPARE", 5)
    add(corpus, {"k0": "other words"})
    for document in jobs.table().batch(corpus, 9):
        pipeline.count_page(document.job)
    assert compaction.compact(jobs.table(), corpora.get(corpus, "ann"), seconds=20) is None
    after = corpora.get(corpus, "ann")
    assert (len(after.manifest.parts) < 9, after.manifest.table) == (True, before.manifest.table)
    assert counts(corpus) == expected([*texts.values()])
    run()
    judge(corpus, texts | {"k0": "other words"})


def test_a_run_ends_by_its_cpu_time_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that uses more of it is killed, and its threads use more than the clock shows."""
    corpus = new()
    for at in range(3):
        add(corpus, {f"k{at}": "a word"})
        pipeline.count_page(jobs.table().batch(corpus, at)[0].job)
    spent = iter(range(0, 1_000, 7))
    monkeypatch.setattr(time, "process_time", lambda: next(spent))
    assert compaction.compact(jobs.table(), corpora.get(corpus, "ann"), seconds=20) is None
    assert 0 < len(parts_of(corpus)) < 3


def test_merging_stops_when_its_time_is_over(run: Run) -> None:
    corpus = new()
    add(corpus, {"k": "a word"})
    run()
    there = corpora.get(corpus, "ann")
    given = msgspec.structs.replace(there.manifest, parts=[Part(batch=at, ended=True) for at in range(3)])
    assert merging.merged(there, given, "token", lambda: True) == (given, False)
