"""A corpus' word table in pieces: whatever is asked of it is what a plain look at all of its words says."""

import gc
import itertools
import random
import tracemalloc
import weakref
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chalicelib.analysis import corpus_table, corpus_words, words
from chalicelib.analysis.corpus_table import CorpusTable, Fold, Spelling
from tests.corpus_files import whole

SIZE, ROWS = 1_000, 50


@pytest.fixture(autouse=True, scope="module")
def pieces_of_few_words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_table, "ROWS", ROWS)
        yield


def made(number: int) -> tuple[list[Spelling], list[Fold]]:
    """The rows of a table of so many words, as the queries give them."""
    draw = random.Random(1)
    names = [f"{'ÄBc'[at % 3]}w{at:x}" for at in range(number)]
    found = [(name, max(1, 3 * number // (at + 3))) for at, name in enumerate(names)]
    documents = [draw.randint(1, min(count, SIZE)) for _, count in found]
    stops = [count if draw.random() < 0.1 else 0 for _, count in found]
    spellings = [
        Spelling(name, count, some, stop, several=False)
        for (name, count), some, stop in zip(found, documents, stops, strict=True)
    ]
    folds = [Fold(*one[:1], *one[1:4], one.word, 0.5 + at, 0.25, -1.0) for at, one in enumerate(spellings)]
    return spellings, [one._replace(word=one.word.casefold()) for one in folds]


@pytest.fixture(scope="module")
def rows() -> tuple[list[Spelling], list[Fold]]:
    return made(3 * ROWS + 20)


@pytest.fixture(scope="module")
def table(rows: tuple[list[Spelling], list[Fold]]) -> CorpusTable:
    return corpus_table.of_bytes(corpus_table.pack(*rows, SIZE))


def query(
    table: CorpusTable, *, fold_case: bool = True, sort: corpus_words.Order = "count", **asked: Any
) -> corpus_words.View:
    return corpus_words.query(table, words.Query(**asked), fold_case=fold_case, sort=sort)


def plain(rows: tuple[list[Spelling], list[Fold]], asked: dict[str, Any]) -> list[str]:
    """The words that are asked for, from all rows."""
    fold_case = asked.get("fold_case", True)
    found: list[tuple[int, int, str, str]] = []
    for row in rows[fold_case]:
        key = row.word.casefold()
        is_stop = (row.stops * 2 > row.occurrences or key in asked.get("stop_add", ())) and key not in asked.get(
            "stop_remove", ()
        )
        if asked.get("stop_words", True) or not is_stop:
            found.append((row.occurrences, row.documents, row.word, row.shown if isinstance(row, Fold) else row.word))
    prefix = asked.get("prefix", "")
    prefix = prefix.casefold() if fold_case else prefix
    found = [row for row in found if row[0] >= asked.get("min_count", 1) and len(row[2]) >= asked.get("min_length", 1)]
    found = [row for row in found if row[2].startswith(prefix)]
    if asked.get("sort") == "documents":
        found.sort(key=lambda row: -row[1])
    elif asked.get("sort") == "tfidf":
        found.sort(key=lambda row: -row[0] * corpus_words.idf(row[1], SIZE))
    return [shown for *_, shown in found]


@pytest.mark.parametrize("sort", ["count", "documents", "tfidf"])
@pytest.mark.parametrize("fold_case", [True, False])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"stop_words": False},
        {"stop_words": False, "stop_add": ["äw0", "bw64"], "stop_remove": ["cw2"]},
        {"min_count": 2},
        {"min_count": 4, "stop_words": False},
        {"min_count": 10**9},
        {"min_length": 5},
        {"prefix": "Äw1"},
        {"prefix": "nowhere"},
    ],
)
def test_what_is_asked_for_is_what_a_plain_look_finds(
    table: CorpusTable, rows: tuple[list[Spelling], list[Fold]], asked: dict[str, Any], sort: Any, *, fold_case: bool
) -> None:
    given = {**asked, "sort": sort, "fold_case": fold_case}
    expected = plain(rows, given)
    view = query(table, **given)
    assert len(view) == len(expected)
    assert [row.word for row in view.show(0, len(view))] == expected
    ends = [0, 1, ROWS - 1, ROWS, ROWS + 1, len(expected) - 1, len(expected), len(expected) + 10]
    for start, stop in itertools.combinations([end for end in ends if end >= 0], 2):
        assert [row.word for row in view.show(start, stop)] == expected[start:stop]


