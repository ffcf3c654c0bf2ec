"""Answers to the questions about a corpus that need its rows: contexts, phrases and collocates.

``answer`` takes what a query job holds in its options and returns what the API shows. The SQL is in corpus/queries.py,
the statistics in analysis/statistics.py.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.analysis import contexts, corpus_words, statistics, words
from chalicelib.analysis.corpus_words import CorpusTable
from chalicelib.aws import objects
from chalicelib.corpus import files, parts, queries
from chalicelib.corpus.engine import Engine, opened
from chalicelib.store.corpora import Corpus

PHRASES_MOST = 100_000  # that are ranked: the most frequent
EVERYWHERE = 3  # a word that one of so many documents has is looked for in all of them
PHRASE_WORDS_MOST = 10  # of a phrase whose contexts are asked for


class _Words:
    """What the corpus' word table says of a word."""

    def __init__(self, table: CorpusTable) -> None:
        self._table = table
        self._places = {word: place for place, word in enumerate(table.folds.words)}

    def frequency(self, word: str) -> int:
        return self._table.folds.counts[self._places[word]]

    def is_stop_word(self, word: str) -> bool:
        return bool(self._table.folds.stops[self._places[word]])

    def shown(self, word: str) -> str:
        return self._table.shown[self._places[word]]


def answer(corpus: Corpus, question: str, asked: Mapping[str, Any], *, threads: int = 2) -> dict[str, Any]:
    """The answer to ``question`` (contexts, phrases or collocates) over the files that the corpus' manifest names."""
    manifest = corpus.manifest
    paths = files.views(corpus.id, manifest.parts, ("words", "documents"))
    removed = [doc for part in manifest.parts for doc in part.removed]
    with opened(paths, parts.SCHEMAS, removed, threads=threads) as engine:
        if question == "contexts":
            return _contexts(engine, manifest.documents, asked)
        known = _Words(corpus_words.unpack(objects.get(files.table_name(corpus.id, manifest.table))))
        if question == "phrases":
            return _phrases(engine, known, asked)
        return _collocates(engine, known, manifest.documents, asked)


def _contexts(engine: Engine, documents_there: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    column = "fold" if asked["fold_case"] else "word"
    wanted = unicodedata.normalize("NFC", asked["phrase"])
    given = [words.fold(word) if asked["fold_case"] else word for word in wanted.split()][:PHRASE_WORDS_MOST]
    if not given:
        return {"total": 0, "documents": 0, "contexts": [], "next": None}
    bound: dict[str, Any] = {f"word{number}": word for number, word in enumerate(given)}
    [(total, documents)] = engine.rows(queries.total(len(given), column=column), **bound)
    limit, offset, sort = asked["limit"], asked["offset"], asked["sort"]
    sql = (
        queries.contexts(len(given), column=column)
        if sort == "place"
        else queries.sorted_contexts(
            len(given), column=column, side=sort, everywhere=EVERYWHERE * documents > documents_there
        )
    )
    found = engine.rows(sql, **bound, limit=limit, offset=offset)
    shown = _shown(engine, found, len(given), asked) if found else []
    following = offset + len(shown) if offset + len(shown) < total else None
    return {"total": total, "documents": documents, "contexts": shown, "next": following}


def _shown(
    engine: Engine, found: Sequence[tuple[Any, ...]], size: int, asked: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The occurrences with what stands around them, by the same code as a job's, in their order."""
    docs = sorted({row[0] for row in found})
    rows: dict[int, list[tuple[str, bool, list[dict[str, int]]]]] = {}
    for doc, word, stop, positions in engine.rows(queries.ROWS, docs=docs):
        rows.setdefault(doc, []).append((word, stop, positions))
    evidences, documents = {}, {}
    for doc, job, key, url, title, language, text in engine.rows(queries.TEXTS, docs=docs):
        evidences[doc] = parts.evidence(text, language, rows[doc])
        documents[doc] = {"id": job, "key": key, "url": url, "title": title}
    shown = []
    for doc, start, _last, _place in found:
        evidence = evidences[doc]
        first = bisect_left(evidence.tokens.starts, start)
        [context] = contexts.show(evidence, [range(first, first + size)], window=asked["window"], unit=asked["unit"])
        shown.append(
            {"document": documents[doc], **{name: getattr(context, name) for name in context.__struct_fields__}}
        )
    return shown


def _phrases(engine: Engine, known: _Words, asked: Mapping[str, Any]) -> dict[str, Any]:
    n, measure, stop_words = asked["n"], asked["measure"], asked["stop_words"]
    rows = []
    for row in engine.rows(queries.phrases(n), min_count=asked["min_count"], most=PHRASES_MOST):
        folds, (count, documents), frequencies, windows = row[:n], row[n : n + 2], row[n + 2 : 2 * n + 2], row[-1]
        tested = {"edges": (folds[0], folds[-1]), "any": folds, "include": ()}[stop_words]
        if any(map(known.is_stop_word, tested)):
            continue
        rows.append(
            {
                "phrase": list(map(known.shown, folds)),
                "count": count,
                "documents": documents,
                "logdice": round(statistics.log_dice(count, frequencies), 6),
                "g2": round(statistics.pair_g2(count, frequencies[0], frequencies[1], windows), 6) if n == 2 else None,
                "npmi": round(statistics.npmi(count, frequencies, windows), 6),
            }
        )
    rows.sort(key=lambda row: (-(row[measure] or 0.0), -row["count"], row["phrase"]))
    return _page("phrases", rows, asked)


def _collocates(engine: Engine, known: _Words, documents_there: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    node = words.fold(unicodedata.normalize("NFC", asked["word"]))
    [(total, documents)] = engine.rows(queries.total(1, column="fold"), word0=node)
    near = queries.collocates(asked["window"], everywhere=EVERYWHERE * documents > documents_there)
    rows = [
        {
            "word": known.shown(word),
            "count": count,
            "documents": found_in,
            "frequency": known.frequency(word),
            "logdice": round(statistics.log_dice(count, [total, known.frequency(word)]), 6),
            "stop_word": known.is_stop_word(word),
        }
        for word, count, found_in in engine.rows(near, word0=node, min_count=asked["min_count"])
        if asked["stop_words"] == "include" or not known.is_stop_word(word)
    ]
    rows.sort(key=lambda row: (-row["logdice"], -row["count"], row["word"]))
    return {"total": total, "documents": documents, **_page("collocates", rows, asked)}


def _page(name: str, rows: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
    start, end = asked["offset"], asked["offset"] + asked["limit"]
    return {name: rows[start:end], "next": end if end < len(rows) else None}
