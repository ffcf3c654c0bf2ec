"""Measures a corpus of generated documents: ``python -m benchmarks.corpora 1000 10000``; prints a table in Markdown.

Words follow Zipf's law, 600 to a document, in sentences of 15. Everything is what a worker does, but for DynamoDB and
the counting of documents. Times are of CPU on two threads; a question's is the better of two. Each question has a
process of its own, whose memory at its peak is measured. ``make FOLDER NUMBER`` and ``ask FOLDER STEP`` are its parts.
"""

import itertools
import random
import resource
import subprocess
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
from chalicelib.corpus import answers, parts, queries
from chalicelib.corpus.engine import opened

NAMES = (
    "words, first page",
    "words, next page",
    "keywords against half of the words",
    "contexts of a frequent word",
    "the same, sorted by what stands left",
    "contexts of two words",
    "collocates of a frequent word",
    "phrases of two words",
)
SIZE, SENTENCE, PART, VOCABULARY = 600, 15, 1_000, 60_000


def vocabulary(chosen: random.Random) -> list[str]:
    """Invented words, the most frequent first."""
    names = sorted({"w" + "".join(chosen.choices("abcdefghijklmnop", k=chosen.randint(2, 8))) for _ in range(80_000)})
    chosen.shuffle(names)
    return names[:VOCABULARY]


def frequent() -> tuple[str, str]:
    """Two of the frequent words."""
    names = vocabulary(random.Random(1))
    return names[30], names[40]


def documents(number: int) -> Iterator[parts.Document]:
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


def questions(files: dict[str, list[Path]], packed: Path) -> dict[str, Callable[[], Any]]:
    """Every kind of question, as a query job of its own asks it."""
    page, some = {"limit": 50, "offset": 0}, frequent()

    def of_rows(ask: Callable[[Any, str, str], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with opened({kind: files[kind] for kind in ("words", "documents")}, parts.SCHEMAS) as engine:
                return ask(engine, *some)

        return run

    def contexts(engine: Any, word: str, _: str) -> Any:
        engine.rows(queries.total(1, column="fold"), word0=word)
        found = engine.rows(queries.contexts(1, column="fold"), word0=word, **page)
        return list(answers._shown(engine, found, {"window": 8, "unit": "words"}))

    def sorted_contexts(engine: Any, word: str, _: str) -> Any:
        return engine.rows(queries.sorted_contexts(1, column="fold", side="left", everywhere=True), word0=word, **page)

    def two_words(engine: Any, word: str, other: str) -> Any:
        return engine.rows(queries.contexts(2, column="fold"), word0=word, word1=other, **page)

    def collocates(engine: Any, word: str, _: str) -> Any:
        return engine.rows(queries.collocates(5, everywhere=True), word0=word, min_count=2)

    def phrases(engine: Any, *_: str) -> Any:
        return engine.rows(queries.phrases(2), min_count=2, most=100_000)

    def first_page() -> Any:
        return corpus_words.query(corpus_words.unpack(packed.read_bytes())).show(0, 100)

    table = corpus_words.unpack(packed.read_bytes())
    half = words.table(Counter(dict(zip(table.folds.words[::2], table.folds.counts[::2], strict=True))), frozenset())
    return {
        "words, first page": first_page,
        "words, next page": lambda: corpus_words.query(table).show(100, 200),
        "keywords against half of the words": lambda: keywords.keywords(corpus_words.as_job_table(table), half).show(
            0, 100
        ),
        "contexts of a frequent word": of_rows(contexts),
        "the same, sorted by what stands left": of_rows(sorted_contexts),
        "contexts of two words": of_rows(two_words),
        "collocates of a frequent word": of_rows(collocates),
        "phrases of two words": of_rows(phrases),
    }


def ask(folder: Path, name: str) -> tuple[float, float, int]:
    """CPU and wall time of the better of two, and the memory of this process at its peak."""
    files = {kind: sorted(folder.glob(f"*.{kind}")) for kind in parts.SCHEMAS}
    question = questions(files, folder / "table")[name]
    clocks = [Clock() for _ in range(2)]
    for clock in clocks:
        clock.run(name, question)
    best = min(clocks, key=lambda clock: clock.cpu[name])
    return best.cpu[name], best.wall[name], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def make(folder: Path, number: int) -> None:
    """Make the corpus in a folder and print what that took."""
    clock = Clock()
    _, packed, size, rows = compacted(folder, number, clock)
    (folder / "table").write_bytes(packed)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{number} documents, {rows} rows, {size / 1e6:.0f} MB, table {len(packed) / 1e6:.1f} MB")
    print("\n| step | CPU s | wall s | MB |\n|---|---|---|---|")
    print(f"| compaction | {clock.cpu['compaction']:.2f} | {clock.wall['compaction']:.2f} | {memory} |", flush=True)


def main(arguments: list[str]) -> int:
    """Print a table for each number of documents; each step has a process of its own, whose memory is measured."""
    if arguments[0] == "make":
        make(Path(arguments[1]), int(arguments[2]))
        return 0
    if arguments[0] == "ask":
        cpu, wall, memory = ask(Path(arguments[1]), arguments[2])
        print(f"| {arguments[2]} | {cpu:.2f} | {wall:.2f} | {memory} |", flush=True)
        return 0
    for number in arguments:
        with tempfile.TemporaryDirectory(prefix="corpora-") as folder:
            _run("make", folder, number)
            for name in NAMES:
                _run("ask", folder, name)
            print(flush=True)
    return 0


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "benchmarks.corpora", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
