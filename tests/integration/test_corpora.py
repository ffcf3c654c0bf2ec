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
from chalicelib.corpora import Given
from chalicelib.corpus import compaction, merging
from chalicelib.http import corpora as corpus_http
from chalicelib.http import responses
from chalicelib.store.corpora import Place
from chalicelib.submissions import Submission
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

    given = [text(one, key) for key, one in now.items()]
    with monkeypatch.context() as broken:
        broken.setattr(type(jobs.table()), step, breaks)
        with pytest.raises(ConnectionResetError):
            corpora.add(corpus, "ann", given)
    corpora.add(corpus, "ann", [text(one, key) for key, one in now.items()])
    run()
    assert counts(corpus) == expected(list(now.values()))


def breaks(*_: object, **__: object) -> None:
    raise ConnectionResetError("the process ends here")


def documents_of(corpus: str) -> list[tuple[str, str | None]]:
    return [(one.key, job.state if job else None) for one, job in corpora.documents(corpus, "ann", limit=100)[0]]


def test_what_a_broken_addition_has_removed_is_not_taken_to_be_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, old = new(), text("an old text", "k")
    corpora.add(corpus, "ann", [old])
    run()
    with monkeypatch.context() as broken:
        broken.setattr(type(jobs.table()), "put_places", breaks)
        with pytest.raises(ConnectionResetError):
            corpora.add(corpus, "ann", [text("a new text", "k")])
    corpora.add(corpus, "ann", [old])
    monkeypatch.setattr(compaction, "UNWRITTEN_MS", -1)
    run()
    assert counts(corpus) == expected(["an old text"])


@pytest.mark.parametrize("step", ["cancel", "erase", "note_change"])
def test_a_removal_that_broke_off_can_be_repeated(run: Run, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = new()
    [job, _] = corpora.add(corpus, "ann", [text("a secret", "k"), text("another text", "other")])
    run()
    with monkeypatch.context() as broken:
        broken.setattr(type(jobs.table()), step, breaks)
        with pytest.raises(ConnectionResetError):
            corpora.remove(corpus, "ann", "k")
    corpora.remove(corpus, "ann", "k")
    run()
    assert counts(corpus) == expected(["another text"])
    assert isinstance(job, jobs.Job)
    with pytest.raises(errors.Gone):
        jobs.get(job.id, "ann")
    with pytest.raises(errors.NoCorpus):
        corpora.remove(corpus, "ann", "k")


def test_the_same_string_as_text_and_then_as_html_is_two_contents_of_one_document(run: Run) -> None:
    corpus, given = new(), "<p>a word</p>"
    for kind in ("text", "html"):
        [answer] = corpora.add(corpus, "ann", [Given(Submission(kind, document=given))])
        assert isinstance(answer, jobs.Job), answer
    run()
    assert counts(corpus) == expected(["a word"])


def test_a_document_cannot_choose_not_to_be_kept(run: Run) -> None:
    corpus = new()
    corpora.add(corpus, "ann", [Given(Submission("text", document="a word", options={"keep_text": False}))])
    run()
    assert counts(corpus) == expected(["a word"])


def test_corrected_metadata_take_the_place_of_the_old(run: Run) -> None:
    corpus = new(metadata=["year"])
    for year in ("1900", "1901", "1901"):
        corpora.add(corpus, "ann", [Given(Submission("text", document="a word"), "k", {"year": year})])
        run()
        assert counts(corpus) == expected(["a word"])
    [(document, _)] = corpora.documents(corpus, "ann", limit=10)[0]
    assert document.metadata == {"year": "1901"}
    assert corpora.get(corpus, "ann").batches == 2


def test_a_document_that_failed_is_tried_again_when_it_is_sent_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, store = new(), jobs.table()
    given = [text("a word", "k"), text("two more words", "other")]
    failed = {}
    for _ in range(2):
        [first, _] = corpora.add(corpus, "ann", given)
        assert isinstance(first, jobs.Job)
        failed[first.id] = first.state
        claimed = store.claim(first.id, "w", lease_ms=60_000, max_attempts=3)
        assert claimed is not None
        store.fail(claimed, {"type": "timeout", "title": "", "detail": ""})
        run()
        assert ("k", "failed") in documents_of(corpus)
        assert counts(corpus) == expected(["two more words"])
    assert len(failed) == 2
    for _ in range(3):
        [first, _] = corpora.add(corpus, "ann", given)
        run()
        assert counts(corpus) == expected(["a word", "two more words"])
    assert isinstance(first, jobs.Job)
    assert first.state == "succeeded"
    assert corpora.get(corpus, "ann").batches == 3  # what is there is not written again


def test_a_page_of_documents_reads_only_the_batches_that_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "LISTED_BATCHES", 5)
    corpus, batches = new(), 12
    for at in range(batches):
        corpora.add(corpus, "ann", [text(f"text {at}", f"k{at % 2}")])  # each replaces the last but one
    read: list[int] = []
    batch = type(jobs.table()).batch
    monkeypatch.setattr(type(jobs.table()), "batch", lambda *asked: read.append(asked[-1]) or batch(*asked))
    found, after = corpora.documents(corpus, "ann", limit=10)
    assert (found, after, read) == ([], (5, 0), [0, 1, 2, 3, 4])
    listed = []
    while after is not None:
        found, after = corpora.documents(corpus, "ann", limit=10, after=after)
        listed += [document.key for document, _ in found]
    assert (listed, read) == (["k0", "k1"], [*range(batches)])
    assert corpora.documents(corpus, "ann", limit=10, after=Place(576_205, 233)) == ([], None)
    run()


