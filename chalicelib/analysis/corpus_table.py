"""The word table of a corpus as it is stored: in pieces, so that a page reads one of them however many words there are.

It has the words twice: ``folds`` by their key without case, ``spellings`` as they are written; each most frequent
first, ties in code point order. Four bytes with its length, then an index come before the pieces, each compressed by
itself. Compaction makes it of sums over the documents (corpus/queries.py). Pure: bytes are read by a given function.
"""

import functools
import itertools
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from chalicelib.analysis.words import Table

ROWS = 4_096  # of a piece
HEAD = 1_048_576  # bytes that are read at once: the index, and a table of up to some 60,000 words
KEPT = 32  # pieces that a reader keeps: a page is mostly followed by the next

Row = TypeVar("Row")
Read = Callable[[int, int | None], bytes]  # from here to before there, or to the end if that is nearer


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """Neighbouring words with their sums. ``stops``: 1 where most occurrences are of a stop word.

    Folds have, besides, each one's most frequent spelling, no two the same, and Σ f/w, Σ (f/w)² and Σ f·log2(f/w) over
    the documents with the word, f its count and w the words of the document.
    """

    words: list[str]
    counts: list[int]
    documents: list[int]
    stops: bytes
    shown: list[str] = []
    rates: list[float] = []
    squares: list[float] = []
    logs: list[float] = []


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What the index says of a piece: its bytes behind the index, its words, its stop words, and its smallest count."""

    start: int
    stop: int
    rows: int
    stops: int
    least: int


class _Index(msgspec.Struct, array_like=True):
    folds: list[Entry]
    spellings: list[Entry]
    total: int
    size: int


class Spelling(NamedTuple):
    """A row of ``queries.TABLE_SPELLINGS``. ``stops`` counts where it is a stop word; ``several`` is true of a spelling
    that languages fold differently.
    """

    word: str
    occurrences: int
    documents: int
    stops: int
    several: bool


class Fold(NamedTuple):
    """A row of ``queries.TABLE_FOLDS``, likewise."""

    word: str
    occurrences: int
    documents: int
    stops: int
    shown: str
    rates: float
    squares: float
    logs: float


def pack(spellings: Iterable[Iterable[Any]], folds: Iterable[Iterable[Any]], size: int) -> bytes:
    """The table of the rows of both queries, in their order; ``size`` is how many documents there are.

    A spelling may be two words in two languages, as Işık is: the less frequent one is shown by its key, so that each
    row has a name of its own. No other word is spelled like that key.
    """
    index, packed = _Index([], [], 0, size), list[bytes]()
    several, named = set[str](), set[str]()
    for some in _parted(map(Spelling._make, spellings)):
        several.update(row.word for row in some if row.several)
        _add(index.spellings, packed, _columns(some)[:4])
    for rows in _parted(map(Fold._make, folds)):
        index.total += sum(row.occurrences for row in rows)
        for at, row in enumerate(rows):
            if row.shown in named:
                rows[at] = row._replace(shown=row.word)
            elif row.shown in several:
                named.add(row.shown)
        _add(index.folds, packed, _columns(rows))
    return _joined(index, packed)


def _parted(rows: Iterable[Row]) -> Iterator[list[Row]]:
    given = iter(rows)
    while some := list(itertools.islice(given, ROWS)):
        yield some


def _columns(rows: Sequence[Iterable[Any]]) -> list[Any]:
    """The columns of a piece, with a mark for each word in place of how often it is a stop word."""
    words, counts, documents, stops, *more = map(list, zip(*rows, strict=True))
    marks = bytes(stop * 2 > count for stop, count in zip(stops, counts, strict=True))
    return [words, counts, documents, marks, *more]


def _add(entries: list[Entry], packed: list[bytes], columns: Sequence[Any]) -> None:
    """Add a piece's entry, and its bytes behind those that are there."""
    piece, start = Piece(*columns), sum(map(len, packed))
    packed.append(zlib.compress(msgspec.msgpack.encode(piece), 1))
    entries.append(Entry(start, start + len(packed[-1]), len(piece.words), sum(piece.stops), piece.counts[-1]))


def _joined(index: _Index, packed: list[bytes]) -> bytes:
    head = msgspec.msgpack.encode(index)
    return b"".join([len(head).to_bytes(4, "big"), head, *packed])


_index = msgspec.msgpack.Decoder(_Index).decode
_decode = msgspec.msgpack.Decoder(Piece).decode


