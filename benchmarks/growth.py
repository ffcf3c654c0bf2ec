"""How what a job costs grows: with waiting jobs, with the page's size, with its distinct words.

usage: python -m benchmarks.growth [--most 1000000]

Waiting jobs stand both in a real Redis and, as records, in the DynamoDB stand-in; the sweep is the real one. Writes its
part of docs/benchmarks.md and the picture docs/growth.svg.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import page_server, report
from benchmarks.throughput import Bench
from chalicelib import counting, extracting, jobs, queue, sweeping
from chalicelib.analysis import words
from chalicelib.errors import Unavailable
from chalicelib.store import job as record
from chalicelib.store import records
from chalicelib.store.records import Job
from tests.factories import a_job

PICTURE = report.DOCUMENT.parent / "growth.svg"


def waiting(bench: Bench, counts: Iterable[int]) -> list[list[str]]:
    """Rows: jobs waiting, Redis bytes a job, ms to enqueue a hundred, CPU ms and seconds of a sweep."""
    rows, there = [], 0
    empty = bench.client.info("memory")["used_memory"]
    old = jobs.table().now() - 3_600_000  # an hour ago: every one of them is past its grace, and merely waits
    for count in counts:
        fill(old, count - there)
        there = count
        memory = (bench.client.info("memory")["used_memory"] - empty) / count
        enqueue = min(timed(lambda: put(old + 3_600_000, 100)) for _ in range(7))
        cpu, wall = min(sweep() for _ in range(5))
        rows.append([f"{count:,}", f"{memory:.0f}", f"{enqueue * 1000:.1f}", f"{cpu * 1000:.1f}", f"{wall:.2f}"])
        print(rows[-1], flush=True)
    return rows


def fill(stamp: int, count: int) -> None:
    """So many jobs more, on the queue and in the store."""
    with ThreadPoolExecutor(4) as pool:
        for some in itertools.batched(range(count), 1000) if sys.version_info >= (3, 12) else batches(count, 1000):
            made = [job(stamp) for _ in some]
            list(pool.map(write, batches_of(made, 25)))
            jobs.enqueue(made, now=stamp)


def batches(count: int, size: int) -> Iterable[range]:
    return (range(at, min(at + size, count)) for at in range(0, count, size))


def batches_of(these: list[Job], size: int) -> list[list[Job]]:
    return [these[at : at + size] for at in range(0, len(these), size)]


def job(stamp: int) -> Job:
    return a_job(owner="bench", queue="bulk", submitted_at=stamp, expires_at=stamp // 1000 + 864_000)


def write(some: list[Job]) -> None:
    """Records as ``submit`` writes them, 25 a call: the benchmark fills the table, it does not measure this."""
    store = jobs.table()
    puts = []
    for one in some:
        due = {"due_shard": records._waiting(one.queue, one.id), "due_at": one.submitted_at + records.GRACE_MS}
        item = {**record.key(record.pk(one.id), "job"), **record.item_of(one), **record.values(due)}
        puts.append({"PutRequest": {"Item": item}})
    for _ in range(10):  # a stand-in that is filled as fast as it can be is late now and then
        with contextlib.suppress(Unavailable):
            list(store._batch("batch_write_item", {store.table_name: puts}, "UnprocessedItems"))
            return
        time.sleep(1)
    raise TimeoutError("the DynamoDB stand-in does not answer")


def put(stamp: int, count: int) -> None:
    queue.enqueue([("bulk", records.new_id(), "bench", stamp) for _ in range(count)], now=stamp)


def timed(do: object) -> float:
    started = time.perf_counter()
    do()  # type: ignore[operator]
    return time.perf_counter() - started


def sweep() -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    swept = sweeping.sweep(seconds=60)
    assert not swept.requeued, "a job that merely waits was put on the queue again"
    assert swept.complete
    return time.process_time() - cpu, time.perf_counter() - wall


def pages(kind: str, sizes: Iterable[int]) -> list[list[str]]:
    """Rows: the page, CPU ms to extract, to count, to pack its words; bytes and pieces of the table."""
    rows = []
    for size in sizes:
        body = page_server.of_size(size) if kind == "bytes" else page_server.of_distinct(size)
        steps = [time.process_time()]
        page = extracting.extract(body, "text/html")
        steps.append(time.process_time())
        counts = counting.count(page.text, "en")
        steps.append(time.process_time())
        table = words.pack(words.table(counts, counting.stop_words("en")))
        steps.append(time.process_time())
        took = [f"{(after - before) * 1000:.1f}" for before, after in itertools.pairwise(steps)]
        rows.append([f"{size:,} {kind}", f"{len(body):,}", *took, f"{sum(map(len, table)):,}", str(len(table))])
    return rows


def picture(rows: list[list[str]]) -> None:
    """Enqueueing and sweeping against the number of waiting jobs, relative to the first row, as a small SVG."""
    series = {"enqueue": 2, "sweep (CPU)": 3, "Redis bytes a job": 1}
    width, height, left = 560, 240, 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12">'
    ]
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for factor in (1, 2, 3):
        y = height - 40 - factor * 55
        parts.append(
            f'<path d="M{left} {y}H{width - 20}" stroke="#ccc"/>'
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{factor}×</text>'
        )
    step = (width - left - 150) / max(1, len(rows) - 1)
    for index, row in enumerate(rows):
        parts.append(f'<text x="{left + index * step:.0f}" y="{height - 15}" text-anchor="middle">{row[0]}</text>')
    for (name, column), colour in zip(series.items(), ("#1b6ac9", "#c0392b", "#2e7d32"), strict=True):
        points = [
            (left + n * step, height - 40 - 55 * float(row[column]) / float(rows[0][column]))
            for n, row in enumerate(rows)
        ]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{points[-1][0] + 6:.0f}" y="{points[-1][1] + 4:.0f}" fill="{colour}">{name}</text>')
    PICTURE.write_text("\n".join([*parts, "</svg>", ""]))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--most", type=int, default=1_000_000, help="waiting jobs; a million takes some minutes to fill"
    )
    options = parser.parse_args(arguments)
    counts = [count for count in (1_000, 10_000, 100_000, 1_000_000) if count <= options.most]
    counting.preload()
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)).running() as bench:
        rows = waiting(bench, counts)
    picture(rows)
    head = ["page", "bytes", "extract ms", "count ms", "pack ms", "table bytes", "pieces"]
    made = [
        *pages("bytes", (1_000, 10_000, 100_000, 1_000_000, 5_000_000)),
        *pages("distinct words", (10, 1_000, 10_000, 100_000, 500_000)),
    ]
    text = [
        f"{report.machine()}.",
        "",
        *report.table(["jobs waiting", "Redis bytes a job", "enqueue 100, ms", "sweep, CPU ms", "sweep, s"], rows),
        "",
        "![Growth with the number of waiting jobs](growth.svg)",
        "",
        *report.table(head, made),
    ]
    print("\n".join(text))
    report.write("growth", "\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
