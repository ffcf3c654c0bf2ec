"""What it costs a text to be in a corpus: ``python -m benchmarks.ingest --texts 1000 --sizes 100 600 --rounds 2``.

On a stack of its own the same texts are sent to a corpus, 1,000 a request, and as plain jobs that keep their texts, by
turns, and each round begins with the other. CPU is that of all processes of the stack, from /proc, in milliseconds a
text, and writes those that reach DynamoDB, refused ones too; the first round is not counted.
"""

import argparse
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks import report
from benchmarks.corpus_files import vocabulary
from scripts import run

ROLES = {"chalicelib.worker": "workers", "scripts.serve": "API", "dynamodb.cjs": "DynamoDB", "server": "Redis"}
TOGETHER = 1_000  # documents of a request
SENDERS = 8  # of plain jobs at once
WRITES = "writes"
COUNTER = Path(__file__).with_name("writes.cjs")


def cpu() -> Counter[str]:
    """CPU seconds of the stack's processes so far, by what they do, with their children that have ended."""
    found: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        role = next((role for part, role in ROLES.items() if part in line), "others")
        found[role] += sum(times[:4])  # user and system, of its own and of children that have ended
    return found


def ask(url: str, body: Any = None) -> Any:
    """What the API answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - a stack of ours
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
        return json.load(answer)


def texts(number: int, size: int, seed: int) -> list[str]:
    """Texts of so many invented words by Zipf's law."""
    chosen = random.Random(seed)
    names = vocabulary(random.Random(1))
    weights = [1 / (rank + 3) for rank in range(len(names))]
    return [" ".join(chosen.choices(names, weights, k=size)) for _ in range(number)]


def documents(url: str, given: list[str]) -> None:
    """The texts as documents of a new corpus; ends when all are taken in."""
    made = ask(f"{url}/corpora", {"name": "ingest", "options": {"language": "en"}})
    path = f"{url}/corpora/{made['id']}"
    for at in range(0, len(given), TOGETHER):
        some = [{"text": text, "key": f"k{at + n}"} for n, text in enumerate(given[at : at + TOGETHER])]
        ask(f"{path}/documents", {"documents": some})
    while not ask(path)["complete"]:
        time.sleep(2)


def jobs(url: str, given: list[str]) -> None:
    """The texts as plain jobs that keep their texts, as documents do, as fast as they are taken; ends when all have.

    Of the states one in 20 is asked for, so that asking costs little.
    """

    def send(text: str) -> str:
        return str(ask(f"{url}/jobs", {"text": text, "language": "en", "keep_text": True})["id"])

    with ThreadPoolExecutor(SENDERS) as senders:
        sent = list(senders.map(send, given))
    for job in reversed(sent[::20]):
        while ask(f"{url}/jobs/{job}")["state"] not in ("succeeded", "failed"):
            time.sleep(2)


def spent(do: Callable[[str, list[str]], None], url: str, given: list[str], counted: Path) -> Counter[str]:
    """What the stack spends on these texts: CPU seconds by role, and writes."""
    since, written = cpu(), int(counted.read_text())
    do(url, given)
    time.sleep(1)  # until the last writes are in the file
    found = cpu()
    found.subtract(since)
    found[WRITES] = int(counted.read_text()) - written
    return found


def measured(asked: argparse.Namespace) -> dict[tuple[int, str], list[Counter[str]]]:
    """By size and way what each round has spent."""
    found: dict[tuple[int, str], list[Counter[str]]] = defaultdict(list)
    ways = [("corpus", documents), ("jobs", jobs)]
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        counted = Path(folder) / "writes"
        environment = {"NODE_OPTIONS": f"--require {COUNTER}", "WRITES": str(counted)}
        with run.running_stack(environment=environment) as url:
            for number in range(asked.rounds + 1):
                for size in asked.sizes:
                    given = texts(asked.texts if number else 50, size, 100 * number + size)
                    for name, do in ways[:: -1 if number % 2 else 1]:
                        since = time.monotonic()
                        made = spent(do, url, given, counted)
                        each = {
                            what: round((1 if what == WRITES else 1000) * much / len(given), 2)
                            for what, much in made.items()
                        }
                        print(number, size, name, f"{time.monotonic() - since:.0f} s", each, flush=True)
                        if number:
                            found[size, name].append(made)
    return found


def main(arguments: list[str]) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 600], help="words of a text")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args(arguments)
    rows = []
    for (size, name), rounds in measured(asked).items():
        each = sum(rounds, Counter[str]())
        cpus = [1000 * each[role] / len(rounds) / asked.texts for role in ROLES.values()]
        every = 1000 * (each.total() - each[WRITES]) / len(rounds) / asked.texts
        cells = [f"{one:.2f}" for one in (*cpus, every, each[WRITES] / len(rounds) / asked.texts)]
        rows.append([f"{asked.texts:,} of {size} words, {name}", *cells])
    print("\n".join(report.table(["ms of CPU a text", *ROLES.values(), "all", "writes"], rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
