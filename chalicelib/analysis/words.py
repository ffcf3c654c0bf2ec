"""The stored word table: packed into pieces that fit DynamoDB's items, read back, filtered, folded, paged.

Pure, and imported by the Lambda: the standard library and msgspec, no NLTK. A table is three columns rather than a list
of rows, so that half a million words cost tens of megabytes; rows are made for the page that is asked for.
"""

import csv
import hashlib
import io
import operator
import unicodedata
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import compress, islice

import msgspec

PIECE_BYTES = 350_000  # DynamoDB's item holds 400 KB; the rest is for keys and attributes
WORD_CHARACTERS = 16_384  # longer words are no words; at 4 bytes a character one still fits a piece
_RAW_BYTES = 700_000  # a first guess: words compress to about half
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")  # a spreadsheet runs a cell that begins so
_TURNED = bytes([1]) + bytes(255)
_DOTTED_I = {"tr", "az"}  # languages where I is the capital of ı, and İ that of i

StopWords = Callable[[str], bool] | Collection[str]


class DamagedTable(ValueError):
    """Stored pieces that cannot be read back."""


class Row(msgspec.Struct, frozen=True):
    """A word with its count, and its share of all words of the page (0 to 1)."""

    word: str
    count: int
    share: float
    stop_word: bool


class Table(msgspec.Struct, frozen=True):
    """Words, most frequent first, ties in code point order. ``stops`` has a 1 for each stop word, else a 0.

    ``total`` counts all words of the page, whatever a filter has taken out since.
    """

    words: Sequence[str]
    counts: Sequence[int]
    stops: bytes
    total: int

    def __len__(self) -> int:
        return len(self.words)


class Totals(msgspec.Struct, frozen=True):
    """Occurrences of words, how many differ, and occurrences of stop words."""

    words: int
    distinct: int
    stop_words: int


class Page(msgspec.Struct, frozen=True):
    """Some rows of a table, and the offset of those that follow; None at the end."""

    rows: list[Row]
    next: int | None


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    words: list[str]
    counts: list[int]
    stops: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Piece).decode


def table(counts: Mapping[str, int], stop_words: StopWords = (), language: str = "") -> Table:
    """The table of ``counts``; ``stop_words`` is a test of a word, or a collection in lower case.

    Lone surrogates become U+FFFD. Of a word longer than 16,384 characters the beginning is kept, with "…" and a hash
    that keeps different words apart.
    """
    if not _are_storable(counts):
        stored: Counter[str] = Counter()
        for word, number in counts.items():
            if number > 0:
                stored[storable(word)] += number
        counts = stored
    return _table(counts, lambda words: _marks(words, stop_words, language), sum(counts.values()))


def pack(table: Table) -> list[bytes]:
    """The table in compressed pieces of at most 350,000 bytes, each readable alone; [] for no words."""
    return [piece for rows in _rough_pieces(table) for piece in _compressed(table, rows)]


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


def top(table: Table, limit: int = 10) -> list[Row]:
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
    """The table with words that differ in case only taken together."""
    return _merged([([fold(word, language) for word in table.words], table)], table.total)


def merged(tables: Iterable[Table]) -> Table:
    """One table for several pages."""
    parts = [(part.words, part) for part in tables]
    return _merged(parts, sum(part.total for _, part in parts))


def filtered(table: Table, *, stop_words: bool = True, prefix: str = "", min_count: int = 1) -> Table:
    """Without the stop words if ``stop_words`` is false; words that begin with ``prefix`` and occur often enough."""
    end = bisect_right(table.counts, -min_count, key=operator.neg)  # the counts fall
    words, counts, stops = table.words[:end], table.counts[:end], table.stops[:end]
    if not stop_words:
        keep = stops.translate(_TURNED)
        words, counts, stops = list(compress(words, keep)), list(compress(counts, keep)), bytes(len(words) - sum(stops))
    if prefix := unicodedata.normalize("NFC", prefix):
        found = [word.startswith(prefix) for word in words]
        words, counts, stops = (
            list(compress(words, found)),
            list(compress(counts, found)),
            bytes(compress(stops, found)),
        )
    return Table(words, counts, stops, table.total)


def query(
    table: Table,
    *,
    stop_words: bool = True,
    fold_case: bool = False,
    language: str = "",
    prefix: str = "",
    min_count: int = 1,
) -> Table:
    """All that a reader may ask for, in the order that makes sense: a prefix and a minimum are of the folded words."""
    if fold_case:
        table = folded(filtered(table, stop_words=stop_words), language)
        prefix = fold(prefix, language)
    return filtered(table, stop_words=stop_words, prefix=prefix, min_count=min_count)


def page(table: Table, limit: int, offset: int = 0) -> Page:
    """At most ``limit`` rows from ``offset`` on."""
    end = min(offset + limit, len(table))
    return Page([_row(table, place) for place in range(offset, end)], end if end < len(table) else None)


def to_csv(table: Table) -> bytes:
    """RFC 4180 in UTF-8, with a header. A word that a spreadsheet would run as a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("word", "count", "share", "stop_word"))
    for place in range(len(table)):
        row = _row(table, place)
        writer.writerow((guarded(row.word), row.count, f"{row.share:.8f}", "true" if row.stop_word else "false"))
    return text.getvalue().encode()


def guarded(text: str) -> str:
    """The text with an apostrophe where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(table: Table, place: int) -> Row:
    number = table.counts[place]
    return Row(table.words[place], number, round(number / table.total, 8), bool(table.stops[place]))


def _merged(parts: Iterable[tuple[Sequence[str], Table]], total: int) -> Table:
    """The tables' rows under other words, equal ones added."""
    counts: dict[str, int] = {}
    stops: set[str] = set()
    for words, part in parts:
        for word, number in zip(words, part.counts, strict=True):
            counts[word] = counts.get(word, 0) + number
        stops.update(compress(words, part.stops))
    return _table(counts, lambda words: bytes(map(stops.__contains__, words)), total)


def _table(counts: Mapping[str, int], marks: Callable[[Sequence[str]], bytes], total: int) -> Table:
    words = sorted(counts)  # two stable sorts are faster than one by pairs
    words.sort(key=counts.__getitem__, reverse=True)
    return Table(words, list(map(counts.__getitem__, words)), marks(words), total)


def _marks(words: Sequence[str], stop_words: StopWords, language: str) -> bytes:
    if callable(stop_words):
        return bytes(map(stop_words, words))
    if language in _DOTTED_I:
        words = [word.replace("I", "ı").replace("İ", "i") for word in words]
    return bytes(map(stop_words.__contains__, map(str.lower, words)))


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


def _rough_pieces(table: Table) -> Iterator[range]:
    start = size = 0
    for place, word in enumerate(table.words):
        size += 4 * len(word) + 8 if not word.isascii() else len(word) + 8
        if size > _RAW_BYTES:
            yield range(start, place + 1)
            start, size = place + 1, 0
    if start < len(table):
        yield range(start, len(table))


def _compressed(table: Table, rows: range) -> Iterator[bytes]:
    """The rows as one piece, or halved until each fits."""
    part = slice(rows.start, rows.stop)
    piece = zlib.compress(_encode(_Piece(list(table.words[part]), list(table.counts[part]), table.stops[part])))
    if len(piece) <= PIECE_BYTES or len(rows) == 1:
        yield piece
        return
    middle = (rows.start + rows.stop) // 2
    yield from _compressed(table, range(rows.start, middle))
    yield from _compressed(table, range(middle, rows.stop))
