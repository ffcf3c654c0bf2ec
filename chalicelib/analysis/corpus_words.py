"""The word table of a corpus: counts over all documents, in how many they are, and how evenly. Pure; the Lambda has it.

It is made by compaction from sums over the documents (corpus/queries.py) and read whole, like a job's word table.
"""

import math
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, Literal

import msgspec

from chalicelib.analysis import statistics
from chalicelib.analysis.words import Table

Order = Literal["count", "documents", "tfidf"]


class Columns(msgspec.Struct, frozen=True, array_like=True):
    """Words with their sums, most frequent first, ties in code point order. ``stops``: 1 where most occurrences are."""

    words: list[str]
    counts: list[int]
    documents: list[int]
    stops: bytes


class CorpusTable(msgspec.Struct, frozen=True, array_like=True):
    """``folds`` has the words by their key without case; ``shown`` each one's most frequent spelling, no two the same.

    ``rates``, ``squares`` and ``logs`` are Σ f/w, Σ (f/w)² and Σ f·log2(f/w) over the documents with the word, f its
    count and w the words of the document. ``total`` counts all words, ``size`` all documents.
    """

    folds: Columns
    shown: list[str]
    rates: list[float]
    squares: list[float]
    logs: list[float]
    spellings: Columns
    total: int
    size: int


class Row(msgspec.Struct, frozen=True):
    """A word of a corpus. ``dispersion`` is Juilland's D (1: even), ``d_kl`` Gries's divergence in bits (0: even).

    ``tfidf`` is count · (ln((1 + size) / (1 + documents)) + 1), scikit-learn's smoothed idf on the corpus' counts.
    Case kept, the two measures of dispersion are those of the word without its case.
    """

    word: str
    count: int
    share: float
    documents: int
    dispersion: float | None
    d_kl: float | None
    tfidf: float
    stop_word: bool


def build(spellings: Mapping[str, Sequence[Any]], folds: Mapping[str, Sequence[Any]], size: int) -> CorpusTable:
    """The table from the columns of the two merged summaries: most frequent first."""
    shown: dict[str, str] = {}
    most: dict[str, int] = {}
    stops: dict[str, int] = {}
    by_word: dict[str, list[int]] = {}
    columns = (spellings[name] for name in ("word", "fold", "count", "documents", "stops"))
    for word, fold, count, documents, stop in zip(*columns, strict=True):
        stops[fold] = stops.get(fold, 0) + stop
        if count > most.get(fold, 0) or (count == most[fold] and word < shown[fold]):
            most[fold], shown[fold] = count, word
        sums = by_word.setdefault(word, [0, 0, 0])
        sums[0], sums[1], sums[2] = sums[0] + count, sums[1] + documents, sums[2] + stop
    order = sorted(by_word, key=lambda word: (-by_word[word][0], word))
    kept = Columns(
        order,
        [by_word[word][0] for word in order],
        [by_word[word][1] for word in order],
        bytes(by_word[word][2] * 2 > by_word[word][0] for word in order),
    )
    names, counts = list(folds["fold"]), list(map(int, folds["count"]))
    marks = bytes(stops[fold] * 2 > count for fold, count in zip(names, counts, strict=True))
    # A spelling may be two words in two languages, as Işık is: the less frequent one is shown by its key, so that each
    # row of the table has a name of its own. No other word is spelled like that key.
    first = {shown[fold]: fold for fold in reversed(names)}
    return CorpusTable(
        Columns(names, counts, list(map(int, folds["documents"])), marks),
        [shown[fold] if first[shown[fold]] == fold else fold for fold in names],
        list(folds["rates"]),
        list(folds["squares"]),
        list(folds["logs"]),
        kept,
        sum(counts),
        size,
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CorpusTable).decode


def pack(table: CorpusTable) -> bytes:
    """The table compressed."""
    return zlib.compress(_encode(table), 1)


def unpack(data: bytes) -> CorpusTable:
    """The table that was packed."""
    return _decode(zlib.decompress(data))


class View(msgspec.Struct, frozen=True):
    """The rows that were asked for, in order; ``show`` makes some of them."""

    table: CorpusTable
    fold_case: bool
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def show(self, start: int, stop: int) -> list[Row]:
        """Some rows."""
        return [self._row(place) for place in self.places[start:stop]]

    def _row(self, place: int) -> Row:
        table = self.table
        columns = table.folds if self.fold_case else table.spellings
        count, documents = columns.counts[place], columns.documents[place]
        d: float | None = None
        d_kl: float | None = None
        if self.fold_case:
            d = statistics.juilland_d(table.rates[place], table.squares[place], table.size)
            d_kl = statistics.d_kl(table.logs[place], count, table.total)
        return Row(
            table.shown[place] if self.fold_case else columns.words[place],
            count,
            round(count / table.total, 8),
            documents,
            None if d is None else round(d, 6),
            None if d_kl is None else round(d_kl, 6),
            round(count * idf(documents, table.size), 6),
            bool(columns.stops[place]),
        )


def idf(documents: int, size: int) -> float:
    """scikit-learn's smoothed inverse document frequency (TfidfTransformer, smooth_idf=True)."""
    return math.log((1 + size) / (1 + documents)) + 1


def query(
    table: CorpusTable,
    *,
    fold_case: bool = True,
    stop_words: bool = True,
    added: Iterable[str] = (),
    removed: Iterable[str] = (),
    prefix: str = "",
    min_count: int = 1,
    min_length: int = 1,
    sort: Order = "count",
) -> View:
    """The words that a reader asks for. ``added`` and ``removed`` change what is a stop word, by folded word."""
    columns = table.folds if fold_case else table.spellings
    key: Callable[[str], str] = (lambda word: word) if fold_case else str.casefold
    more, fewer = frozenset(added), frozenset(removed)
    prefix = unicodedata.normalize("NFC", prefix.casefold() if fold_case else prefix)
    places: Iterable[int] = range(len(columns.words))
    if not stop_words:
        marks = columns.stops
        if more or fewer:
            marks = bytes(
                (mark or key(word) in more) and key(word) not in fewer
                for word, mark in zip(columns.words, columns.stops, strict=True)
            )
        places = compress(places, (not mark for mark in marks))
    words, counts = columns.words, columns.counts
    chosen = [
        place
        for place in places
        if counts[place] >= min_count and len(words[place]) >= min_length and words[place].startswith(prefix)
    ]
    if sort == "documents":
        chosen.sort(key=lambda place: -columns.documents[place])
    elif sort == "tfidf":
        chosen.sort(key=lambda place: -counts[place] * idf(columns.documents[place], table.size))
    return View(table, fold_case, chosen)


def as_job_table(table: CorpusTable) -> Table:
    """The folded words as a job's table has them: what keywords compare."""
    return Table(table.folds.words, table.folds.counts, table.folds.stops, table.total)
