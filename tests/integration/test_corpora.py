"""Corpora over real stores: what they count is what their documents hold, whatever happens on the way."""

import itertools
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chalicelib import corpora, errors, jobs
from chalicelib.analysis import corpus_words, words
from chalicelib.corpus import compaction, merging
from tests.conftest import Table
from tests.integration.corpora import Run, counts, expected, new, some_text, text, worked_off


@pytest.fixture
def run(dynalite_table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return worked_off(tmp_path, monkeypatch)


def test_a_corpus_counts_what_its_documents_hold(run: Run) -> None:
    corpus = new(name="trees")
    texts = [some_text(seed) for seed in range(30)]
    answers = corpora.add(corpus, "ann", [text(one, f"k{at}") for at, one in enumerate(texts)])
    assert len({answer.id for answer in answers if isinstance(answer, jobs.Job)}) == 30
    assert corpora.state(corpora.get(corpus, "ann"))["state"] == "counting"
    run()
    assert counts(corpus) == expected(texts)
    seen = corpora.state(corpora.get(corpus, "ann"))
    assert seen == {
        "state": "ready",
        "documents": {"total": 30, "waiting": 0, "running": 0, "succeeded": 30, "failed": 0},
        "complete": True,
    }


def test_a_key_again_replaces_and_a_removed_document_was_never_there(
    table: Table, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = worked_off(tmp_path, monkeypatch)
    corpus = new()
    texts = {f"k{at}": some_text(at) for at in range(12)}
    corpora.add(corpus, "ann", [text(one, key) for key, one in texts.items()])
    run()
    again = {"k3": some_text(103), "k7": some_text(107)}
    corpora.add(corpus, "ann", [text(one, key) for key, one in again.items()])
    corpora.remove(corpus, "ann", "k5")
    run()
    texts |= again
    del texts["k5"]
    assert counts(corpus) == expected(list(texts.values()))
    assert corpora.state(corpora.get(corpus, "ann"))["documents"] == {
        "total": 11,
        "waiting": 0,
        "running": 0,
        "succeeded": 11,
        "failed": 0,
    }
    with pytest.raises(errors.NoCorpus):
        corpora.remove(corpus, "ann", "k5")
    corpora.add(corpus, "ann", [text(texts["k7"], "k5")])  # the same words as another document's, under the old key
    corpora.add(corpus, "ann", [text(some_text(5), "k5")])  # and what was erased once
    run()
    assert counts(corpus) == expected([*texts.values(), some_text(5)])


def test_the_same_request_again_changes_nothing(run: Run) -> None:
    corpus = new()
    given = [text(some_text(at)) for at in range(5)]
    corpora.add(corpus, "ann", given)
    run()
    before = corpora.get(corpus, "ann")
    corpora.add(corpus, "ann", given)
    run()
    after = corpora.get(corpus, "ann")
    assert (after.batches, after.added, after.manifest) == (before.batches, before.added, before.manifest)


@pytest.mark.parametrize("step", ["remove", "put_places", "put_batch"])
def test_an_addition_that_broke_off_can_be_repeated(run: Run, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "UNWRITTEN_MS", -1)
    corpus = new()
    old, now = {f"k{at}": some_text(at) for at in range(6)}, {f"k{at}": some_text(100 + at) for at in range(6)}
    corpora.add(corpus, "ann", [text(one, key) for key, one in old.items()])
    run()

    def breaks(*_: object, **__: object) -> None:
        raise ConnectionResetError(step)

    given = [text(one, key) for key, one in now.items()]
    with monkeypatch.context() as broken:
        broken.setattr(type(jobs.table()), step, breaks)
        with pytest.raises(ConnectionResetError):
            corpora.add(corpus, "ann", given)
    corpora.add(corpus, "ann", [text(one, key) for key, one in now.items()])
    run()
    assert counts(corpus) == expected(list(now.values()))


def test_the_rows_have_documents_dispersion_and_tfidf(run: Run) -> None:
    corpus = new()
    texts = ["the cat sat", "the dog sat", "the cat ran away"]
    corpora.add(corpus, "ann", [text(one) for one in texts])
    run()
    table = corpora.table(corpora.get(corpus, "ann"))
    rows = {row.word: row for row in corpus_words.query(table).show(0, 100)}
    assert (rows["the"].count, rows["the"].documents, rows["the"].tfidf) == (3, 3, 3.0)
    assert rows["cat"].tfidf == pytest.approx(2 * 1.287682, abs=1e-6)
    assert rows["away"].tfidf == pytest.approx(1.693147, abs=1e-6)
    assert rows["the"].dispersion is not None
    assert rows["the"].dispersion > 0.9
    assert rows["away"].dispersion == 0
    assert rows["away"].d_kl == pytest.approx(math.log2(10 / 4), abs=1e-6)
    assert [row.word for row in corpus_words.query(table, stop_words=False).show(0, 100)][:2] == ["cat", "sat"]


def ask(corpus: str, run: Run, question: str, **asked: object) -> dict:
    job = corpora.ask(corpora.get(corpus, "ann"), question, asked)
    run()
    job = jobs.table().get(job.id)
    assert job is not None
    assert job.state == "succeeded", job.error
    return corpora.answer(job)


CONTEXTS = {"fold_case": True, "limit": 1000, "offset": 0, "sort": "place", "window": 3, "unit": "words"}


def test_the_contexts_of_every_word_are_as_many_as_its_count(run: Run) -> None:
    corpus = new()
    texts = [some_text(at) for at in range(8)]
    corpora.add(corpus, "ann", [text(one) for one in texts])
    run()
    for word, (count, documents) in counts(corpus).items():
        found = ask(corpus, run, "contexts", phrase=word, **CONTEXTS)
        assert (found["total"], found["documents"], len(found["contexts"])) == (count, documents, count)
        assert {words.fold(context["match"]) for context in found["contexts"]} == {word}
        left = ask(corpus, run, "contexts", phrase=word, **{**CONTEXTS, "sort": "left"})
        assert sorted(map(str, left["contexts"])) == sorted(map(str, found["contexts"]))
    assert ask(corpus, run, "contexts", phrase="nowhere", **CONTEXTS)["total"] == 0


def test_phrases_and_collocates_are_those_of_a_plain_count(run: Run) -> None:
    corpus = new()
    texts = [some_text(at) for at in range(8)]
    corpora.add(corpus, "ann", [text(one) for one in texts])
    run()
    pairs: Counter[tuple[str, ...]] = Counter()
    for one in texts:
        tokens = [words.fold(word) for word in one.rstrip(".").split()]
        pairs.update(itertools.pairwise(tokens))
    page = {"limit": 1000, "offset": 0}
    found = ask(corpus, run, "phrases", n=2, min_count=1, measure="count", stop_words="include", **page)["phrases"]
    assert {tuple(map(words.fold, row["phrase"])): row["count"] for row in found} == pairs
    phrase = max(pairs, key=lambda pair: (pairs[pair], pair))
    contexts = ask(corpus, run, "contexts", phrase=" ".join(phrase), **CONTEXTS)
    assert contexts["total"] == pairs[phrase]
    near: Counter[str] = Counter()
    for one in texts:
        tokens = [words.fold(word) for word in one.rstrip(".").split()]
        spots = {at + step for at, word in enumerate(tokens) if word == "house" for step in (-2, -1, 1, 2)}
        near.update(tokens[spot] for spot in spots if 0 <= spot < len(tokens))
    asked = {"word": "House", "window": 2, "min_count": 1, "stop_words": "include", **page}
    found = ask(corpus, run, "collocates", **asked)["collocates"]
    assert {words.fold(row["word"]): row["count"] for row in found} == near


def test_what_is_erased_leaves_nothing(run: Run, tmp_path: Path) -> None:
    corpus = new()
    corpora.add(corpus, "ann", [text("a secret word")])
    run()
    corpora.erase(corpus, "ann")
    run()
    with pytest.raises(errors.Gone):
        corpora.get(corpus, "ann")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and corpus in str(path)]


def test_a_compaction_whose_corpus_is_erased_meanwhile_ends_without_a_fault(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = new()
    corpora.add(corpus, "ann", [text("an old tree", "1"), text("a tree", "2")])
    run()
    without = merging.without

    def erased(*given: Any) -> Any:
        corpora.erase(corpus, "ann")
        shutil.rmtree(tmp_path / "corpora" / corpus)
        return without(*given)

    monkeypatch.setattr(merging, "without", erased)
    corpora.remove(corpus, "ann", "1")
    run()  # which lets no fault pass
    with pytest.raises(errors.Gone):
        corpora.get(corpus, "ann")


def test_a_corpus_is_its_owners_alone(run: Run) -> None:
    corpus = new()
    with pytest.raises(errors.NoCorpus):
        corpora.get(corpus, "bob")
    assert corpora.owned("bob", limit=10) == ([], None)
    assert [one.id for one in corpora.owned("ann", limit=10)[0]] == [corpus]
