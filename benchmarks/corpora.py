"""Measures corpora and writes the table of docs/scale.md: ``python -m benchmarks.corpora 1000 10000 100000 1000000``.

Everything is what a worker does, but for DynamoDB and the counting of documents. Times are of CPU on two threads, since
others may use the machine; a question's is the better of two. Each step has a process of its own, whose memory at its
peak is measured. ``--texts FOLDER`` measures the texts of files beside the invented ones, ``--keep FOLDER`` keeps what
was made, and measures what an earlier run has kept without making it again; ``--print`` writes nothing.
"""

import argparse
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpus_files, report
from chalicelib.analysis import corpus_table, corpus_words, keywords, words
from chalicelib.analysis.corpus_table import CorpusTable
from chalicelib.corpus import answers, queries
from chalicelib.corpus.engine import opened

DOCUMENT = report.DOCUMENT.with_name("scale.md")
COMPACTION, MERGING, TABLE, FIRST, NEXT = (
    "compaction, without reading the jobs",
    "merging, for each 10,000 documents",
    "the word table of all parts",
    "words, first page",
    "words, next page",
)
KEYWORDS = "keywords against half of the words"
CONTEXTS = "contexts of a frequent word"
SORTED = "the same, sorted by what stands left"
PAIR = "contexts of two words"
COLLOCATES = "collocates of a frequent word"
PHRASES = "phrases of two words"
OF_TABLE, OF_ROWS = (FIRST, NEXT, KEYWORDS), (CONTEXTS, SORTED, PAIR, COLLOCATES, PHRASES)
PHRASES_MOST = 10_000  # documents: of more they take longer than a job may
ROWS_MOST = 100_000  # documents whose rows are made; of more the summaries alone

Figures = dict[str, Any]


@contextlib.contextmanager
def measured(figures: Figures, name: str) -> Iterator[None]:
    """Add the CPU seconds of a step to ``figures``."""
    since = time.process_time()
    yield
    figures[name] = figures.get(name, 0.0) + time.process_time() - since