def test_a_row_says_what_was_packed(table: CorpusTable, rows: tuple[list[Spelling], list[Fold]]) -> None:
    folds = rows[True]
    [row] = corpus_words.query(table).show(ROWS + 7, ROWS + 8)
    one = folds[ROWS + 7]
    assert (row.word, row.count, row.documents, row.stop_word) == (
        one.shown,
        one.occurrences,
        one.documents,
        one.stops > 0,
    )
    assert row.share == pytest.approx(one.occurrences / sum(fold.occurrences for fold in folds), abs=1e-8)
    assert corpus_table.known(table, {one.word, "nowhere"}) == {one.word: (one.occurrences, one.stops > 0, one.shown)}
    assert corpus_table.keys(table, [one.shown]) == {one.shown: one.word}
    assert corpus_table.within(table, f"-{one.word}-", fold_case=True) >= {one.word}
    assert corpus_table.within(table, "-", fold_case=False) == set()
    assert corpus_table.as_job_table(table).words == [fold.word for fold in folds]


def test_a_spelling_of_two_words_is_shown_as_the_more_frequent_one() -> None:
    spellings = [Spelling("Işık", 5, 2, 0, several=True), Spelling("b", 1, 1, 0, several=False)]
    folds = [Fold("ışık", 3, 1, 0, "Işık", 0.0, 0.0, 0.0), Fold("işık", 2, 1, 0, "Işık", 0.0, 0.0, 0.0)]
    folds.append(Fold("b", 1, 1, 0, "b", 0.0, 0.0, 0.0))
    table = corpus_table.of_bytes(corpus_table.pack(spellings, folds, 2))
    assert whole(table).shown == ["Işık", "işık", "b"]
    assert whole(table, fold_case=False).words == ["Işık", "b"]
    assert (table.total, table.size) == (6, 2)


def test_stop_words_are_folded_as_the_words_are() -> None:
    """Python's casefold takes μαΐου apart, and what is typed may be in parts already."""
    folds = [Fold(word, 3, 1, 0, word, 0.0, 0.0, 0.0) for word in ("café", "μαΐου", "rest")]
    spellings = [Spelling(word, 3, 1, 0, several=False) for word in ("Café", "Μαΐου", "rest")]
    table = corpus_table.of_bytes(corpus_table.pack(spellings, folds, 1))
    for fold_case in (True, False):
        view = query(table, stop_words=False, stop_add=["CAFE\u0301", "Μαΐου"], fold_case=fold_case)
        assert [row.word for row in view.show(0, 10)] == ["rest"]


def test_an_empty_table_has_no_words() -> None:
    table = corpus_table.of_bytes(corpus_table.pack((), (), 0))
    for asked in ({}, {"stop_words": False, "stop_add": ["a"]}, {"sort": "tfidf"}, {"prefix": "a"}, {"min_count": 2}):
        view = query(table, **asked)  # type: ignore[arg-type]
        assert (len(view), view.show(0, 10)) == (0, [])
    assert corpus_table.as_job_table(table).words == []


def test_a_table_of_the_version_before_reads_the_same(table: CorpusTable) -> None:
    folds, spellings = (whole(table, fold_case=fold_case) for fold_case in (True, False))
    columns = [[one.words, one.counts, one.documents, one.stops] for one in (folds, spellings)]
    more = [folds.shown, folds.rates, folds.squares, folds.logs]
    data = zlib.compress(msgspec.msgpack.encode([columns[0], *more, columns[1], table.total, table.size]), 1)
    again = CorpusTable(lambda start, stop: data[start:stop])
    assert (again.total, again.size) == (table.total, table.size)
    assert whole(again) == folds
    assert whole(again, fold_case=False) == spellings


def test_a_table_goes_with_what_it_keeps_as_soon_as_nobody_has_it(rows: tuple[list[Spelling], list[Fold]]) -> None:
    table = corpus_table.of_bytes(corpus_table.pack(*rows, SIZE))
    kept = weakref.ref(table), weakref.ref(table.piece)
    corpus_words.query(table, sort="documents").show(0, 10)
    gc.disable()
    try:
        del table
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_page_of_a_large_table_reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_table, "ROWS", 4_096)
    packed = corpus_table.pack(*made(400_000), SIZE)
    assert len(packed) > 3 * corpus_table.HEAD
    read: list[int] = []

    def some(start: int, stop: int | None) -> bytes:
        found = packed[start:stop]
        read.append(len(found))
        return found

    tracemalloc.start()
    for asked in ({}, {"stop_words": False}, {"fold_case": False}, {"min_count": 3}):
        read.clear()
        view = query(CorpusTable(some), **asked)  # type: ignore[arg-type]
        for start in (0, 1_000, len(view) - 100):
            assert len(view.show(start, start + 100)) == 100
        assert sum(read) < 1.5 * corpus_table.HEAD
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000_000
