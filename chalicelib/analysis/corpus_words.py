"""What a reader asks of a corpus' words: counts over all documents, in how many they are, and how evenly. Pure."""

import functools
import math
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

import msgspec

from chalicelib.analysis import statistics, words
from chalicelib.analysis.corpus_table import CorpusTable, Piece

Order = Literal["count", "documents", "tfidf"]
Choose = Callable[[Piece], Sequence[int]]  # the words of a piece that are asked for
_EVERY = words.Query()


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


class View:
    """The words that were asked for, in order, of which ``show`` makes some.

    By count they lie in the pieces as they are, ``sizes[n]`` of them in the nth; otherwise ``order`` has the place of
    each: the number of its piece, and in the low 32 bits where it is in that.
    """

    def __init__(
        self, table: CorpusTable, choose: Choose, sizes: Sequence[int], order: Sequence[int] | None, *, fold_case: bool
    ) -> None:
        self._table, self._choose, self._fold_case, self._order = table, choose, fold_case, order
        self._ends = list(accumulate(sizes))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def show(self, start: int, stop: int) -> list[Row]:
        """Some rows."""
        return [self._row(piece, at) for piece, at in self._places(start, min(stop, len(self)))]

    def _places(self, start: int, stop: int) -> Iterator[tuple[Piece, int]]:
        if self._order is not None:
            for place in self._order[start:stop]:
                yield self._piece(place >> 32), place & 0xFFFFFFFF
            return
        while start < stop:
            number = bisect_right(self._ends, start)
            end = self._ends[number]
            piece = self._piece(number)
            chosen = self._choose(piece)
            for at in chosen[len(chosen) - (end - start) : len(chosen) - (end - min(stop, end))]:
                yield piece, at
            start = end

    def _piece(self, number: int) -> Piece:
        return self._table.piece(number, fold_case=self._fold_case)

    def _row(self, piece: Piece, at: int) -> Row:
        table, count, documents = self._table, piece.counts[at], piece.documents[at]
        d: float | None = None
        d_kl: float | None = None
        if self._fold_case:
            d = round(statistics.juilland_d(piece.rates[at], piece.squares[at], table.size), 6)
            d_kl = round(statistics.d_kl(piece.logs[at], count, table.total), 6)
        return Row(
            piece.shown[at] if self._fold_case else piece.words[at],
            count,
            round(count / table.total, 8),
            documents,
            d,
            d_kl,
            round(count * idf(documents, table.size), 6),
            bool(piece.stops[at]),
        )


def idf(documents: int, size: int) -> float:
    """scikit-learn's smoothed inverse document frequency (TfidfTransformer, smooth_idf=True)."""
    return math.log((1 + size) / (1 + documents)) + 1


def query(table: CorpusTable, asked: words.Query = _EVERY, *, fold_case: bool = True, sort: Order = "count") -> View:
    """The words that a reader asks for; what are stop words is changed by folded word.

    How many there are is known from the table's index, but where each word has to be looked at.
    """
    prefix = unicodedata.normalize("NFC", asked.prefix)
    asked = msgspec.structs.replace(
        asked,
        prefix=words.fold(prefix) if fold_case else prefix,
        stop_add=frozenset(map(words.fold, asked.stop_add)),
        stop_remove=frozenset(map(words.fold, asked.stop_remove)),
    )
    choose = functools.partial(_chosen, asked=asked, fold_case=fold_case)
    if sort != "count":
        order = _ordered(table, choose, sort, fold_case=fold_case)
        return View(table, choose, [len(order)], order, fold_case=fold_case)
    if asked.prefix or asked.min_length > 1 or (not asked.stop_words and (asked.stop_add or asked.stop_remove)):
        sizes = [len(choose(piece)) for piece in table.pieces(fold_case=fold_case)]
        return View(table, choose, sizes, None, fold_case=fold_case)
    sizes = []
    for number, entry in enumerate(table.entries(fold_case=fold_case)):
        if entry.least < asked.min_count:  # no word behind this piece is frequent enough
            sizes.append(len(choose(table.piece(number, fold_case=fold_case))))
            break
        sizes.append(entry.rows if asked.stop_words else entry.rows - entry.stops)
    return View(table, choose, sizes, None, fold_case=fold_case)


def _chosen(piece: Piece, *, asked: words.Query, fold_case: bool) -> Sequence[int]:
    places = range(len(piece.words)) if asked.stop_words else _unmarked(piece, asked, fold_case=fold_case)
    if asked.min_count <= piece.counts[-1] and asked.min_length <= 1 and not asked.prefix:
        return places
    return [
        at
        for at in places
        if piece.counts[at] >= asked.min_count
        and len(piece.words[at]) >= asked.min_length
        and piece.words[at].startswith(asked.prefix)
    ]


def _unmarked(piece: Piece, asked: words.Query, *, fold_case: bool) -> Sequence[int]:
    """The words of a piece that are no stop words."""
    if not asked.stop_add and not asked.stop_remove:
        return [at for at, mark in enumerate(piece.stops) if not mark]
    keys = piece.words if fold_case else words.folds(piece.words, "")
    marks = zip(keys, piece.stops, strict=True)
    return [
        at for at, (key, mark) in enumerate(marks) if key in asked.stop_remove or not (mark or key in asked.stop_add)
    ]


def _ordered(table: CorpusTable, choose: Choose, sort: Order, *, fold_case: bool) -> Sequence[int]:
    """The places of the words in the table, the largest by ``sort`` first, then by count."""
    weights, places = array("d"), array("Q")
    for number, piece in enumerate(table.pieces(fold_case=fold_case)):
        for at in choose(piece):
            documents = piece.documents[at]
            weights.append(documents if sort == "documents" else piece.counts[at] * idf(documents, table.size))
            places.append(number << 32 | at)
    return array("Q", (places[at] for at in sorted(range(len(places)), key=weights.__getitem__, reverse=True)))
