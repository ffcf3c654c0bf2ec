"""Compacts a large corpus in processes that are killed again and again: ``python -m benchmarks.resume 1000000``.

The corpus is in a dynalite and a folder of objects, as of ``make run``. It has batches of 1,000 invented documents
(corpus_files.py: 10,000 made one by one, the others copies of these under other numbers), each a part of its own as if
nothing had ever been merged, and some documents were removed since. A child does what a worker does with the
compaction's job, run after run of 12 seconds, until it is killed at a random moment and another one takes its place,
until a run says that all is done. After each kill the manifest must name all documents, each once, and files that are
there; at the end the counts must be those of the invented documents, the rows those that were there, and no file may be
left that nobody ever deletes.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import msgspec
import psutil

from benchmarks import corpus_files, report
from chalicelib import corpora, jobs
from chalicelib.aws import objects
from chalicelib.corpus import compaction, files, merging, parts, work
from chalicelib.corpus.engine import opened
from chalicelib.pool import limits
from chalicelib.store import corpora as stored
from chalicelib.store import records
from chalicelib.store.corpora import BATCH_MOST, Corpus, Document, Manifest, Part, Place
from scripts import servers

CORPUS, OWNER = "c" * 32, "ann"
# Sums that a row changes which is missing, wrong, or there twice.
_SUMS = {
    "words": "count(*), sum(count), sum(hash(doc, word, fold, count, stop, positions)::hugeint)",
    "documents": "count(*), sum(words), sum(hash(doc, id, key, words, text)::hugeint), count(distinct doc)",
}


class Shape(NamedTuple):
    """How many documents, how many of them in a batch, and which are removed."""

    number: int
    size: int
    removed: list[Place]

    @property
    def batches(self) -> int:
        return -(-self.number // self.size)

    def original(self, place: Place) -> int:
        """Which of the documents that are made one by one this is a copy of."""
        return (place.batch * self.size + place.at) % corpus_files.WRITTEN

    def gone(self, part: Part) -> int:
        """How many of a part's documents are removed."""
        return sum(part.batch <= place.batch < part.batch + part.span for place in self.removed)


class Kill(NamedTuple):
    """What a kill cost: seconds of the clock and of CPU that its run had taken, and when that was."""

    wall: float
    cpu: float
    since: float
    until: float


# --- the corpus ---


