"""Answers to the questions about a corpus that need its rows: contexts, phrases and collocates.

``answer`` takes what a query job holds in its options and returns what the API shows. The SQL is in corpus/queries.py,
the statistics in analysis/statistics.py.
"""

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from chalicelib.analysis import contexts, corpus_table, statistics
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.analysis.words import WORD_CHARACTERS
from chalicelib.aws import objects
from chalicelib.corpus import files, parts, queries
from chalicelib.corpus.engine import Engine, opened
from chalicelib.corpus.readings import Reading, readings
from chalicelib.store.corpora import Corpus

PHRASES_MOST = 100_000  # that are ranked: the most frequent
EVERYWHERE = 3  # a word that one of so many documents has is looked for in all of them
SHOWN = 50  # contexts that are made at once: what is read for them is in memory


def answer(
    corpus: Corpus, question: str, asked: Mapping[str, Any], found: Sequence[Sequence[Any]] | None = None
) -> dict[str, Any]:
    """The answer to ``question`` (contexts, phrases or collocates) over the files that the corpus' manifest names.

    ``found`` are the rows of ``phrases_query`` where another engine has looked for them.
    """
    manifest = corpus.manifest
    if not manifest.table:  # nothing has been counted yet
        sums = {} if question == "phrases" else {"total": 0, "documents": 0}
        return {**sums, question: [], "next": None}
    table = functools.cache(
        lambda: CorpusTable(functools.partial(objects.get, files.table_name(corpus.id, manifest.table)))
    )
    if found is not None:
        return _phrases(found, table(), asked)
    paths = files.views(corpus.id, manifest.parts, ("words", "documents"))
    removed = [doc for part in manifest.parts for doc in part.removed]
    with opened(paths, removed) as engine:
        if question == "contexts":
            return _contexts(engine, table, manifest.documents, asked)
        if question == "phrases":
            sql, values = phrases_query(asked)
            return _phrases(engine.rows(sql, **values), table(), asked)
        return _collocates(engine, table, manifest.documents, asked)


def _contexts(
    engine: Engine, table: Callable[[], CorpusTable], documents_there: int, asked: Mapping[str, Any]
) -> dict[str, Any]:
    column, sort = "fold" if asked["fold_case"] else "word", asked["sort"]
    every = readings(asked["phrase"], table, fold_case=asked["fold_case"])
    reading, total, documents = _first(engine, every, column)
    if not total:
        return {"total": 0, "documents": 0, "contexts": [], "next": None}
    sql = queries.occurrences(reading.words, column=column, either=reading.either)
    if sort == "place":
        sql = queries.contexts(sql)
    else:
        sql = queries.sorted_contexts(sql, side=sort, everywhere=EVERYWHERE * documents > documents_there)
    limit, offset = asked["limit"], asked["offset"]
    found = engine.rows(sql, **reading.bound, limit=limit, offset=offset)
    shown = [row for at in range(0, len(found), SHOWN) for row in _shown(engine, found[at : at + SHOWN], asked)]
    following = offset + len(shown) if offset + len(shown) < total else None
    return {"total": total, "documents": documents, "contexts": shown, "next": following}


def _first(engine: Engine, every: Iterable[Reading], column: str) -> tuple[Reading, int, int]:
    """The first reading that occurs, or the last, with how often it does and in how many documents."""
    reading, total, documents = Reading(1, {"word0": ""}), 0, 0
    for reading in every:
        sql = queries.occurrences(reading.words, column=column, either=reading.either)
        [(total, documents)] = engine.rows(queries.total(sql), **reading.bound)
        if total:
            break
    return reading, total, documents


