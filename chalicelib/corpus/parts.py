"""A part of a corpus: about a thousand counted documents as two Parquet files.

``words`` has a row for each document and word, sorted by word, so that a reader of one word opens few row groups:

    doc int32, word string, fold string, count int32, stop bool, positions list<struct<start int32, place int32>>

``start`` is the offset in the document's text. ``place`` numbers the words of a document, and jumps by 1,000 where a
sentence ends (Lucene's position gap): words whose places differ by one follow each other in one sentence.

Summaries of a part, made from these by SQL, are added up to the corpus' word table: ``spellings`` and ``folds``.

``documents`` has a row for each document: doc int32, id (the job), key, url, title, language, rules, text, words and
distinct int32, metadata map<string, string>. Parts are derived and can be made again from the jobs.
"""

import io
from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from chalicelib.analysis.evidence import Evidence
from chalicelib.analysis.tokens import Tokens
from chalicelib.analysis.words import Table

SENTENCE_GAP = 1_000  # between the places of two sentences; no window of words is wider
ROW_GROUP = 50_000
_POSITION = pa.struct([("start", pa.int32()), ("place", pa.int32())])

WORDS = pa.schema(
    [
        ("doc", pa.int32()),
        ("word", pa.string()),
        ("fold", pa.string()),
        ("count", pa.int32()),
        ("stop", pa.bool_()),
        ("positions", pa.list_(_POSITION)),
    ]
)
DOCUMENTS = pa.schema(
    [
        ("doc", pa.int32()),
        ("id", pa.string()),
        ("key", pa.string()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("language", pa.string()),
        ("rules", pa.string()),
        ("words", pa.int32()),
        ("distinct", pa.int32()),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("text", pa.string()),
    ]
)


SPELLINGS = pa.schema(
    [
        ("word", pa.string()),
        ("fold", pa.string()),
        ("count", pa.int64()),
        ("documents", pa.int64()),
        ("stops", pa.int64()),
    ]
)
FOLDS = pa.schema(
    [
        ("fold", pa.string()),
        ("count", pa.int64()),
        ("documents", pa.int64()),
        ("rates", pa.float64()),
        ("squares", pa.float64()),
        ("logs", pa.float64()),
    ]
)
SCHEMAS = {"words": WORDS, "documents": DOCUMENTS, "spellings": SPELLINGS, "folds": FOLDS}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A counted document. ``doc`` is its number in the corpus, which no other document ever has."""

    doc: int
    id: str
    key: str
    evidence: Evidence
    url: str | None = None
    title: str | None = None
    rules: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


def write(documents: Iterable[Document]) -> tuple[bytes, bytes]:
    """The documents as the bytes of a ``words`` and a ``documents`` file."""
    described: list[dict[str, Any]] = []
    tables: list[pa.Table] = []
    for document in documents:
        evidence = document.evidence
        described.append(
            {
                "doc": document.doc,
                "id": document.id,
                "key": document.key,
                "url": document.url,
                "title": document.title,
                "language": evidence.language,
                "rules": document.rules,
                "words": evidence.table.total,
                "distinct": len(set(evidence.keys(fold_case=True))),
                "metadata": list(document.metadata.items()),
                "text": evidence.text,
            }
        )
        tables.append(_rows(document))
    words = pa.concat_tables(tables) if tables else WORDS.empty_table()
    words = words.combine_chunks().sort_by([("fold", "ascending"), ("word", "ascending"), ("doc", "ascending")])
    return as_parquet(words), as_parquet(pa.Table.from_pylist(described, schema=DOCUMENTS))


def _rows(document: Document) -> pa.Table:
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
    positions = pa.StructArray.from_arrays([_int32(starts), _int32(places)], fields=list(_POSITION))
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(document.doc, pa.int32()), len(table)),
            pa.array(table.words, pa.string()),
            pa.array(document.evidence.keys(fold_case=True), pa.string()),
            pa.array(table.counts, pa.int32()),
            pa.array(map(bool, table.stops), pa.bool_(), size=len(table)),
            pa.ListArray.from_arrays(_int32(offsets), positions),
        ],
        schema=WORDS,
    )


def _places(tokens: Tokens) -> Iterable[int]:
    """For each token its place: its ordinal, and a gap for each sentence before it."""
    gap = before = 0
    for end in [*tokens.sentence_ends, len(tokens)]:
        yield from range(before + gap, end + gap)
        before, gap = end, gap + SENTENCE_GAP


def _int32(numbers: "array[int]") -> pa.Array:
    return pa.Array.from_buffers(pa.int32(), len(numbers), [None, pa.py_buffer(numbers)])


def as_parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file's bytes, in row groups that a reader can skip."""
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd", row_group_size=ROW_GROUP, use_dictionary=False)
    return file.getvalue()


def evidence(text: str, language: str, rows: Iterable[tuple[str, bool, list[dict[str, int]]]]) -> Evidence:
    """A document's evidence again, from its rows of a part: word, stop mark and positions of each."""
    found = [(word, stop, positions) for word, stop, positions in rows if positions]
    found.sort(key=lambda row: (-len(row[2]), row[0]))
    order = sorted(
        (position["place"], position["start"], row) for row, (_, _, places) in enumerate(found) for position in places
    )
    ends = [at for at in range(1, len(order)) if order[at][0] - order[at - 1][0] > 1]
    tokens = Tokens(array("I", (row for _, _, row in order)), array("I", (start for _, start, _ in order)), ends, [])
    counts = [len(positions) for _, _, positions in found]
    table = Table([word for word, _, _ in found], counts, bytes(stop for _, stop, _ in found), sum(counts))
    return Evidence(text, tokens, table, language)