def peak() -> int:
    """The memory of this process at its peak, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


# --- steps, each in a process of its own, which prints its figures ---


def make(folder: Path, number: int, texts: Path | None) -> Figures:
    """A corpus in a folder, without its word table."""
    figures: Figures = {}
    if number > ROWS_MOST:
        corpus_files.summaries(folder, number)
        return figures
    made = corpus_files.real(_texts(texts)) if texts else corpus_files.invented(corpus_files.WRITTEN)
    given, rows = itertools.islice(made, number), 0
    while group := list(itertools.islice(given, corpus_files.PART)):
        rows += sum(len(one.evidence.table) for one in group)
        with measured(figures, COMPACTION):
            corpus_files.compact(folder, group)
    figures["memory"] = {COMPACTION: peak()}
    if number > corpus_files.WRITTEN:
        del figures[COMPACTION]  # the smaller corpus has it
        with measured(figures, MERGING):
            corpus_files.merge(folder)
        figures["memory"][MERGING] = peak()
        corpus_files.copy(folder, number)
        rows *= number // corpus_files.WRITTEN
    size = sum(path.stat().st_size for kind in corpus_files.ROWS for path in corpus_files.of(folder)[kind])
    return {**figures, "rows": rows, "bytes": size}


def _texts(folder: Path) -> list[Path]:
    found = (path for kind in ("txt", "md", "rst") for path in folder.rglob(f"*.{kind}"))
    return sorted(path for path in found if path.is_file() and path.stat().st_size < 1_000_000)


def table(folder: Path, number: int) -> Figures:
    """The packed word table."""
    figures: Figures = {}
    with measured(figures, TABLE):
        packed = corpus_files.table(folder, number)
    figures["memory"] = {TABLE: peak()}
    (folder / "table").write_bytes(packed)
    return {**figures, "table": len(packed), "distinct": corpus_table.of_bytes(packed).length(fold_case=True)}


def ask(folder: Path, name: str) -> Figures:
    """One question, as a worker or the API answers it. Phrases take too long to be asked twice."""
    question = questions(folder)[name]
    found: list[float] = []
    for _ in range(1 if name == PHRASES else 2):
        figures: Figures = {}
        with measured(figures, name):
            question()
        found.append(figures[name])
    return {name: min(found), "memory": {name: peak()}}


def questions(folder: Path) -> dict[str, Callable[[], Any]]:
    """Every kind of question about the corpus."""
    page = {"limit": 50, "offset": 0}
    packed = folder / "table"

    def read(start: int, stop: int | None) -> bytes:
        with packed.open("rb") as file:
            file.seek(start)
            return file.read(-1 if stop is None else stop - start)

    kept: list[CorpusTable] = []  # the API keeps the last table

    def next_page() -> Any:
        kept[:] = kept or [CorpusTable(read)]
        return corpus_words.query(kept[0]).show(100, 200)

    def against_half() -> Any:
        table = corpus_table.as_job_table(CorpusTable(read))
        half = words.table(Counter(dict(zip(table.words[::2], table.counts[::2], strict=True))), frozenset())
        return keywords.keywords(table, half).show(0, 100)

    def of_rows(ask: Callable[[Any, str, str], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with opened(corpus_files.of(folder, corpus_files.ROWS)) as engine:
                return ask(engine, *frequent(CorpusTable(read)))

        return run

    def shown(engine: Any, sql: str, *phrase: str) -> Any:
        bound = {f"word{at}": word for at, word in enumerate(phrase)}
        engine.rows(queries.total(queries.occurrences(len(phrase), column="fold")), **bound)
        return list(answers._shown(engine, engine.rows(sql, **bound, **page), {"window": 8, "unit": "words"}))

    def collocates(engine: Any, word: str, _: str) -> Any:
        engine.rows(queries.total(queries.occurrences(1, column="fold")), word0=word)
        return engine.rows(queries.collocates(5, everywhere=True), word0=word, min_count=2)

    by_left = queries.sorted_contexts(queries.occurrences(1, column="fold"), side="left", everywhere=True)
    return {
        FIRST: lambda: corpus_words.query(CorpusTable(read)).show(0, 100),
        NEXT: next_page,
        KEYWORDS: against_half,
        CONTEXTS: of_rows(
            lambda engine, word, _: shown(engine, queries.contexts(queries.occurrences(1, column="fold")), word)
        ),
        SORTED: of_rows(lambda engine, word, _: shown(engine, by_left, word)),
        PAIR: of_rows(
            lambda engine, *pair: shown(engine, queries.contexts(queries.occurrences(2, column="fold")), *pair)
        ),
        COLLOCATES: of_rows(collocates),
        PHRASES: of_rows(lambda engine, *_: engine.rows(queries.phrases(2), min_count=2, most=100_000)),
    }


def frequent(table: CorpusTable) -> tuple[str, str]:
    """Two of the frequent words, the 30th and the 40th."""
    words = table.piece(0, fold_case=True).words
    return words[30], words[40]


# --- the table ---


def corpus(number: int, texts: Path | None, keep: Path | None) -> Figures:
    """All figures of a corpus of so many documents."""
    with contextlib.ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="corpora-")))
        else:
            folder = keep / f"{'texts' if texts else 'invented'}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "figures.json"
        figures: Figures = json.loads(kept.read_text()) if kept.exists() else {"memory": {}}
        done = (lambda: kept.write_text(json.dumps(figures))) if keep else lambda: None
        if "made" not in figures:
            _add(figures, "make", folder, number, *([texts] if texts else []))
            figures["made"] = True
            done()
        names = [*OF_TABLE, *OF_ROWS] if number <= ROWS_MOST else [FIRST, NEXT]
        for step in [TABLE, *names]:
            if step not in figures and (step != PHRASES or number <= PHRASES_MOST):
                _add(figures, *(["table", folder, number] if step == TABLE else ["ask", folder, step]))
                done()
    return figures


def _add(figures: Figures, *arguments: Any) -> None:
    command = [sys.executable, "-m", "benchmarks.corpora", *map(str, arguments)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(ran.stdout)
    figures["memory"].update(found.pop("memory", {}))
    figures.update(found)
    print(*map(str, arguments), found, file=sys.stderr, flush=True)


def lines(corpora: dict[str, tuple[int, Figures]]) -> list[str]:
    """The table in Markdown: by its title each corpus' number of documents and figures."""
    most = max((number for number, figures in corpora.values() if COLLOCATES in figures), default=0)
    largest = next((figures for number, figures in corpora.values() if number == most and COLLOCATES in figures), {})

    def cell(step: str, number: int, figures: Figures) -> str:
        if step in figures:
            seconds = figures[step]
            spent = f"{seconds:.2f} s" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"
            return f"{spent}, {figures['memory'][step]} MB"
        if step in OF_ROWS and step in largest and number > most:
            return f"*≈ {largest[step] * number / most:.0f} s*"
        return ""

    def fact(name: str, unit: int, form: str) -> list[str]:
        return [form.format(figures[name] / unit) if name in figures else "" for _, figures in corpora.values()]

    rows = [
        ["rows, a document and a word each", *fact("rows", 1, "{:,.0f}")],
        ["Parquet", *fact("bytes", 1_000_000, "{:.0f} MB")],
        ["distinct words", *fact("distinct", 1, "{:,.0f}")],
        ["word table, packed", *fact("table", 1_000_000, "{:.1f} MB")],
    ]
    for step in (COMPACTION, MERGING, TABLE, *OF_TABLE, *OF_ROWS):
        rows.append([step, *(cell(step, *given) for given in corpora.values())])
    return report.table(["", *corpora], [row for row in rows if any(row[1:])])


def main(arguments: list[str]) -> int:
    """Run one step, or all and write the table."""
    steps: dict[str, Callable[..., Figures]] = {
        "make": lambda folder, number, texts=None: make(Path(folder), int(number), texts and Path(texts)),
        "table": lambda folder, number: table(Path(folder), int(number)),
        "ask": lambda folder, name: ask(Path(folder), name),
    }
    if arguments and arguments[0] in steps:
        print(json.dumps(steps[arguments[0]](*arguments[1:])))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora", description=__doc__)
    parser.add_argument("numbers", nargs="+", type=int, help="how many documents")
    parser.add_argument("--texts", type=Path, help="a folder of .txt, .md and .rst files")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--print", action="store_true")
    asked = parser.parse_args(arguments)
    corpora: dict[str, tuple[int, Figures]] = {}
    if asked.texts:
        number = min(len(_texts(asked.texts)), corpus_files.WRITTEN)
        corpora[f"{number:,} real"] = number, corpus(number, asked.texts, asked.keep)
    for number in asked.numbers:
        corpora[f"{number:,}"] = number, corpus(number, None, asked.keep)
    text = "\n".join([f"{report.machine()}.", "", *lines(corpora)])
    print(text)
    if not asked.print:
        report.write("corpora", text, DOCUMENT, by="python -m benchmarks.corpora")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