def _shown(engine: Engine, found: Sequence[tuple[int, ...]], asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The occurrences with what stands around them, by the same code as a job's, in their order.

    Of a document only the blocks are read that can be shown, since many of them may be long.
    """
    docs = sorted({row[0] for row in found})
    around = [_blocks(*row[:3]) for row in found]
    texts = dict(engine.rows(queries.TEXTS, blocks=sorted(set().union(*around))))
    # A sentence may end with a word that begins before the text that is shown, or go on after a gap.
    more = WORD_CHARACTERS // queries.BLOCK if asked["unit"] == "sentence" else 0
    blocks = sorted(set().union(*(range(some.start - more, some.stop + more) for some in around)))
    tokens: dict[int, list[tuple[str, int, int]]] = {doc: [] for doc in docs}
    for doc, *token in engine.rows(queries.TOKENS, docs=docs, blocks=blocks):
        tokens[doc].append(tuple(token))
    documents = {doc: described for doc, *described in engine.rows(queries.DOCUMENTS, docs=docs)}
    for (doc, start, stop, _, size), some in zip(found, around, strict=True):
        job, key, url, title, language, length = documents[doc]
        before = some.start % queries.BLOCK_OF * queries.BLOCK
        text = "".join(texts[block] for block in some if block in texts)
        near = _near(tokens[doc], before, text, length, more * queries.BLOCK)
        first = bisect_right(near, start - before, key=itemgetter(1)) - 1
        evidence = parts.evidence(text, language, near)
        [context] = contexts.show(evidence, [range(first, first + size)], window=asked["window"], unit=asked["unit"])
        yield {
            "document": {"id": job, "key": key, "url": url, "title": title},
            **{name: getattr(context, name) for name in context.__struct_fields__},
            "start": start,
            "end": stop,
            "place": round(start / length, 6),
        }


def _near(
    tokens: list[tuple[str, int, int]], before: int, text: str, length: int, more: int
) -> list[tuple[str, int, int]]:
    """The words of a piece that begins at ``before`` of a text of this length, between two empty ones at its ends.

    The places of these say whether a sentence goes on beyond: it does where no word is within ``more`` characters.
    """
    end = before + len(text)
    low, high = (bisect_left(tokens, at, key=itemgetter(1)) for at in (before, end))
    near = [(word, at - before, place) for word, at, place in tokens[low:high]]
    is_known = low and tokens[low - 1][1] >= before - more
    first = tokens[low - 1][2] if is_known else near[0][2] - (1 if before else 2)
    is_known = high < len(tokens) and tokens[high][1] < end + more
    last = tokens[high][2] if is_known else near[-1][2] + (1 if end < length else 2)
    return [("", 0, first), *near, ("", len(text), last)]


def _blocks(doc: int, start: int, stop: int) -> range:
    """The blocks with all that can be shown of an occurrence, and a sign before it that may belong to a sentence."""
    reach = contexts.SIDE_MOST + 100
    first, last = max(0, start - reach) // queries.BLOCK, (stop + reach) // queries.BLOCK
    return range(doc * queries.BLOCK_OF + first, doc * queries.BLOCK_OF + last + 1)


def phrases_query(asked: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The one query that phrases take, with its values."""
    return queries.phrases(asked["n"]), {"min_count": asked["min_count"], "most": PHRASES_MOST}


def _phrases(found: Sequence[Sequence[Any]], table: CorpusTable, asked: Mapping[str, Any]) -> dict[str, Any]:
    n, measure, stop_words = asked["n"], asked["measure"], asked["stop_words"]
    known = corpus_table.known(table, {fold for row in found for fold in row[:n]})
    rows = []
    for row in found:
        folds, (count, documents), frequencies, windows = row[:n], row[n : n + 2], row[n + 2 : 2 * n + 2], row[-1]
        tested = {"edges": (folds[0], folds[-1]), "any": folds, "include": ()}[stop_words]
        if any(known[fold].is_stop_word for fold in tested):
            continue
        rows.append(
            {
                "phrase": [known[fold].shown for fold in folds],
                "count": count,
                "documents": documents,
                "logdice": round(statistics.log_dice(count, frequencies), 6),
                "g2": round(statistics.pair_g2(count, frequencies[0], frequencies[1], windows), 6) if n == 2 else None,
                "npmi": round(statistics.npmi(count, frequencies, windows), 6),
            }
        )
    rows.sort(key=lambda row: (-(row[measure] or 0.0), -row["count"], row["phrase"]))
    return _page("phrases", rows, asked)


def _collocates(
    engine: Engine, table: Callable[[], CorpusTable], documents_there: int, asked: Mapping[str, Any]
) -> dict[str, Any]:
    every = (one for one in readings(asked["word"], table, fold_case=True) if one.words == 1)
    node, total, documents = _first(engine, every, "fold")
    everywhere = EVERYWHERE * documents > documents_there
    near = queries.collocates(asked["window"], either=node.either, everywhere=everywhere)
    found = engine.rows(near, **node.bound, min_count=asked["min_count"])
    known = corpus_table.known(table(), {word for word, *_ in found})
    rows = [
        {
            "word": known[word].shown,
            "count": count,
            "documents": found_in,
            "frequency": known[word].frequency,
            "logdice": round(statistics.log_dice(count, [total, known[word].frequency]), 6),
            "stop_word": known[word].is_stop_word,
        }
        for word, count, found_in in found
        if asked["stop_words"] == "include" or not known[word].is_stop_word
    ]
    rows.sort(key=lambda row: (-row["logdice"], -row["count"], row["word"]))
    return {"total": total, "documents": documents, **_page("collocates", rows, asked)}


def _page(name: str, rows: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
    start, end = asked["offset"], asked["offset"] + asked["limit"]
    return {name: rows[start:end], "next": end if end < len(rows) else None}
