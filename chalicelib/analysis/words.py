"""The stored word table: packed into pieces that fit DynamoDB's items, read back, folded, filtered, paged.

Pure, and imported by the Lambda: the standard library and msgspec, no NLTK. A table is three columns rather than a list
of rows, so that half a million words cost tens of megabytes; rows are made for the page that is asked for.
"""

import hashlib
import operator
import sys
import unicodedata
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress, islice
from typing import Annotated

import msgspec
from msgspec import Meta

PIECE_BYTES = 350_000  # DynamoDB's item holds 400 KB; the rest is for keys and attributes
WORD_CHARACTERS = 16_384  # longer words are no words; at 4 bytes a character one still fits a piece
_LEVEL = 3  # of zlib: the usual level makes 3 % less of it and takes half as long again
_ROWS = 50_000  # of a piece, as a first guess: words of usual length take 200 to 300 KB then
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")  # a spreadsheet runs a cell that begins so
_INVERT = bytes([1]) + bytes(255)
_DOTTED_I = {"tr", "az"}  # languages where I is the capital of ı, and İ that of i


class DamagedTable(ValueError):
    """Stored pieces that cannot be read back."""


class Word(msgspec.Struct, frozen=True):
    """A word in its most frequent spelling, how often it occurs, and its share (0 to 1) of all words of the page."""

    word: str
    count: Annotated[int, Meta(ge=1)]
    share: Annotated[float, Meta(ge=0, le=1)]
    stop_word: bool


class Table(msgspec.Struct, frozen=True):
    """Words, most frequent first, ties in code point order. ``stops`` has a 1 for each stop word, else a 0.

    ``total`` counts all words of the page, whatever a filter has taken out since. ``keys`` has each word's folded form
    where spellings that differ in case only were taken together; None where each spelling is a word.
    """

    words: Sequence[str]
    counts: Sequence[int]
    stops: bytes
    total: int
    keys: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.words)


class Totals(msgspec.Struct, frozen=True):
    """Occurrences of words, how many differ, and occurrences of stop words."""

    words: int
    distinct: int
    stop_words: int


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    words: list[str]
    counts: list[int]
    stops: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Piece).decode


def table(counts: Mapping[str, int], stop_words: Collection[str] = (), language: str = "") -> Table:
    """The table of ``counts``; the case of ``stop_words`` does not matter.

    Lone surrogates become U+FFFD. Of a word longer than 16,384 characters the beginning is kept, with "…" and a hash
    that keeps different words apart.
    """
    return tables(counts, stop_words, language)[0]


def tables(counts: Mapping[str, int], stop_words: Collection[str], language: str) -> tuple[Table, Table]:
    """The table of ``counts``, and the same folded; in less time than one after the other."""
    if not _are_storable(counts):
        stored: Counter[str] = Counter()
        for word, number in counts.items():
            if number > 0:
                stored[storable(word)] += number
        counts = stored
    words = sorted(counts)
    words.sort(key=counts.__getitem__, reverse=True)
    keys = folds(words, language)
    marks = bytes(map(_folded_words(frozenset(stop_words), language).__contains__, keys))
    made = Table(words, list(map(counts.__getitem__, words)), marks, sum(counts.values()))
    return made, _folded(keys, made)


def pack(table: Table) -> list[bytes]:
    """The table in compressed pieces of at most 350,000 bytes, each readable alone; [] for no words."""
    parts = (range(start, min(start + _ROWS, len(table))) for start in range(0, len(table), _ROWS))
    return [piece for rows in parts for piece in _compressed(table, rows)]


def unpack(pieces: Iterable[bytes]) -> Table:
    """The table that was packed. Some of its pieces give their part of it; DamagedTable if one cannot be read."""
    words: list[str] = []
    counts: list[int] = []
    stops = bytearray()
    for piece in pieces:
        try:
            part = _decode(zlib.decompress(piece))
        except (zlib.error, msgspec.DecodeError) as error:
            raise DamagedTable(str(error)) from error
        words += part.words
        counts += part.counts
        stops += part.stops
    if not len(words) == len(counts) == len(stops):
        raise DamagedTable(f"{len(words)} words, {len(counts)} counts, {len(stops)} marks")
    return Table(words, counts, bytes(stops), sum(counts))


def totals(table: Table) -> Totals:
    """What stands in a job's record; of an unfiltered table."""
    stop_words = sum(number for number, stop in zip(table.counts, table.stops, strict=True) if stop)
    return Totals(sum(table.counts), len(table), stop_words)


def top(table: Table, limit: int = 10) -> list[Word]:
    """The most frequent words that are no stop words."""
    places = islice((place for place, stop in enumerate(table.stops) if not stop), limit)
    return [_row(table, place) for place in places]


def fold(word: str, language: str = "") -> str:
    """The word without its case, by Unicode's full folding; Turkish and Azeri keep ı and i apart."""
    if language in _DOTTED_I:
        word = word.replace("I", "ı").replace("İ", "i")
    folded = word.casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def folded(table: Table, language: str = "") -> Table:
    """The table with spellings that differ in case only taken together, shown by the most frequent of them."""
    return _folded(folds(table.words, language), table)


