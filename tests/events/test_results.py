"""The results of lists: written when all jobs have ended, in parts, and without asking for a job again and again."""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from chalicelib.errors import Unavailable
from chalicelib.events import results
from chalicelib.store.records import Job
from tests.factories import a_job


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INBOX_DIR", str(tmp_path))
    return tmp_path


class Jobs:
    """A store of jobs that counts what it is asked for."""

    def __init__(self, *jobs: Job) -> None:
        self.there = {job.id: job for job in jobs}
        self.asked = 0

    def __call__(self, ids: list[str]) -> Mapping[str, Job]:
        self.asked += len(ids)
        return {job_id: self.there[job_id] for job_id in ids if job_id in self.there}

    def end(self, job_id: str, **fields: object) -> None:
        self.there[job_id] = a_job(**{"id": job_id, "state": "succeeded", "finished_at": 1_000, **fields})


def listed(inbox: Path, key: str, lines: list[dict[str, object]], name: str = "") -> str:
    """A report of a list that was read."""
    name = name or f"reports/{key}.report.jsonl"
    (inbox / name).parent.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return name


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def forever() -> float:
    return math.inf


def test_results_come_when_the_last_job_has_ended(inbox: Path) -> None:
    jobs = Jobs(*(a_job(id=name * 32, state="queued") for name in "ab"))
    fault = {"line": 3, "error": {"type": "invalid-submission", "detail": "=url: no"}}
    lines = [{"line": 1, "job_id": "a" * 32}, {"line": 2, "job_id": "b" * 32}, fault, {"line": 4, "job_id": "c" * 32}]
    results.begin("inbox", "x/my.urls", [listed(inbox, "x/my.urls", lines)])
    jobs.end("a" * 32, url="https://a.de/", totals={"words": 5, "distinct": 3}, page={"title": "A"}, top=[])
    assert results.finish("inbox", jobs, forever) == []
    jobs.end("b" * 32, state="failed", error={"type": "timeout", "title": "", "detail": "Too slow."})
    assert results.finish("inbox", jobs, forever) == ["reports/x/my.urls.results.csv"]
    one, two, three, four = table(inbox / "reports/x/my.urls.results.csv")
    assert one == {
        "line": "1",
        "address": "https://a.de/",
        "job_id": "a" * 32,
        "state": "succeeded",
        "ended_at": "1970-01-01T00:00:01.000Z",
        "words": "5",
        "distinct": "3",
        "title": "A",
        "top": "",
        "error": "",
    }
    assert (two["state"], two["error"]) == ("failed", "Too slow.")
    assert (three["state"], three["error"]) == ("refused", "'=url: no")  # no formula
    assert four["state"] == "gone"
    assert not list((inbox / "reports/.open").rglob("*.json"))
    assert results.finish("inbox", jobs, forever) == []


def test_a_long_list_has_results_in_parts_as_they_are_ready(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "PART", 200)
    ids = [f"{number:032x}" for number in range(550)]
    jobs = Jobs(*(a_job(id=job_id, state="queued") for job_id in ids))
    lines: list[dict[str, object]] = [{"line": number, "job_id": job_id} for number, job_id in enumerate(ids)]
    reports = [listed(inbox, "a", lines[:330]), listed(inbox, "a", lines[330:], "reports/a.331.report.jsonl")]
    results.begin("inbox", "a", reports)
    for job_id in ids[:450]:
        jobs.end(job_id)
    made = results.finish("inbox", jobs, forever)
    assert made == ["reports/a.results.csv", "reports/a.201.results.csv"]
    jobs.asked = 0
    assert results.finish("inbox", jobs, forever) == []
    assert jobs.asked <= 2 * results.BATCH  # not from the beginning
    for job_id in ids[450:]:
        jobs.end(job_id)
    assert results.finish("inbox", jobs, lambda: 0.0) == []  # no time
    made += results.finish("inbox", jobs, forever)
    assert [row["job_id"] for name in made for row in table(inbox / name)] == ids


def test_with_the_records_away_the_results_come_later_and_without_a_report_never(inbox: Path) -> None:
    def away(_ids: list[str]) -> Mapping[str, Job]:
        raise Unavailable("away")

    results.begin("inbox", "a", [listed(inbox, "a", [{"line": 1, "job_id": "a" * 32}])])
    assert results.finish("inbox", away, forever) == []
    assert list((inbox / "reports/.open").rglob("*.json"))
    (inbox / "reports/a.report.jsonl").write_text("no JSON\n")
    results.begin("inbox", "b", ["reports/absent"])
    (inbox / "reports/.open/c.json").write_bytes(b'{"key": "\xff"}')
    assert results.finish("inbox", Jobs(), forever) == []
    assert not list((inbox / "reports/.open").rglob("*.json"))
