"""No owner makes another one wait: floods of slow and of quick jobs, of one host, of lists, of requests that wait."""

import contextlib
import os
import statistics
import time
from pathlib import Path

import pytest

from chalicelib import jobs, queue, submissions
from chalicelib.dispatch import metering

from .harness import Stack, note, stack

EIGHT = "interactive:8,bulk:8"


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


@pytest.mark.parametrize(("count", "slow"), [(1_000, 12), (100_000, None)], ids=["slow", "quick"])
def test_a_flood_of_one_owner_delays_no_other(tmp_path: Path, count: int, slow: int | None) -> None:
    with stack(tmp_path, WORKER_PROCESSES=EIGHT) as made:
        flood(made, count, slow=slow)
        made.wait_ready(made.start_workers(), 16)
        time.sleep(1)
        took = texts(made, 40)
        page = seconds_until_done(submit(made, "person", 10**6, slow=1))
        assert queue.depth(queue.INTERACTIVE) > 0, "the flood was over too soon"
        print({"median": statistics.median(took), "p95": took[37], "page of 1 s": page})
        what = f"{count:,} pages of {slow or 0} s of one owner, another's text"
        note(tmp_path, what, jobs=41, lost=0, doubled=0, claims=41, recovery=round(took[37], 2))
        assert statistics.median(took) < 1
        assert took[37] < 3
        assert page < 1 + 2


def test_250_pages_of_one_host_submitted_and_canceled_keep_nobody_from_it(tmp_path: Path) -> None:
    with stack(tmp_path, WORKER_PROCESSES=EIGHT, FETCH_HOST_RATE="5") as made:
        made.wait_ready(made.start_workers(), 16)
        for job in flood(made, 250):
            with contextlib.suppress(jobs.HasEnded):
                jobs.cancel(job.id, "flooder")
        waited = seconds_until_done(submit(made, "person", 10**6))
        note(tmp_path, "250 pages of a host submitted and canceled, another's page of it",
             jobs=1, lost=0, doubled=0, claims=1, recovery=round(waited, 2))  # fmt: skip
        assert waited < 3


def test_a_list_of_400_pages_of_one_host_keeps_no_person_from_it(tmp_path: Path) -> None:
    with stack(tmp_path, WORKER_PROCESSES=EIGHT, FETCH_HOST_RATE="5") as made:
        made.wait_ready(made.start_workers(), 16)
        flood(made, 400, bulk=True)
        time.sleep(3)
        waits = []
        for n in range(5):
            waits.append(seconds_until_done(submit(made, "person", 10**6 + n)))
            time.sleep(1)
        note(tmp_path, "a list of 400 pages of a host, a person's page of it",
             jobs=5, lost=0, doubled=0, claims=5, recovery=round(max(waits), 2))  # fmt: skip
        assert max(waits) < 3


def test_300_requests_of_one_owner_that_wait_leave_room_for_another(tmp_path: Path) -> None:
    with stack(tmp_path) as made, contextlib.ExitStack() as waiting:
        held = [waiting.enter_context(metering.long_poll("flooder", 20, shared=True)) for _ in range(240)]
        assert sum(held) == metering.MAX_LONG_POLLS_OWNER
        assert waiting.enter_context(metering.long_poll("person", 20, shared=True))
        others = [waiting.enter_context(metering.long_poll(f"o{n // 10}", 20, shared=True)) for n in range(9)]
        assert all(others)
        os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"  # away: this process counts alone
        assert not waiting.enter_context(metering.long_poll("flooder", 20, shared=True))
        os.environ["REDIS_URL"] = made.env["REDIS_URL"]