class CorpusTable:
    """A table that is read as far as it is asked for. ``total`` counts all words, ``size`` all documents."""

    def __init__(self, read: Read) -> None:
        head = read(0, HEAD)
        if head.startswith(_ZLIB):
            packed = _as_pieces(read(0, None))
            head, read = packed, lambda start, stop: packed[start:stop]
        begin = 4 + int.from_bytes(head[:4], "big")
        if begin > len(head):
            head = read(0, begin)
        index = _index(head[4:begin])
        self.total, self.size = index.total, index.size
        self._entries = {True: index.folds, False: index.spellings}
        self._bytes = functools.partial(_bytes, begin, head, read)
        # What it keeps goes with the table at once, since the function does not hold it.
        self.piece = functools.lru_cache(KEPT)(functools.partial(_piece, self._entries, self._bytes))

    def length(self, *, fold_case: bool) -> int:
        """How many words it has."""
        return sum(entry.rows for entry in self._entries[fold_case])

    def entries(self, *, fold_case: bool) -> list[Entry]:
        """What the index says of the pieces."""
        return self._entries[fold_case]

    def pieces(self, *, fold_case: bool) -> Iterator[Piece]:
        """All pieces, one after the other; a large table is read at once and none of its pieces is kept."""
        entries = self._entries[fold_case]
        if len(entries) <= KEPT:
            yield from (self.piece(number, fold_case=fold_case) for number in range(len(entries)))
            return
        first = entries[0].start
        data = memoryview(self._bytes(first, entries[-1].stop))
        for entry in entries:
            yield _decode(zlib.decompress(data[entry.start - first : entry.stop - first]))


def _piece(
    entries: Mapping[bool, list[Entry]], some: Callable[[int, int], bytes], number: int, *, fold_case: bool
) -> Piece:
    entry = entries[fold_case][number]
    return _decode(zlib.decompress(some(entry.start, entry.stop)))


def _bytes(begin: int, head: bytes, read: Read, start: int, stop: int) -> bytes:
    start, stop = begin + start, begin + stop
    return head[start:stop] if stop <= len(head) else read(start, stop)


_ZLIB = b"\x78"  # what a table of version 0.3 begins with, and no other: the length of an index has a zero there


def _as_pieces(data: bytes) -> bytes:
    """A table of version 0.3, which is one whole, as pieces: a corpus lives for days after an update."""
    folds, *more, spellings, total, size = msgspec.msgpack.decode(zlib.decompress(data))
    index, packed = _Index([], [], total, size), list[bytes]()
    for entries, columns in ((index.spellings, spellings), (index.folds, [*folds, *more])):
        for at in range(0, len(columns[0]), ROWS):
            _add(entries, packed, [column[at : at + ROWS] for column in columns])
    return _joined(index, packed)


def of_bytes(data: bytes) -> CorpusTable:
    """The table that was packed."""
    return CorpusTable(lambda start, stop: data[start:stop])


def as_job_table(table: CorpusTable) -> Table:
    """The folded words as a job's table has them: what keywords compare."""
    words: list[str] = []
    counts: list[int] = []
    stops: list[bytes] = []
    for piece in table.pieces(fold_case=True):
        words += piece.words
        counts += piece.counts
        stops.append(piece.stops)
    return Table(words, counts, b"".join(stops), table.total)


class Known(NamedTuple):
    """What the table says of a folded word."""

    frequency: int
    is_stop_word: bool
    shown: str


def known(table: CorpusTable, folds: Collection[str]) -> dict[str, Known]:
    """What it says of each of these words that it has."""
    return {
        word: Known(count, bool(stop), shown)
        for piece in table.pieces(fold_case=True)
        for word, count, stop, shown in zip(piece.words, piece.counts, piece.stops, piece.shown, strict=True)
        if word in folds
    }


def keys(table: CorpusTable, shown: Collection[str]) -> dict[str, str]:
    """The keys of the words that are shown as one of these."""
    return {
        title: word
        for piece in table.pieces(fold_case=True)
        for title, word in zip(piece.shown, piece.words, strict=True)
        if title in shown
    }


def within(table: CorpusTable, text: str, *, fold_case: bool) -> set[str]:
    """The words that stand somewhere in this text."""
    return {word for piece in table.pieces(fold_case=fold_case) for word in piece.words if word in text}
