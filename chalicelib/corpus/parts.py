"""A part of a corpus: about a thousand counted documents as two Parquet files.

``words`` has a row for each document and word, sorted by word, so that a reader of one word opens few row groups:

    doc int32, word string, fold string, count int32, stop bool, positions list<struct<start int32, place int32>>

``start`` is the offset in the document's text. ``place`` numbers the words of a document, and jumps by 1,000 where a
sentence ends (Lucene's position gap): words whose places differ by one follow each other in one sentence.

Summaries of a part, made from these by SQL, are added up to the corpus' word table: ``spellings`` and ``folds``.

``documents`` has a row for each document: doc int32, id (the job), key, url, title, language, text, words int32,
metadata map<string, string>. Parts are derived and can be made again from the jobs. Those of 0.3.0 have more columns.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import nanoarrow as na
from nanoarrow.c_array_stream import CArrayStream

from chalicelib.analysis.evidence import Evidence
from chalicelib.analysis.tokens import Tokens
from chalicelib.analysis.words import Table

Columns = dict[str, Any]  # arrays of one length by name

SENTENCE_GAP = 1_000  # between the places of two sentences; no window of words is wider

SCHEMAS = {  # by kind of file its columns, each with its type as DuckDB names it
    "words": {
        "doc": "integer",
        "word": "varchar",
        "fold": "varchar",
        "count": "integer",
        "stop": "boolean",
        "positions": "struct(start integer, place integer)[]",
    },
    "documents": {
        "doc": "integer",
        "id": "varchar",
        "key": "varchar",
        "url": "varchar",
        "title": "varchar",
        "language": "varchar",
        "words": "integer",
        "metadata": "map(varchar, varchar)",
        "text": "varchar",
    },
    "spellings": {"word": "varchar", "fold": "varchar", "count": "bigint", "documents": "bigint", "stops": "bigint"},
    "folds": {
        "fold": "varchar",
        "count": "bigint",
        "documents": "bigint",
        "rates": "double",
        "squares": "double",
        "logs": "double",
    },
}
# The same types in memory, as DuckDB reads and casts them.
_POSITION = na.struct({"start": na.int32(), "place": na.int32()})
_PAIR = na.struct({"key": na.string(nullable=False), "value": na.string()})
_ARROW = {
    "integer": na.int32(),
    "varchar": na.string(),
    "boolean": na.uint8(),
    SCHEMAS["words"]["positions"]: na.list_(_POSITION),
    SCHEMAS["documents"]["metadata"]: na.map_(na.string(), na.string()),
}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A counted document. ``doc`` is its number in the corpus, which no other document ever has."""

    doc: int
    id: str
    key: str
    evidence: Evidence
    url: str | None = None
    title: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


def arrays(documents: Sequence[Document]) -> dict[str, Any]:
    """The rows of the documents as Arrow arrays: ``words`` and ``documents``, in no order."""
    rows = [_words(one) for one in documents]
    return {"words": _array("words", rows), "documents": _array("documents", [_described(documents)])}


def _array(kind: str, rows: list[Columns]) -> Any:
    schema = SCHEMAS[kind]
    arrow = na.struct({name: _ARROW[column] for name, column in schema.items()})
    made = [_nested(arrow, each["doc"].length, [each[name] for name in schema]) for each in rows]
    return na.Array(CArrayStream.from_c_arrays(made, na.c_schema(arrow)))


def _described(documents: Sequence[Document]) -> Columns:
    """A row for each document."""
    pairs = [pair for one in documents for pair in one.metadata.items()]
    halves = [_texts([pair[half] for pair in pairs]) for half in (0, 1)]
    offsets = array("i", accumulate((len(one.metadata) for one in documents), initial=0))
    metadata = _ARROW[SCHEMAS["documents"]["metadata"]]
    return {
        "doc": _numbers(one.doc for one in documents),
        **{name: _texts([getattr(one, name) for one in documents]) for name in ("id", "key", "url", "title")},
        "language": _texts([one.evidence.language for one in documents]),
        "words": _numbers(one.evidence.table.total for one in documents),
        "metadata": _nested(metadata, len(documents), [_nested(_PAIR, len(pairs), halves)], offsets),
        "text": _texts([one.evidence.text for one in documents]),
    }


def _words(document: Document) -> Columns:
    """A row for each word of a document."""
    table, tokens = document.evidence.table, document.evidence.tokens
    offsets = array("i", accumulate(table.counts, initial=0))
    free = array("i", offsets)  # where the next position of each word belongs
    starts, places = array("i", bytes(4 * len(tokens))), array("i", bytes(4 * len(tokens)))
    for row, start, place in zip(tokens.rows, tokens.starts, _places(tokens), strict=True):
        at = free[row]
        free[row] = at + 1
        starts[at], places[at] = start, place
    if free[:-1] != offsets[1:]:
        raise ValueError(f"document {document.doc}: its tokens are not its counts")
    positions = _nested(_POSITION, len(tokens), [_numbers(starts), _numbers(places)])
    return {
        "doc": _numbers(array("i", [document.doc]) * len(table)),
        "word": _texts(table.words),
        "fold": _texts(document.evidence.keys(fold_case=True)),
        "count": _numbers(table.counts),
        "stop": na.c_array_from_buffers(na.uint8(), len(table), [None, table.stops]),
        "positions": _nested(na.list_(_POSITION), len(table), [positions], offsets),
    }


def _numbers(numbers: Iterable[int]) -> Any:
    kept = numbers if isinstance(numbers, array) else array("i", numbers)
    return na.c_array_from_buffers(na.int32(), len(kept), [None, kept])


def _texts(texts: Iterable[str | None]) -> Any:
    return na.c_array(texts, na.string())


def _nested(schema: Any, length: int, children: list[Any], *buffers: "array[int]") -> Any:
    """An array of structures, or with its offsets one of lists; none of them is missing."""
    return na.c_array_from_buffers(schema, length, [None, *buffers], children=children)


def _places(tokens: Tokens) -> Iterable[int]:
    """For each token its place: its ordinal, and a gap for each sentence before it."""
    gap = before = 0
    for end in [*tokens.sentence_ends, len(tokens)]:
        yield from range(before + gap, end + gap)
        before, gap = end, gap + SENTENCE_GAP


def evidence(text: str, language: str, rows: Sequence[tuple[str, int, int]]) -> Evidence:
    """A piece of a text with its words: of each, in their order, the word, where it starts in the piece, its place."""
    counts = Counter(word for word, _, _ in rows)
    row_of = {word: row for row, word in enumerate(counts)}
    ends = [at for at in range(1, len(rows)) if rows[at][2] - rows[at - 1][2] > 1]
    tokens = Tokens(
        array("I", (row_of[word] for word, _, _ in rows)), array("I", (start for _, start, _ in rows)), ends, []
    )
    return Evidence(text, tokens, Table([*counts], [*counts.values()], bytes(len(counts)), len(rows)), language)