def shaped(number: int, size: int, chosen: random.Random) -> Shape:
    """One document in 50,000 is removed, three at least."""
    removed = chosen.sample(range(number), max(3, number // 50_000))
    return Shape(number, size, [Place(*divmod(one, size)) for one in sorted(removed)])


def written(folder: Path, shape: Shape) -> dict[str, tuple[int, int]]:
    """Write the parts' files into a folder; returns of each folded word its count, and in how many documents it is."""
    given = enumerate(corpus_files.invented(min(shape.number, corpus_files.WRITTEN)))
    copies = max(1, shape.number // corpus_files.WRITTEN)
    gone, group = Counter(map(shape.original, shape.removed)), list[parts.Document]()
    counts, documents = Counter[str](), Counter[str]()
    for at, document in given:
        batch, place = divmod(at, shape.size)
        group.append(msgspec.structs.replace(document, doc=Place(batch, place).doc))
        for fold, count in zip(document.evidence.keys(fold_case=True), document.evidence.table.counts, strict=True):
            counts[fold] += count * (copies - gone[at])
            documents[fold] += copies - gone[at]
        if place == shape.size - 1:
            corpus_files.compact(folder, group)
            group = []
    corpus_files.copy(folder, shape.number)
    return {fold: (count, documents[fold]) for fold, count in counts.items() if count}


def placed(folder: Path, shape: Shape) -> list[Part]:
    """The files moved into the object store, under the names of a part for each batch."""
    found = []
    for batch in range(shape.batches):
        part = Part(
            batch=batch,
            files=1,
            documents=shape.size,
            words=shape.size * corpus_files.SIZE,
            states={records.SUCCEEDED: shape.size},
            ended=True,
        )
        part = merging.named(part, records.new_token())
        for kind in files.KINDS:
            path = objects.path(files.name(CORPUS, part, kind))
            assert path is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / f"{Place(batch, 0).doc:08}.{kind}", path)
        found.append(part)
    return found


def begun(shape: Shape, some: Sequence[Part]) -> None:
    """The corpus' record with these parts in its manifest, its batches, and what was removed of them."""
    store = jobs.table()
    now = store.now()
    corpus = Corpus(
        id=CORPUS,
        owner=OWNER,
        created_at=now,
        expires_at=now // 1000 + 86_400,
        batches=shape.batches,
        added=shape.number,
        changes=shape.batches,
        changed_at=now,
        manifest=Manifest(parts=list(some), made_at=now),
    )
    store.create_corpus(corpus)
    for batch in range(shape.batches):
        numbers = range(batch * shape.size, (batch + 1) * shape.size)
        documents = [Document(f"k{one}", records.key_id(OWNER, f"k{one}")) for one in numbers]
        assert store.put_batch(corpus, batch, documents)
    store.remove(corpus, shape.removed)
    store.note_change(CORPUS, removed=len(shape.removed))


def rows(some: Sequence[Part], removed: Sequence[Place] = ()) -> dict[str, tuple[Any, ...]]:
    """Sums over all rows of the parts' files, without the removed documents."""
    views = files.views(CORPUS, some, _SUMS)
    with opened(views, [place.doc for place in removed]) as engine:
        return {name: engine.rows(f"select {sums} from {name}")[0] for name, sums in _SUMS.items()}  # noqa: S608


# --- runs and kills ---


def run(seconds: float) -> None:
    """Compact until all is done, as a worker does run after run; prints a line before and after each."""
    store = jobs.table()
    done: bool | None = None
    while not done:
        limits.limit_cpu(limits.COMPACTION_SECONDS)
        since, corpus = time.time(), store.corpus(CORPUS)
        assert corpus is not None
        item, stale = len(stored._packed(corpus.manifest)), len(corpus.manifest.stale)
        used = time.process_time()
        _say(since=since, cpu=used, version=corpus.version, item=item, stale=stale)
        done = compaction.compact(store, corpus, seconds=seconds)
        now = time.process_time()
        _say(done=done, seconds=time.time() - since, cpu=now, spent=now - used, peak=_peak("self"))


def _say(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


def _peak(process: int | str) -> float:
    """The most memory that a process has held so far, in MB."""
    [peak] = re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(peak) / 1024


class Runs:
    """Runs the compaction to its end, killing it at random moments, and keeps what the runs and kills have cost."""

    def __init__(self, folder: Path, shape: Shape, seconds: float) -> None:
        self.folder, self.shape, self.seconds = folder, shape, seconds
        self.lines, self.kills = list[dict[str, Any]](), list[Kill]()
        self.cpu = self.peak = 0.0

    def go(self, lives: Iterator[float]) -> None:
        """Each child lives so many seconds at most."""
        while not self._child(next(lives)):
            self.judge()

    def _child(self, seconds: float) -> bool:
        """One child, killed so long after its first run began; whether it ended before, as it does when all is done."""
        log = self.folder / "run.log"
        with log.open("w") as file:
            command = [sys.executable, "-m", "benchmarks.resume", "run", str(self.seconds)]
            child = subprocess.Popen(command, stdout=file)
        while child.poll() is None and not log.stat().st_size:
            time.sleep(0.01)
        try:
            code = child.wait(seconds)
            assert code == 0, f"the compaction failed with status {code}"
        except subprocess.TimeoutExpired:
            spent = sum(psutil.Process(child.pid).cpu_times()[:2])
            self.peak = max(self.peak, _peak(child.pid))
            now = time.time()
            child.kill()
            child.wait()
            lines = self._read(log)
            self.cpu += spent
            self._note_kill(lines, now, spent)
            return False
        lines = self._read(log)
        self.cpu += lines[-1]["cpu"]
        return True

    def _read(self, log: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        self.lines += lines
        self.peak = max([self.peak, *(line["peak"] for line in lines if "peak" in line)])
        return lines

    def _note_kill(self, lines: Sequence[dict[str, Any]], now: float, spent: float) -> None:
        last = lines[-1] if lines else {}
        corpus = jobs.table().corpus(CORPUS)
        assert corpus is not None
        if "since" in last and corpus.version == last["version"]:
            self.kills.append(Kill(now - last["since"], spent - last["cpu"], last["since"], now))
        else:  # between two runs, or right after the manifest was put
            self.kills.append(Kill(0.0, 0.0, last.get("since", now), now))

    def judge(self) -> Corpus:
        """The corpus, whose manifest names each batch once, with its documents, in files that are there."""
        corpus = jobs.table().corpus(CORPUS)
        assert corpus is not None
        batch = 0
        for part in corpus.manifest.parts:
            assert part.batch == batch, f"part {part.batch} follows batch {batch}"
            batch += part.span
            there, most = part.documents, part.span * self.shape.size
            assert most - self.shape.gone(part) <= there <= most, f"part {part.batch}: {there} documents"
        assert batch == self.shape.batches
        named = set(files.of_manifest(CORPUS, msgspec.structs.replace(corpus.manifest, stale=[])))
        missing = named - set(objects.names(files.folder(CORPUS)))
        assert not missing, f"the manifest names files that are not there: {sorted(missing)[:3]}"
        return corpus

    def judge_left(self, corpus: Corpus) -> tuple[int, int]:
        """How many files wait for their deletion, and how many killed runs have left; none is there for ever."""
        there = set(objects.names(files.folder(CORPUS)))
        named = set(files.of_manifest(CORPUS, msgspec.structs.replace(corpus.manifest, stale=[])))
        stale = {name for name, _ in corpus.manifest.stale}
        left = there - named - stale
        for name in left:
            path = objects.path(name)
            assert path is not None
            at = path.stat().st_mtime
            assert any(kill.since - 1 <= at <= kill.until + 1 for kill in self.kills), f"who has left {name}?"
        files.drop_left(jobs.table(), time.time() + 2 * files.LEFT_SECONDS)
        assert set(objects.names(files.folder(CORPUS))) == named
        return len(stale & there), len(left)


# --- all of it ---


def compacted(folder: Path, shape: Shape, lives: Iterator[float], *, seconds: float) -> list[tuple[str, str]]:
    """Make the corpus in the table and the object store that the environment names, compact and judge it; figures."""
    since = time.monotonic()
    counts = written(folder, shape)
    before = placed(folder, shape)
    begun(shape, before)
    expected = rows(before, shape.removed)
    print(f"made in {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)
    since, runs = time.monotonic(), Runs(folder, shape, seconds)
    runs.go(lives)
    took = time.monotonic() - since
    corpus = runs.judge()
    assert corpora.is_complete(corpus)
    now, documents = corpus.manifest, shape.number - len(shape.removed)
    sums = [(sum(part.documents for part in now.parts), sum(part.words for part in now.parts))]
    assert {*sums, (now.documents, now.words)} == {(documents, documents * corpus_files.SIZE)}
    pieces = corpora.table(corpus).pieces(fold_case=True)
    found = (zip(one.words, zip(one.counts, one.documents, strict=True), strict=True) for one in pieces)
    assert dict(itertools.chain.from_iterable(found)) == counts
    assert rows(now.parts) == expected
    stale, left = runs.judge_left(corpus)
    begins, ends = ([line for line in runs.lines if name in line] for name in ("since", "done"))
    losses = [kill for kill in runs.kills if kill.wall]
    return [
        ("rows, a document and a word each", f"{expected['words'][0]:,}"),
        ("parts before and after", f"{len(before):,}, {len(now.parts):,}"),
        ("runs that ended", f"{len(ends):,}"),
        ("the longest of them", _most(ends)),
        ("kills", f"{len(runs.kills)}, {len(losses)} of them in a run"),
        ("lost by such a kill, on average", _mean([kill.wall for kill in losses], [kill.cpu for kill in losses])),
        ("in all", f"{took:.0f} s, {runs.cpu:.0f} s of CPU"),
        ("memory of a child at its peak", f"{runs.peak:.0f} MB"),
        ("the manifest's item at its largest", f"{max(line['item'] for line in begins) / 1000:.0f} KB"),
        ("replaced files that wait for their deletion, at most", f"{max(line['stale'] for line in begins):,}"),
        ("files in the store that no manifest names, at the end", f"{left}, and {stale:,} that wait"),
    ]


def _most(ends: Sequence[dict[str, Any]]) -> str:
    most = [max(line[name] for line in ends) for name in ("seconds", "spent")]
    return f"{most[0]:.1f} s, {most[1]:.1f} s of CPU"


def _mean(seconds: Sequence[float], cpu: Sequence[float]) -> str:
    number = max(1, len(seconds))
    return f"{sum(seconds) / number:.1f} s, {sum(cpu) / number:.1f} s of CPU"


@contextlib.contextmanager
def environment(folder: Path) -> Iterator[None]:
    """A dynalite with an empty table and a folder of objects, which the environment names."""
    os.umask(0o077)
    keys, port = servers.new_keys(), servers.free_port()
    os.environ.update(
        keys,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{port}",
        OBJECT_STORE=str(folder / "objects"),
        TABLE_NAME="resume",
        TMPDIR=str(folder / "tmp"),
    )
    (folder / "tmp").mkdir()
    child = servers.start_dynalite(folder / "dynamodb", port, os.environ, folder / "dynamodb.log", keys=keys)
    try:
        records.create_table(boto3.client("dynamodb"), "resume")
        yield
    finally:
        child.stop(5)


def main(arguments: list[str]) -> int:
    """One child, or all and print the figures."""
    if arguments[:1] == ["run"]:
        run(float(arguments[1]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resume", description=__doc__)
    parser.add_argument("number", type=int, help="of documents")
    parser.add_argument("--size", type=int, default=BATCH_MOST, help="documents of a batch")
    parser.add_argument("--seconds", type=float, default=work.RUN_SECONDS, help="of a run, about")
    parser.add_argument("--life", type=float, default=60, help="seconds after which a child is killed, at most")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.number > corpus_files.WRITTEN and (asked.size != BATCH_MOST or asked.number % corpus_files.WRITTEN):
        parser.error(f"more than {corpus_files.WRITTEN} documents are copies of these, in batches of {BATCH_MOST}")
    chosen = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="resume-", dir="/var/tmp") as name, environment(Path(name)):
        made = Path(name) / "made"
        made.mkdir()
        shape = shaped(asked.number, asked.size, chosen)
        lives = iter(lambda: chosen.uniform(0, asked.life), None)
        figures = compacted(made, shape, lives, seconds=asked.seconds)
    print(f"{report.machine()}.\n")
    print("\n".join(report.table(["", f"{asked.number:,}"], figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
