"""What the tests of corpora share: a worker that runs when it is told to, and a plain count to compare with."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from chalicelib import corpora, jobs, pipeline
from chalicelib.analysis import words
from chalicelib.corpora import Given
from chalicelib.submissions import Submission
from tests.corpus_files import whole

Run = Callable[[], None]


def worked_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run()`` works off all jobs that were submitted, compaction again and again until it is complete."""
    monkeypatch.setenv("OBJECT_STORE", str(folder))
    waiting: list[str] = []
    monkeypatch.setattr(jobs, "enqueue", lambda new, *, now: waiting.extend(job.id for job in new) or True)

    def work() -> None:
        for _ in range(200):
            if not waiting:
                return
            job_id = waiting.pop(0)
            outcome = pipeline.count_page(job_id)
            assert outcome.fault is None, outcome.fault
            if outcome.state == "deferred":
                store = jobs.table()
                job = store.get(job_id)
                assert job is not None
                store._change(job_id, {"not_before": 0}, "#version = :read", {":read": job.version})
                waiting.append(job_id)
        raise AssertionError("there is always more to do")

    return work


def text(given: str, key: str | None = None) -> Given:
    return Given(Submission("text", document=given, options={}), key)


def new(**given: object) -> str:
    defaults = {"name": "", "options": {"language": "en"}, "metadata": [], "key": None}
    return corpora.create("ann", **{**defaults, **given})[0].id  # type: ignore[arg-type]


def counts(corpus_id: str) -> dict[str, tuple[int, int]]:
    """By folded word its count and the number of documents with it."""
    table = whole(corpora.table(corpora.get(corpus_id, "ann")))
    return {
        word: (count, documents)
        for word, count, documents in zip(table.words, table.counts, table.documents, strict=True)
    }


def expected(texts: Sequence[str]) -> dict[str, tuple[int, int]]:
    every = [Counter(words.fold(word) for word in one.replace(".", " ").split()) for one in texts]
    total = sum(every, Counter[str]())
    return {word: (count, sum(word in one for one in every)) for word, count in total.items()}


def some_text(seed: int, size: int = 60) -> str:
    chosen = random.Random(seed)
    vocabulary = [
        "the",
        "of",
        "Berlin",
        "berlin",
        "house",
        "price",
        "market",
        "green",
        "old",
        "tree",
        "Straße",
        "river",
    ]
    return " ".join(chosen.choices(vocabulary, k=size)) + "."
