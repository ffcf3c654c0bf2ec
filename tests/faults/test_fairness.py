"""No owner makes another one wait: floods of slow and of quick jobs, of one host, of lists, of requests that wait."""

import statistics
import time
from pathlib import Path

import pytest

from chalicelib import jobs, queue, submissions

from .harness import Stack, note, stack

EIGHT = "interactive:8,bulk:8"


@pytest.fixture
def eight(tmp_path: Path):
    with stack(tmp_path, WORKER_PROCESSES=EIGHT) as made:
        made.wait_ready(made.start_workers(), 16)
        yield made


def submit(made: Stack, owner: str, n: int = 0, *, bulk: bool = False, **asked) -> jobs.Job:
    fields = {"text": asked["text"]} if "text" in asked else {"url": made.url(n, **asked)}
    name = queue.BULK if bulk else queue.INTERACTIVE
    return jobs.submit(jobs.Request(submissions.read(fields), owner, queue=name))[0]


def flood(made: Stack, count: int, *, bulk: bool = False, **asked) -> list[jobs.Job]:
    """So many jobs of one owner at once."""
    name = queue.BULK if bulk else queue.INTERACTIVE
    found: list[jobs.Job] = []
    for start in range(0, count, 1000):
        fields = [
            {"text": asked["text"]} if "text" in asked else {"url": made.url(n, **asked)}
            for n in range(start, min(start + 1000, count))
        ]
        asks = [
            jobs.Request(submissions.read(one), "flooder", f"{count}-{start}-{k}", name) for k, one in enumerate(fields)
        ]
        answers = jobs.submit_many(asks)
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        found += answers
    return found


def seconds_until_done(job: jobs.Job) -> float:
    """From the submission to the end, by the record's own times."""
    done = jobs.wait(job, 20)
    assert done.state == "succeeded", done
    return (done.finished_at - done.submitted_at) / 1000


def texts(made: Stack, count: int) -> list[float]:
    took = []
    for n in range(count):
        took.append(seconds_until_done(submit(made, "person", text=f"three little words {n}")))
        time.sleep(0.2)
    return sorted(took)


@pytest.mark.parametrize(
    ("count", "asked"), [(1000, {"slow": 12}), (100_000, {"text": "quick"})], ids=["slow", "quick"]
)
def test_a_flood_of_one_owner_delays_no_other(eight: Stack, count: int, asked: dict) -> None:
    flood(eight, count, **asked)
    assert queue.depth(queue.INTERACTIVE) > count * 0.8, "the flood still waits"
    took = texts(eight, 40)
    page = seconds_until_done(submit(eight, "person", 10**6, slow=1))
    assert queue.depth(queue.INTERACTIVE) > count * 0.5, "the flood was over too soon"
    figures = {"median": statistics.median(took), "p95": took[37], "page of 1 s": page}
    print(figures)
    note(eight.folder, f"{count:,} {'slow pages' if 'slow' in asked else 'texts'} of one owner, another's text",
         jobs=41, lost=0, doubled=0, claims=41, recovery=round(took[37], 2))  # fmt: skip
    assert figures["median"] < 1
    assert figures["p95"] < 3
    assert page < 1 + 2
