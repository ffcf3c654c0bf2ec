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
    """The table from the columns of the two merged summaries: most frequent first.

    A large corpus has a million words: but for ``shown`` nothing is made for each of them that the table does not hold.
    """
    shown: dict[str, str] = {}
    stops: dict[str, int] = {}
    for word, fold, stop in zip(spellings["word"], spellings["fold"], spellings["stops"], strict=True):
        shown.setdefault(fold, word)  # of equally frequent ones the first in code point order
        if stop:
            stops[fold] = stops.get(fold, 0) + stop
    names, counts = list(folds["fold"]), list(map(int, folds["count"]))
    titles = [shown[fold] for fold in names]
    if not _each_once(spellings["word"]):
        # A spelling may be two words in two languages, as Işık is: the less frequent one is shown by its key, so that
        # each row of the table has a name of its own. No other word is spelled like that key.
        first = dict(zip(reversed(titles), reversed(names), strict=True))
        titles = [title if first[title] == fold else fold for title, fold in zip(titles, names, strict=True)]
    marks = bytes(stops.get(fold, 0) * 2 > count for fold, count in zip(names, counts, strict=True))
    return CorpusTable(
        Columns(names, counts, list(map(int, folds["documents"])), marks),
        titles,
        list(folds["rates"]),
        list(folds["squares"]),
        list(folds["logs"]),
        _spelled(spellings),
        sum(counts),
        size,
    )


def _each_once(words: Sequence[str]) -> bool:
    return len(set(words)) == len(words)


def _spelled(spellings: Mapping[str, Sequence[Any]]) -> Columns:
    """The spellings, each once: one that two languages fold differently stands twice in the summary."""
    words, counts, documents, stops = (spellings[name] for name in ("word", "count", "documents", "stops"))
    if not _each_once(words):
        sums: dict[str, list[int]] = {}
        for word, *given in zip(words, counts, documents, stops, strict=True):
            sums[word] = [one + other for one, other in zip(sums.get(word, (0, 0, 0)), given, strict=True)]
        words = sorted(sums, key=lambda word: (-sums[word][0], word))
        counts, documents, stops = ([sums[word][at] for word in words] for at in range(3))
    marks = bytes(stop * 2 > count for stop, count in zip(stops, counts, strict=True))
    return Columns(list(words), list(counts), list(documents), marks)


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
    if isinstance(places, range) and min_count <= 1 and min_length <= 1 and not prefix:
        chosen: Sequence[int] = places  # all of them, however many
    else:
        chosen = [
            place
            for place in places
            if counts[place] >= min_count and len(words[place]) >= min_length and words[place].startswith(prefix)
        ]
    if sort == "documents":
        chosen = sorted(chosen, key=lambda place: -columns.documents[place])
    elif sort == "tfidf":
        chosen = sorted(chosen, key=lambda place: -counts[place] * idf(columns.documents[place], table.size))
    return View(table, fold_case, chosen)


def as_job_table(table: CorpusTable) -> Table:
    """The folded words as a job's table has them: what keywords compare."""
    return Table(table.folds.words, table.folds.counts, table.folds.stops, table.total)