def folds(words: Sequence[str], language: str) -> list[str]:
    """The words folded, in one go; one that is its own fold is the same string, which takes no memory."""
    keys = fold("\n".join(words), language).split("\n") if words else []
    if len(keys) != len(words):  # a word holds a newline
        keys = [fold(word, language) for word in words]
    return [word if key == word else key for key, word in zip(keys, words, strict=True)]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader may ask for; ``stop_add`` and ``stop_remove`` change which words are stop words, in any case."""

    stop_words: bool = True
    stop_add: Collection[str] = ()
    stop_remove: Collection[str] = ()
    prefix: str = ""
    min_count: int = 1
    min_length: int = 1


def query(table: Table, asked: Query, language: str = "") -> Table:
    """The rows of a table, folded or not, that the reader asked for. A prefix of folded words is folded too."""
    if asked.min_count > 1:
        table = _first(table, bisect_right(table.counts, -asked.min_count, key=operator.neg))  # the counts fall
    if asked.stop_add or asked.stop_remove:
        table = msgspec.structs.replace(table, stops=_changed_stops(table, asked, language))
    if not asked.stop_words:
        table = _kept(table, table.stops.translate(_INVERT))
    if asked.min_length > 1:
        table = _kept(table, [len(word) >= asked.min_length for word in table.words])
    if prefix := unicodedata.normalize("NFC", asked.prefix):
        prefix = prefix if table.keys is None else fold(prefix, language)
        table = _kept(table, [word.startswith(prefix) for word in table.keys or table.words])
    return table


def _changed_stops(table: Table, asked: Query, language: str) -> bytes:
    keys = table.keys if table.keys is not None else folds(table.words, language)
    added, removed = ({fold(unicodedata.normalize("NFC", word), language) for word in words}
                      for words in (asked.stop_add, asked.stop_remove))  # fmt: skip
    return bytes((stop or key in added) and key not in removed for key, stop in zip(keys, table.stops, strict=True))


def _first(table: Table, rows: int) -> Table:
    keys = None if table.keys is None else table.keys[:rows]
    return Table(table.words[:rows], table.counts[:rows], table.stops[:rows], table.total, keys)


def _kept(table: Table, marks: Sequence[int]) -> Table:
    """The rows that have a mark."""
    keys = None if table.keys is None else list(compress(table.keys, marks))
    words, counts = list(compress(table.words, marks)), list(compress(table.counts, marks))
    return Table(words, counts, bytes(compress(table.stops, marks)), table.total, keys)


def weight(table: Table) -> int:
    """About how many bytes of memory a table takes; most keys are the words themselves."""
    keys = table.words if table.keys is None else table.keys
    own = (key for key, word in zip(keys, table.words, strict=True) if key is not word)
    return sum(map(sys.getsizeof, table.words)) + sum(map(sys.getsizeof, own)) + 25 * len(table)


def rows(table: Table, start: int, stop: int) -> list[Word]:
    """The rows from ``start`` to ``stop``."""
    return [_row(table, place) for place in range(start, stop)]


def guarded(text: str) -> str:
    """The text with an apostrophe where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(table: Table, place: int) -> Word:
    number = table.counts[place]
    return Word(table.words[place], number, round(number / table.total, 8), bool(table.stops[place]))


def _folded(keys: Sequence[str], table: Table) -> Table:
    """Rows with equal keys added, under their most frequent spelling."""
    counts: dict[str, int] = {}
    for key, number in zip(keys, table.counts, strict=True):
        counts[key] = counts.get(key, 0) + number
    # Of equal keys the last is kept: backwards it is the most frequent, and of equals the first by code point.
    shown = dict(zip(reversed(keys), reversed(table.words), strict=True))
    found = sorted(counts, key=shown.__getitem__)  # two stable sorts are faster than one by pairs
    found.sort(key=counts.__getitem__, reverse=True)
    stops = set(compress(keys, table.stops))
    words, numbers = list(map(shown.__getitem__, found)), list(map(counts.__getitem__, found))
    return Table(words, numbers, bytes(map(stops.__contains__, found)), table.total, found)


@lru_cache(16)
def _folded_words(words: frozenset[str], language: str) -> frozenset[str]:
    return frozenset(folds(list(words), language))


def _are_storable(counts: Mapping[str, int]) -> bool:
    """Whether no word needs a change; nearly always."""
    if max(map(len, counts), default=0) > WORD_CHARACTERS or min(counts.values(), default=1) < 1:
        return False
    try:
        "".join(counts).encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(word: str) -> str:
    """The word as the table has it."""
    if not word.isascii():
        word = word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(word) > WORD_CHARACTERS:
        word = f"{word[:WORD_CHARACTERS]}…{hashlib.sha256(word.encode()).hexdigest()[:16]}"
    return word


def _compressed(table: Table, rows: range) -> Iterator[bytes]:
    """The rows as one piece, or halved until each fits."""
    part = slice(rows.start, rows.stop)
    piece = zlib.compress(_encode(_Piece(list(table.words[part]), list(table.counts[part]), table.stops[part])), _LEVEL)
    if len(piece) <= PIECE_BYTES or len(rows) == 1:
        yield piece
        return
    middle = (rows.start + rows.stop) // 2
    yield from _compressed(table, range(rows.start, middle))
    yield from _compressed(table, range(middle, rows.stop))
