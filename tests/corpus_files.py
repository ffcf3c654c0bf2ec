"""A corpus' files as compaction writes them, and what a plain count says of the same documents."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from chalicelib.analysis import corpus_table
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.analysis.evidence import Evidence
from chalicelib.corpus import merging, parts, queries
from chalicelib.corpus.engine import holding, opened

Tokens = list[tuple[int, str, str]]  # of a document: sentence, word, folded word
Files = dict[str, list[Path]]


def written(folder: Path, groups: Sequence[Sequence[parts.Document]], removed: Sequence[int] = ()) -> Files:
    """The files of each group's part, with summaries that leave the removed documents out."""
    files: Files = {kind: [] for kind in parts.SCHEMAS}
    for number, group in enumerate(groups):
        own = {kind: [folder / f"{number}.{kind}"] for kind in parts.SCHEMAS}
        for kind, data in part(group).items():
            own[kind][0].write_bytes(data)
        with opened({kind: own[kind] for kind in ("words", "documents")}, removed) as engine:
            for kind in ("spellings", "folds") if removed else ():
                own[kind][0].write_bytes(engine.parquet(kind, merging.NEW[kind]))
        for kind, paths in own.items():
            files[kind] += paths
    return files


def part(group: Sequence[parts.Document]) -> dict[str, bytes]:
    """By kind the file that compaction writes of these documents."""
    with holding(parts.arrays(group)) as engine:
        return {kind: engine.parquet(kind, sql) for kind, sql in merging.NEW.items()}


def rewritten(folder: Path, files: Files, removed: Sequence[int], tables: Mapping[str, str], name: str) -> Files:
    """One part of what these files hold, without the removed documents."""
    made = {kind: [folder / f"{name}.{kind}"] for kind in tables}
    with opened(files, removed) as engine:
        for kind, sql in tables.items():
            made[kind][0].write_bytes(engine.parquet(kind, sql))
    return made


def merged(files: Files, documents: int, *, threads: int = 2) -> CorpusTable:
    """The word table that compaction makes of the summaries."""
    with opened({kind: files[kind] for kind in ("spellings", "folds")}, threads=threads) as engine:
        rows = engine.each(queries.TABLE_SPELLINGS), engine.each(queries.TABLE_FOLDS)
        return corpus_table.of_bytes(corpus_table.pack(*rows, documents))


def whole(table: CorpusTable, *, fold_case: bool = True) -> corpus_table.Piece:
    """All of a word table as one piece."""
    found = corpus_table.Piece([], [], [], b"".join(piece.stops for piece in table.pieces(fold_case=fold_case)))
    for piece in table.pieces(fold_case=fold_case):
        for name in ("words", "counts", "documents", "shown", "rates", "squares", "logs"):
            getattr(found, name).extend(getattr(piece, name))
    return found


def tokens_of(evidence: Evidence) -> Tokens:
    """A document's tokens, one by one."""
    keys, ends = evidence.keys(fold_case=True), list(evidence.tokens.sentence_ends)
    found, sentence = [], 0
    for at, row in enumerate(evidence.tokens.rows):
        while at >= ends[sentence]:
            sentence += 1
        found.append((sentence, evidence.table.words[row], keys[row]))
    return found


def plain(documents: Sequence[Tokens]) -> dict[str, tuple[int, int, float, float]]:
    """By folded word: count, documents, Juilland's D and D_KL, each from its definition."""
    counts = [Counter(fold for _, _, fold in document) for document in documents]
    sizes = [len(document) for document in documents]
    every = sum(sizes)
    found = {}
    for word in set().union(*counts):
        frequencies = [count[word] for count in counts]
        total, n = sum(frequencies), len(documents)
        rates = [f / w if w else 0.0 for f, w in zip(frequencies, sizes, strict=True)]
        mean = math.fsum(rates) / n
        deviation = math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates) / n)
        d = 1.0 if n == 1 else max(0.0, 1 - deviation / mean / math.sqrt(n - 1))
        shares = [(f / total, w / every) for f, w in zip(frequencies, sizes, strict=True) if f]
        d_kl = math.fsum(t * math.log2(t / w) for t, w in shares)
        found[word] = total, sum(map(bool, frequencies)), d, d_kl
    return found


def near(documents: Sequence[Tokens], node: str, window: int) -> Counter[str]:
    """Words within ``window`` words of ``node`` in its sentence; a place near two occurrences counts once."""
    found: Counter[str] = Counter()
    for document in documents:
        spots = {
            at + step
            for at, (sentence, _, fold) in enumerate(document)
            for step in range(-window, window + 1)
            if fold == node and step and 0 <= at + step < len(document) and document[at + step][0] == sentence
        }
        found.update(document[spot][2] for spot in spots)
    return found


def grams(documents: Sequence[Tokens], n: int) -> Counter[tuple[str, ...]]:
    """Phrases of ``n`` folded words within a sentence."""
    found: Counter[tuple[str, ...]] = Counter()
    for document in documents:
        for at in range(len(document) - n + 1):
            some = document[at : at + n]
            if some[0][0] == some[-1][0]:
                found[tuple(fold for _, _, fold in some)] += 1
    return found
