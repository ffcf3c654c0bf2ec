"""Measures a corpus of generated documents: ``python -m benchmarks.corpora 1000 10000``; prints a table in Markdown.

Words follow Zipf's law, 600 to a document, in sentences of 15. Everything is what a worker does, but for DynamoDB and
the counting of documents. Times are of this process' CPU on two threads; a question's is the better of two.
"""

import itertools
import random
import resource
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chalicelib.analysis import corpus_words, keywords, words
from chalicelib.analysis.evidence import Evidence
from chalicelib.analysis.tokens import Tokens
from chalicelib.corpus import parts, queries
from chalicelib.corpus.engine import opened

SIZE, SENTENCE, PART, VOCABULARY = 600, 15, 1_000, 60_000


def documents(number: int) -> Iterator[parts.Document]:
    """Invented documents."""
    chosen = random.Random(1)
    names = sorted({"w" + "".join(chosen.choices("abcdefghijklmnop", k=chosen.randint(2, 8))) for _ in range(80_000)})
    chosen.shuffle(names)
    names = names[:VOCABULARY]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(names))))
    stop_words = frozenset(names[:50])
    for doc in range(number):
        drawn = chosen.choices(names, cum_weights=weights, k=SIZE)
        table = words.table(Counter(drawn), stop_words, "en")
        row = {word: at for at, word in enumerate(table.words)}
        starts = array("I", itertools.accumulate((len(word) + 1 for word in drawn[:-1]), initial=0))
        ends = array("I", range(SENTENCE, SIZE + 1, SENTENCE))
        tokens = Tokens(array("I", map(row.__getitem__, drawn)), starts, ends, array("I", [SIZE]))
        evidence = Evidence(" ".join(drawn), tokens, table, "en")
        yield parts.Document(doc=doc, id=f"{doc:032x}", key=f"k{doc}", evidence=evidence)


class Clock:
    """CPU and wall time of the steps, by name."""

    def __init__(self) -> None:
        self.cpu: Counter[str] = Counter()
        self.wall: Counter[str] = Counter()

    def run(self, name: str, do: Callable[[], Any]) -> Any:
        """What ``do`` returns."""
        cpu, wall = time.process_time(), time.perf_counter()
        found = do()
        self.cpu[name] += time.process_time() - cpu
        self.wall[name] += time.perf_counter() - wall
        return found


def compacted(folder: Path, number: int, clock: Clock) -> tuple[dict[str, list[Path]], bytes, int, int]:
    """A corpus' files and its packed word table, made as compaction makes them; bytes and rows."""
    files: dict[str, list[Path]] = {kind: [] for kind in parts.SCHEMAS}
    made, size = documents(number), 0
    rows = 0
    while group := list(itertools.islice(made, PART)):
        rows += sum(len(one.evidence.table) for one in group)
        own: dict[str, list[Path]] = {}
        written = clock.run("compaction", lambda group=group: parts.write(group))
        for kind, data in zip(("words", "documents"), written, strict=True):
            own[kind] = [folder / f"{group[0].doc}.{kind}"]
            own[kind][0].write_bytes(data)
            size += len(data)

        def summaries(own: dict[str, list[Path]] = own, first: int = group[0].doc) -> None:
            with opened({kind: own[kind] for kind in ("words", "documents")}, parts.SCHEMAS) as engine:
                for kind, sql in (("spellings", queries.SPELLINGS), ("folds", queries.FOLDS)):
                    own[kind] = [folder / f"{first}.{kind}"]
                    own[kind][0].write_bytes(engine.parquet(sql, parts.SCHEMAS[kind]))

        clock.run("compaction", summaries)
        for kind, paths in own.items():
            files[kind] += paths

    def table() -> bytes:
        with opened({kind: files[kind] for kind in ("spellings", "folds")}, parts.SCHEMAS) as engine:
            spellings = engine.columns(queries.MERGED_SPELLINGS)
            folds = engine.columns(queries.MERGED_FOLDS)
        return corpus_words.pack(corpus_words.build(spellings, folds, number))

    return files, clock.run("compaction", table), size, rows


def asked(files: dict[str, list[Path]], packed: bytes, clock: Clock) -> None:
    """Every kind of question, as a query job of its own asks it."""
    table = clock.run("words, first page", lambda: corpus_words.unpack(packed))
    clock.run("words, first page", lambda: corpus_words.query(table).show(0, 100))
    clock.run("words, next page", lambda: corpus_words.query(table).show(100, 200))
    word, other = table.folds.words[30], table.folds.words[40]
    page = {"limit": 50, "offset": 0}
    some = {
        "contexts": lambda engine: (
            engine.rows(queries.total(1, column="fold"), word0=word),
            found := engine.rows(queries.contexts(1, column="fold"), word0=word, **page),
            engine.rows(queries.ROWS, docs=sorted({row[0] for row in found})),
            engine.rows(queries.TEXTS, docs=sorted({row[0] for row in found})),
        ),
        "contexts, sorted": lambda engine: engine.rows(
            queries.sorted_contexts(1, column="fold", side="left"), word0=word, **page
        ),
        "contexts of two words": lambda engine: engine.rows(
            queries.contexts(2, column="fold"), word0=word, word1=other, **page
        ),
        "collocates": lambda engine: engine.rows(queries.collocates(5), word0=word, min_count=2),
        "phrases": lambda engine: engine.rows(queries.phrases(2), min_count=2, most=100_000),
    }
    for name, do in some.items():

        def question(do: Callable[..., Any] = do) -> None:
            with opened({kind: files[kind] for kind in ("words", "documents")}, parts.SCHEMAS) as engine:
                do(engine)

        clock.run(name, question)
    half = words.table(Counter(dict(zip(table.folds.words[::2], table.folds.counts[::2], strict=True))), frozenset())
    clock.run("keywords", lambda: keywords.keywords(corpus_words.as_job_table(table), half).show(0, 100))


def main(arguments: list[str]) -> int:
    """Print a table for each number of documents."""
    for number in map(int, arguments):
        with tempfile.TemporaryDirectory(prefix="corpora-") as folder:
            clock = Clock()
            files, packed, size, rows = compacted(Path(folder), number, clock)
            asked(files, packed, clock)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{number} documents, {rows} rows, {size / 1e6:.0f} MB, table {len(packed) / 1e6:.1f} MB, {memory} MB RAM"
        )
        print("\n| step | CPU s | wall s |\n|---|---|---|")
        for name in clock.cpu:
            print(f"| {name} | {clock.cpu[name]:.2f} | {clock.wall[name]:.2f} |")
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
