"""Corpora for the benchmarks: a folder of the files that compaction writes, of invented or of real texts.

Invented documents have 600 words by Zipf's law in sentences of 15, out of 60,000 words. Up to ``WRITTEN`` of them are
made one by one and compacted as a worker does it; what goes beyond are copies of their files under other numbers: as
many rows as a corpus of that size has, and no more distinct words. ``summaries`` makes what a corpus of a million
documents has of distinct words, without its rows.
"""

import itertools
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from chalicelib import counting
from chalicelib.analysis import corpus_table, evidence, words
from chalicelib.analysis.evidence import Evidence
from chalicelib.analysis.tokens import Tokens
from chalicelib.corpus import engine, merging, parts, queries
from chalicelib.corpus.engine import opened

SIZE, SENTENCE, VOCABULARY = 600, 15, 60_000
PART, MERGED, WRITTEN = 1_000, 5_000, 10_000  # documents of a batch, of a merged part, and that are made one by one
ROWS, SUMMARIES = ("words", "documents"), ("spellings", "folds")

# A million documents have words that are in few of them, and ever more: ranks by Lomax's law, which needs no list of
# words, gives N tokens about 3·N^(2/3) distinct ones. Each word is as often in a document as if it fell at random.
_DRAWN = f"""
with drawn as (select cast(floor(3 / pow(random(), 2) - 3) as bigint) as rank from range({MERGED * SIZE})),
counted as (select rank, count(*) as count from drawn group by rank)
select 'w' || to_base(rank, 26) as fold, count,
       cast(ceil({MERGED} * (1 - exp(-count / {MERGED}))) as bigint) as documents from counted
"""  # noqa: S608 - numbers of ours
_SPELLINGS = "select fold as word, fold, count, documents, 0 as stops from drawn order by fold"
_FOLDS = f"""
select fold, count, documents, count / {SIZE} as rates, count * count / documents / {SIZE * SIZE} as squares,
       count * log2(count / documents / {SIZE}) as logs from drawn order by fold
"""  # noqa: S608 - numbers of ours


def vocabulary(chosen: random.Random) -> list[str]:
    """Invented words, the most frequent first."""
    names = sorted({"w" + "".join(chosen.choices("abcdefghijklmnop", k=chosen.randint(2, 8))) for _ in range(80_000)})
    chosen.shuffle(names)
    return names[:VOCABULARY]


def invented(number: int) -> Iterator[parts.Document]:
    """Invented documents."""
    chosen = random.Random(1)
    names = vocabulary(chosen)
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(names))))
    stop_words = frozenset(names[:50])
    for doc in range(number):
        drawn = chosen.choices(names, cum_weights=weights, k=SIZE)
        table = words.table(Counter(drawn), stop_words, "en")
        row = {word: at for at, word in enumerate(table.words)}
        starts = array("I", itertools.accumulate((len(word) + 1 for word in drawn[:-1]), initial=0))
        ends = array("I", range(SENTENCE, SIZE + 1, SENTENCE))
        tokens = Tokens(array("I", map(row.__getitem__, drawn)), starts, ends, array("I", [SIZE]))
        yield _document(doc, Evidence(" ".join(drawn), tokens, table, "en"))


def real(paths: Iterable[Path]) -> Iterator[parts.Document]:
    """The texts of files, by the rules of English."""
    for doc, path in enumerate(paths):
        found = counting.segment(path.read_text(encoding="utf-8", errors="replace"), "en")
        table = words.table(found.counts(), frozenset({"the", "of", "and", "to", "a", "in", "is"}), "en")
        yield _document(doc, evidence.gathered(found, table, "en"))


def _document(doc: int, kept: Evidence) -> parts.Document:
    return parts.Document(doc=doc, id=f"{doc:032x}", key=f"k{doc}", evidence=kept)


def of(folder: Path, kinds: Iterable[str] = parts.SCHEMAS) -> dict[str, list[Path]]:
    """By kind the files of a corpus, in their order."""
    return {kind: sorted(folder.glob(f"*.{kind}")) for kind in kinds}


def _path(folder: Path, first: int, kind: str) -> Path:
    return folder / f"{first:08}.{kind}"


def compact(folder: Path, group: list[parts.Document]) -> None:
    """Write the part of a batch, as a worker does."""
    with engine.holding(parts.arrays(group)) as made:
        for kind, sql in merging.NEW.items():
            _path(folder, group[0].doc, kind).write_bytes(made.parquet(kind, sql))


def merge(folder: Path) -> None:
    """Make parts of ``MERGED`` documents of the smaller ones, as compaction does once there are many."""
    several = MERGED // PART
    for group in zip(*of(folder).values(), strict=True):
        for path in group:
            path.rename(path.with_name(f"small-{path.name}"))
    small = {kind: sorted(folder.glob(f"small-*.{kind}")) for kind in parts.SCHEMAS}
    for at in range(0, len(small["words"]), several):
        own = {kind: paths[at : at + several] for kind, paths in small.items()}
        with opened(own) as made:
            for kind, sql in {**merging._ROWS, **merging._MERGED}.items():
                _path(folder, at * PART, kind).write_bytes(made.parquet(kind, sql))
    for path in itertools.chain(*small.values()):
        path.unlink()


def copy(folder: Path, number: int) -> None:
    """Copies of what is there, under other numbers, until there are so many documents."""
    there = of(folder)
    for more in range(WRITTEN, number, WRITTEN):
        for kind, path in ((kind, path) for kind, paths in there.items() for path in paths):
            copied = _path(folder, int(path.stem) + more, kind)
            if kind in SUMMARIES:
                copied.hardlink_to(path)
                continue
            with engine._connected(1) as (connection, scratch):
                connection.execute("set preserve_insertion_order = true")
                connection.read_parquet(str(path)).create_view("given")
                sql = f"select * replace (doc + {more} as doc) from given"  # noqa: S608 - a number of ours
                copied.write_bytes(engine.Engine(connection, scratch).parquet(kind, sql))


def summaries(folder: Path, number: int) -> None:
    """The summaries of merged parts, with as many distinct words as so many documents have; no rows."""
    for first in range(0, number, MERGED):
        with opened({}) as made:
            made._connection.execute(f"create table drawn as {_DRAWN}")
            for kind, sql in (("spellings", _SPELLINGS), ("folds", _FOLDS)):
                _path(folder, first, kind).write_bytes(made.parquet(kind, sql))


def table(folder: Path, number: int) -> bytes:
    """The packed word table, as compaction makes it of the summaries."""
    with opened(of(folder, SUMMARIES)) as made:
        return corpus_table.pack(made.each(queries.TABLE_SPELLINGS), made.each(queries.TABLE_FOLDS), number)
