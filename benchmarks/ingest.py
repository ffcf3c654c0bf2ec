"""What it costs a text to be in a corpus: ``python -m benchmarks.ingest --texts 1000 --sizes 100 600 --rounds 2``.

On a stack of its own the same texts are sent to a corpus, 1,000 a request, and as plain jobs that keep their texts, by
turns. CPU is that of all processes of the stack, from /proc, in milliseconds a text; the first round is not counted.
"""

import argparse
import json
import random
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from typing import Any

import psutil

from benchmarks import report
from benchmarks.corpus_files import vocabulary
from scripts import run

ROLES = {"chalicelib.worker": "workers", "chalice": "API", "dynamodb.cjs": "DynamoDB", "server": "Redis"}
TOGETHER = 1_000  # documents of a request


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
    """The texts as plain jobs that keep their texts, as documents do; ends when all have."""
    sent = [ask(f"{url}/jobs", {"text": text, "language": "en", "keep_text": True})["id"] for text in given]
    for job in reversed(sent):
        while ask(f"{url}/jobs/{job}")["state"] not in ("succeeded", "failed"):
            time.sleep(2)


def main(arguments: list[str]) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 600], help="words of a text")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["corpus", "jobs"])
    asked = parser.parse_args(arguments)
    used: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    with run.running_stack() as url:
        for number in range(asked.rounds + 1):
            for size in asked.sizes:
                given = texts(asked.texts if number else 50, size, 100 * number + size)
                for name, do in (("corpus", documents), ("jobs", jobs)):
                    if asked.only not in (None, name):
                        continue
                    since = cpu()
                    do(url, given)
                    spent = cpu()
                    spent.subtract(since)
                    print(number, size, name, {role: round(1000 * s / len(given), 2) for role, s in spent.items()})
                    sys.stdout.flush()
                    if number:
                        used[size, name].update(spent)
    roles = sorted({role for spent in used.values() for role in spent})
    rows = [
        [
            f"{size} words, {name}",
            *(f"{1000 * spent[role] / asked.texts / asked.rounds:.1f}" for role in roles),
            f"{1000 * spent.total() / asked.texts / asked.rounds:.1f}",
        ]
        for (size, name), spent in used.items()
    ]
    print("\n".join(report.table(["ms of CPU a text", *roles, "all"], rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