def test_a_document_whose_job_is_refused_replaces_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, real = new(), jobs.submit_many
    corpora.add(corpus, "ann", [text("an old word", "k"), text("other", "o")])

    def refusing(requests: Any) -> Any:
        answers = real(requests)
        return [errors.KeyReused() if request.submission.document == "no" else answer
                for request, answer in zip(requests, answers, strict=True)]  # fmt: skip

    monkeypatch.setattr(jobs, "submit_many", refusing)
    refused, taken = corpora.add(corpus, "ann", [text("no", "k"), text("another", "o")])
    assert isinstance(refused, errors.KeyReused)
    assert isinstance(taken, jobs.Job)
    run()
    assert counts(corpus) == expected(["an old word", "another"])


def test_a_page_of_documents_fits_into_an_answer(run: Run) -> None:
    corpus = new(metadata=["about"])
    given = [Given(Submission("text", document=f"text {at}"), f"k{at}", {"about": "é" * 20_000}) for at in range(150)]
    corpora.add(corpus, "ann", given)
    asked, listed, after = corpus_http.DocumentsQuery(limit=1_000), list[str](), None
    while after is not None or not listed:
        found, after = corpora.documents(corpus, "ann", limit=asked.limit, after=after)
        answer = corpus_http.documents_answer(found, after, asked, "/documents")
        assert len(answer.body) < responses.MAX_ANSWER_BYTES
        listed += [document.key for document, _ in found]
    assert listed == [f"k{at}" for at in range(150)]
    run()


def test_of_one_key_twice_in_a_request_the_later_counts_and_no_job_is_left_of_the_earlier(run: Run) -> None:
    corpus = new()
    first, second = corpora.add(corpus, "ann", [text("an old word", "k"), text("a new word", "k")])
    assert first == second
    run()
    assert counts(corpus) == expected(["a new word"])
    corpora.erase(corpus, "ann")
    run()
    left = jobs.table().get_many(jobs.table().owned("ann", limit=100)[0])
    assert [job.kind for job in left.values() if job.kind == "text"] == []


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
    assert [row.word for row in corpus_words.query(table, words.Query(stop_words=False)).show(0, 100)][:2] == [
        "cat",
        "sat",
    ]


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


@pytest.mark.parametrize("question", ["contexts", "phrases", "collocates"])
def test_a_question_about_an_empty_corpus_is_answered(run: Run, question: str) -> None:
    asked = {"phrase": "a", "word": "a", "n": 2, "min_count": 1, "measure": "count", "stop_words": "include"}
    found = ask(new(), run, question, **{**CONTEXTS, **asked})
    assert (found[question], found["next"], found.get("total", 0)) == ([], None, 0)


def test_a_key_of_a_caller_s_own_takes_no_job_of_the_service(run: Run) -> None:
    corpus = new()
    for at in range(3):
        jobs.submit(jobs.Request(Submission("text", document="x"), "ann", f"compaction:{corpus}:{at}"))
    corpora.add(corpus, "ann", [text("a word")])
    run()
    assert counts(corpus) == expected(["a word"])


def test_what_is_erased_leaves_nothing(run: Run, tmp_path: Path) -> None:
    corpus = new()
    corpora.add(corpus, "ann", [text("a secret word")])
    run()
    asked = corpora.ask(corpora.get(corpus, "ann"), "contexts", {**CONTEXTS, "phrase": "secret"})
    run()
    answer = jobs.table().get(asked.id)
    assert answer is not None
    assert corpora.answer(answer)["total"] == 1
    corpora.erase(corpus, "ann")
    late = corpora.ask(corpora.get(corpus, "ann"), "contexts", {**CONTEXTS, "phrase": "word"})
    run()
    with pytest.raises(errors.Gone):
        jobs.table().get(asked.id)
    failed = jobs.table().get(late.id)
    assert failed is not None
    assert failed.state == "failed"
    assert not [path for path in (tmp_path / "jobs").rglob("*") if path.is_file()]
    with pytest.raises(errors.Gone):
        corpora.get(corpus, "ann")
    with pytest.raises(errors.NoCorpus):
        corpora.get(corpus, "bob")
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
